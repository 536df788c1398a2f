"""Foreign bytes: whatever stands in a stored object is read, or skipped and told; nothing raises or takes long."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import decided
from elt_operator.controller.cache import Cache
from elt_operator.controller.gather import from_cache
from elt_operator.core.model import PipelineKey
from elt_operator.core.situation import Limits
from elt_operator.kube import foreign
from unit.controller import bodies

LONGEST_SECONDS = 0.05
NOW = foreign.time("2026-01-05T07:00:00Z")
EVENTS = st.sampled_from(["ADDED", "MODIFIED", "DELETED"])


def seconds_to_take(plural: str, event: dict[str, Any]) -> float:
    """Return how long the operator's own work takes at best: the machine's other work is none of it."""
    tries = []
    for _ in range(3):
        began = time.process_time()
        Cache().take_event(plural, event)
        tries.append(time.process_time() - began)
        if tries[-1] < LONGEST_SECONDS:
            break
    return min(tries)


@pytest.mark.parametrize("plural", bodies.BODIES)
@settings(deadline=None)
@given(data=st.data())
def test_no_body_raises_when_it_is_taken(plural: str, data: st.DataObject) -> None:
    body = data.draw(st.sampled_from(bodies.BODIES[plural]).flatmap(bodies.mangled))

    assert seconds_to_take(plural, {"type": data.draw(EVENTS), "object": body}) < LONGEST_SECONDS


@pytest.mark.parametrize("plural", bodies.BODIES)
@pytest.mark.parametrize("value", [[], {}, [[]], [None], 7, True, None, ""], ids=repr)
def test_each_value_of_a_body_may_be_of_another_type(plural: str, value: Any) -> None:
    for body in bodies.BODIES[plural]:
        for changed in bodies.each_with(body, value):
            for event in ("ADDED", "DELETED"):
                Cache().take_event(plural, {"type": event, "object": changed})


@settings(deadline=None)
@given(
    found=st.fixed_dictionaries(
        {plural: st.sampled_from(of_it).flatmap(bodies.mangled) for plural, of_it in bodies.BODIES.items()}
    )
)
def test_no_plan_of_such_bodies_raises(found: dict[str, Any]) -> None:
    cache = Cache()
    for plural, body in found.items():
        cache.take_event(plural, {"type": "ADDED", "object": body})
    assert NOW

    for key in {*cache.all_keys(), PipelineKey("default", "weather")}:
        situation = from_cache(cache, key, NOW, Limits())
        decided(situation)


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-23:59", "3000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "x" * 9],
)
def test_a_time_that_no_arithmetic_is_made_for_is_none(text: str) -> None:
    assert foreign.time(text) is None


@pytest.mark.parametrize("text", ["9" * 5_000, "1" * 10, "²", "1²", "①", "٣", "-1", "1_0", " 1", "", None, 7, True])
def test_a_number_is_at_most_nine_plain_digits(text: Any) -> None:
    assert foreign.number(text) is None


def test_a_text_can_always_be_encoded() -> None:
    assert foreign.text("half an emoji: \ud83d").encode() == b"half an emoji: ?"


def test_a_body_that_does_not_say_what_it_is_is_told_and_skipped() -> None:
    told: list[tuple[str, str]] = []
    cache = Cache(lambda plural, _body, why: told.append((plural, why)))

    keys = cache.take_event("pods", {"type": "ADDED", "object": {"metadata": {"name": "x"}}})

    assert (keys, told) == (set(), [("pods", "its namespace, name or UID is missing")])
