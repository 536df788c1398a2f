"""An event about the operator's pod tells that a namespace is left out: once, from the replica that acts."""

from datetime import datetime

import pytest

from builders import at
from elt_operator.controller.notices import Notices
from elt_operator.controller.places import Places
from elt_operator.core.events import Event
from elt_operator.errors import NotLeading
from elt_operator.kube.errors import ApiError, Forbidden

FORBIDDEN = Forbidden(403, "Forbidden", "pods is forbidden")


class World:
    """The namespaces a and b; each event that is posted meets the next of these answers."""

    def __init__(self) -> None:
        self.places = Places(["a", "b"])
        self.answers: list[Exception] = []
        self.posted: list[tuple[str, str, Event]] = []
        self.notices = Notices(self, self.places, "elt-operator", "elt-operator-0", lambda: at(0))

    async def post_own_event(self, namespace: str, pod_name: str, event: Event, now: datetime) -> None:
        assert now == at(0)
        if self.answers:
            raise self.answers.pop(0)
        self.posted.append((namespace, pod_name, event))

    def leave_out(self, namespace: str) -> None:
        place = self.places.of(namespace)
        assert place
        self.places.take_up(place)
        self.places.leave_out(place, FORBIDDEN)


async def test_a_namespace_that_is_left_out_is_told_once_each_time() -> None:
    world = World()
    await world.notices.tell()
    assert world.posted == []

    for _ in range(2):
        world.leave_out("b")
        await world.notices.tell()
        await world.notices.tell()

    ((namespace, pod, event), again) = world.posted
    assert (namespace, pod, event.type, event.reason) == (
        "elt-operator",
        "elt-operator-0",
        "Warning",
        "NamespaceLeftOut",
    )
    assert event.message == (
        "Namespace b cannot be read, so the operator neither starts nor ends Jobs there. Check the "
        "operator's Role and RoleBinding there, or remove the namespace from its settings. The API server responded: "
        "403 Forbidden: pods is forbidden"
    )
    assert again == world.posted[0]


@pytest.mark.parametrize(
    ("answer", "posted"),
    [
        pytest.param(NotLeading("another replica is active now"), 1, id="a standby tells when it acts"),
        pytest.param(ApiError(503, "ServiceUnavailable", "away"), 1, id="an outage is waited for"),
        pytest.param(FORBIDDEN, 0, id="without the right to it, it is left to the log"),
        pytest.param(ValueError("odd"), 0, id="a bug ends nothing"),
    ],
)
async def test_what_keeps_it_from_being_told(answer: Exception, posted: int) -> None:
    world = World()
    world.leave_out("b")
    world.answers = [answer]

    await world.notices.tell()
    await world.notices.tell()

    assert len(world.posted) == posted
