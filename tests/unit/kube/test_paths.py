"""A name is one segment of a path, or one value of a selector, whatever it says."""

from collections.abc import Callable
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from elt_operator.kube import paths
from elt_operator.kube.paths import Resource, Unaddressable

ODD_NAMES = [
    pytest.param("", id="empty"),
    pytest.param(".", id="the same folder"),
    pytest.param("..", id="the folder above"),
    pytest.param("../../../api/v1/pods", id="a way out"),
    pytest.param("..%2f..%2fpods", id="a way out, quoted"),
    pytest.param("%2e%2e", id="the folder above, quoted"),
    pytest.param("a/b", id="two segments"),
    pytest.param("a\x00b", id="a zero byte"),
    pytest.param("a\r\nHost: b", id="lines"),
    pytest.param("a\ud83d", id="half an emoji"),
    pytest.param("a" * 254, id="too long"),
]


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(lambda name: paths.PODS.object("default", name), id="as a name"),
        pytest.param(lambda name: paths.PODS.object(name, "pod"), id="as a namespace"),
        pytest.param(paths.PODS.collection, id="as the namespace of a list"),
        pytest.param(paths.named, id="in a field selector"),
        pytest.param(lambda name: paths.labelled("label", name), id="in a label selector"),
    ],
)
def test_what_no_object_can_be_named_is_not_asked_for(path: Callable[[str], str], name: str) -> None:
    with pytest.raises(Unaddressable, match="no object can be named '"):
        path(name)


@pytest.mark.parametrize("name", ["a,b", "a=b", "a,!b", "a in (b)", "a&watch=true", "-a", "a b"])
def test_a_value_cannot_change_a_selector(name: str) -> None:
    for selector in (paths.named, lambda value: paths.labelled("label", value)):
        with pytest.raises(Unaddressable):
            selector(name)


def test_the_paths_of_usual_names_are_as_kubernetes_writes_them() -> None:
    assert paths.PODS.collection() == "/api/v1/pods"
    assert paths.BATCH_JOBS.collection("elt") == "/apis/batch/v1/namespaces/elt/jobs"
    assert paths.PODS.object("elt", "a.b-1", "log") == "/api/v1/namespaces/elt/pods/a.b-1/log"
    assert Resource("/apis/a.b/v1", "things").object("elt", "a") == "/apis/a.b/v1/namespaces/elt/things/a"
    assert paths.labelled("l", "A_b") == "l=A_b"
    assert paths.named("a.b") == "metadata.name=a.b"


@settings(deadline=None)
@given(st.text(), st.text())
@example("a?watch=true", "b#c")
def test_no_name_changes_the_shape_of_a_path(namespace: str, name: str) -> None:
    try:
        path = Resource("/api/v1", "pods").object(namespace, name, "log")
    except Unaddressable:
        return

    assert path.isascii()
    assert not set("?#") & set(path)
    # as the API server does it: unquoted first, then taken apart
    assert unquote(path).split("/") == ["", "api", "v1", "namespaces", namespace, "pods", name, "log"]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["labelSelector", "continue", "limit"]), st.text()))
@example({"continue": "a&limit=0 #+%", "limit": "\ud83d"})
def test_a_query_says_what_was_asked(parameters: dict[str, str]) -> None:
    said = dict(
        parse_qsl(paths.query(parameters).removeprefix("?"), keep_blank_values=True, strict_parsing=bool(parameters))
    )

    assert said == {name: value.encode(errors="replace").decode() for name, value in parameters.items()}
