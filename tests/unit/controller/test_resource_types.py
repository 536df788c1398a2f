"""The operator waits for its resource types, and says what is missing."""

from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elt_operator.controller import resource_types
from elt_operator.controller.resource_types import ResourceTypes, unserved
from elt_operator.kube.errors import ApiError, NotFound, Unreadable
from elt_operator.resources import crd, names

OPENAPI = f"/openapi/v3{names.API_ROOT}"

NEEDED = {kind.plural: crd.fields_of(kind) for kind in crd.KINDS}

OPENAPI = f"/openapi/v3{names.API_ROOT}"


def discovery() -> dict[str, Any]:
    """What the API server says of our group, with subresources."""
    kinds = [{"name": kind.plural, "kind": kind.kind} for kind in crd.KINDS]
    return {"resources": [*kinds, *({**kind, "name": f"{kind['name']}/status"} for kind in kinds)]}


def openapi() -> dict[str, Any]:
    """What it says of the fields, beside a schema that is of no kind."""
    schemas = {
        kind.kind: {
            **crd.definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
            "x-kubernetes-group-version-kind": [{"group": "elt-operator.io", "kind": kind.kind}],
        }
        for kind in crd.KINDS
    }
    return {"components": {"schemas": {**schemas, "DeleteOptions": {}}}}


def openapi_without_suspend() -> dict[str, Any]:
    document = openapi()
    del document["components"]["schemas"]["Pipeline"]["properties"]["spec"]["properties"]["suspend"]
    return document


class Answers:
    """Answers one question after the other with these pairs of documents."""

    def __init__(self, *answers: tuple[Any, Any] | Exception) -> None:
        self.left = list(answers)
        self.told: list[str] = []
        self.types = ResourceTypes(self)  # type: ignore[arg-type]  # only this is asked of a client

    async def request(self, method: str, path: str) -> Any:
        assert (method, path) in {("GET", names.API_ROOT), ("GET", OPENAPI)}
        if path == names.API_ROOT:
            self.told.append(self.types.check())
        answer = self.left.pop(0) if path == OPENAPI or isinstance(self.left[0], Exception) else self.left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer[path == OPENAPI]


async def test_it_waits_and_says_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource_types, "_RETRY_SECONDS", 0.0)
    answers = Answers(
        aiohttp.ClientConnectionError("refused"),
        NotFound(404, "NotFound", "no such group"),
        (discovery(), ["odd"]),
        (discovery(), openapi_without_suspend()),
        (discovery(), openapi()),
    )

    await answers.types.wait()

    asked_first, no_answer, no_kinds, odd, missing = answers.told
    assert "not been asked" in asked_first
    assert "is not responding: ClientConnectionError: refused" in no_answer
    assert "needs from elt-operator.io/v1alpha1: eltjobs, eltpipelines. Update the Custom" in no_kinds
    assert "the API server's list of its resources cannot be read" in odd
    assert "needs from elt-operator.io/v1alpha1: eltpipelines.spec.suspend. Update" in missing
    assert answers.types.check() == ""


def test_of_many_fields_some_are_named() -> None:
    words = resource_types._words([f"eltjobs.status.field{number}" for number in range(7)])

    assert "eltjobs.status.field4, …. Update the CustomResourceDefinitions: `kubectl apply --server-side" in words


@pytest.mark.parametrize("odd", [None, 7, "text", [], [7]])
@pytest.mark.parametrize(
    "path",
    [
        ("resources",),
        ("components",),
        ("components", "schemas"),
        ("components", "schemas", "Pipeline"),
        ("components", "schemas", "Pipeline", "properties"),
        ("components", "schemas", "Pipeline", "properties", "spec"),
    ],
    ids=".".join,
)
def test_what_is_odd_is_told_and_not_a_bug(path: tuple[str, ...], odd: Any) -> None:
    kinds, document = discovery(), openapi()
    place: Any = kinds if path == ("resources",) else document
    for name in path[:-1]:
        place = place[name]
    assert path[-1] in place
    place[path[-1]] = odd

    try:
        missing = unserved(NEEDED, kinds, document)
    except ApiError as error:
        assert type(error) is Unreadable  # noqa: PT017 - the other half of the cases
    else:
        assert missing


def test_a_schema_without_end_is_told_and_not_a_bug() -> None:
    document = openapi()
    schema: dict[str, Any] = {}
    for _ in range(5000):
        schema = {"items": schema}
    document["components"]["schemas"]["Job"]["properties"]["spec"] = schema

    with pytest.raises(Unreadable, match=r"cannot be read \(RecursionError\)"):
        unserved(NEEDED, discovery(), document)


documents = st.recursive(
    st.none() | st.integers() | st.sampled_from(["eltjobs", "Job", "eltpipelines"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resources",
                    "name",
                    "kind",
                    "components",
                    "schemas",
                    "properties",
                    "items",
                    "x-kubernetes-group-version-kind",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@settings(deadline=None)
@given(documents, documents)
def test_any_documents_are_an_answer_or_an_error(kinds: Any, document: Any) -> None:
    try:
        missing = unserved(NEEDED, kinds, document)
    except ApiError as error:
        assert type(error) is Unreadable  # noqa: PT017 - nearly always the case
    else:
        assert missing
