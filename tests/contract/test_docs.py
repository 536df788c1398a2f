"""What the pages say, held against the resource types, the samples and the messages that they are about."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from elt_operator.core import cron

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "manifests" / "samples" / "README.md"])
SAMPLES = sorted(ROOT.glob("manifests/samples/*.yaml"))
KINDS = {"pipeline": "eltpipelines", "job": "eltjobs"}


def fields(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the paths of all fields of a schema; those of a list's items end in ``[]``."""
    for name, value in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here
        yield from fields(value, here)
        yield from fields(value.get("items", {}), f"{here}[]")


def schema_of(crd: str) -> dict[str, Any]:
    body = yaml.safe_load((ROOT / "crds" / f"{crd}.yaml").read_text())
    return dict(body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"])


FIELDS = [
    pytest.param(page, path, id=f"{page} {path}")
    for page, crd in KINDS.items()
    for part in ("spec", "status")
    for path in fields(schema_of(crd)[part])
    if not path.startswith("conditions[]")  # Kubernetes' own
]


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def named(page: Path) -> set[str]:
    """Return the words that a page has as code in its text; of a path, each of its steps."""
    return {word for code in re.findall(r"`([^`\n]+)`", prose(page)) for word in re.findall(r"\w+", code)}


WORDS = {page: named(ROOT / "docs" / f"{page}.md") for page in KINDS}


@pytest.mark.parametrize(("page", "path"), FIELDS)
def test_each_field_is_explained(page: str, path: str) -> None:
    assert path.rpartition(".")[2] in WORDS[page]


def rule_messages(schema: Any) -> Iterator[str]:
    """Yield the messages of all CEL rules in a schema."""
    parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else []
    if isinstance(schema, dict):
        yield from (rule["message"] for rule in schema.get("x-kubernetes-validations", []))
    for part in parts:
        yield from rule_messages(part)


REFUSALS = [
    words
    for row in (ROOT / "docs" / "pipeline.md").read_text().partition("## When it is rejected")[2].splitlines()
    if (words := re.search(r"(?:Invalid value|Forbidden): (?P<words>[^-].*?) ?`+ \|$", row))
]


@pytest.mark.parametrize("words", REFUSALS, ids=lambda found: found["words"])
def test_a_refusal_on_the_page_is_one_of_the_resource_type(words: re.Match[str]) -> None:
    assert words["words"] in set(rule_messages(schema_of("eltpipelines")))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_each_sample_is_listed(path: Path) -> None:
    assert f"]({path.name})" in (path.parent / "README.md").read_text()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_a_sample_is_a_pipeline_of_the_files_name_and_a_job_of_it(path: Path) -> None:
    bodies = list(yaml.safe_load_all(path.read_text()))
    ours = {body["kind"]: body for body in bodies if body["apiVersion"] == "elt-operator.io/v1alpha1"}

    assert ours["Pipeline"]["metadata"]["name"] == path.stem
    assert ours["Job"]["metadata"]["name"] == f"{path.stem}-1"
    assert ours["Job"]["spec"]["pipelineName"] == path.stem


MESSAGES = re.findall(
    r"^\| `(?P<written>[^`]+)` \| `(?P<message>(?:spec\.|… )[^`]+)` \|$",
    (ROOT / "docs" / "scheduling.md").read_text(),
    re.MULTILINE,
)


@pytest.mark.parametrize(("written", "message"), MESSAGES, ids=[written for written, _ in MESSAGES])
def test_a_schedule_is_refused_in_the_words_of_the_page(written: str, message: str) -> None:
    of_zone = written.startswith("timeZone: ")
    schedule, zone = ("0 6 * * *", written.removeprefix("timeZone: ")) if of_zone else (written, None)

    with pytest.raises(cron.InvalidScheduleError) as refused:
        cron.parse(schedule, zone)

    assert str(refused.value).endswith(message.removeprefix("…"))


def test_the_pages_have_messages() -> None:
    assert len(MESSAGES) > 10
    assert len(REFUSALS) > 5


def anchors(page: Path) -> set[str]:
    """Return the names by which the headings of a page are linked."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target
