"""The API server accepts what people write for what they have; the unit test of the same name renders it."""

from pathlib import Path

import yaml

from e2e.world import Namespace

FILES = sorted((Path(__file__).resolve().parent / "imported").glob("*.yaml"))


def test_what_people_have_is_accepted_as_they_write_it(shared_namespace: Namespace) -> None:
    manifests = [body for path in FILES for body in yaml.safe_load_all(path.read_text())]

    told = shared_namespace.apply(yaml.safe_dump_all(manifests), "--dry-run=server")

    names = sorted(body["metadata"]["name"] for body in manifests)
    assert len(set(names)) == len(names) > len(FILES)
    created = [f"pipeline.elt-operator.io/{name} created (server dry run)" for name in names]
    assert sorted(told.splitlines()) == created
