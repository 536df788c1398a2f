"""kopf is made to write nothing, and to end nothing but itself."""

import kopf
import pytest

from elt_operator.controller import kopf_side as watches
from elt_operator.controller import stateless
from elt_operator.controller.cache import Cache
from elt_operator.controller.intake import Intake
from elt_operator.resources import names


def test_only_events_of_jobs_are_handled() -> None:
    registry = kopf.OperatorRegistry()

    watches.register(registry, Intake(Cache(), lambda _key: None, lambda *_: None))

    (handler,) = registry._watching.get_all_handlers()
    assert names.JOBS in str(handler.selector)
    for others in (registry._changing, registry._spawning, registry._indexing, registry._webhooks):
        assert list(others.get_all_handlers()) == []


def test_storages_refuse_to_store() -> None:
    with pytest.raises(NotImplementedError):
        stateless.NoDiffBase().store()
    with pytest.raises(NotImplementedError):
        stateless.NoProgress().store()


def test_settings_leave_kopf_nothing_to_write() -> None:
    settings = stateless.settings()

    assert settings.posting.enabled is False
    assert settings.peering.standalone is True
    assert isinstance(settings.persistence.diffbase_storage, stateless.NoDiffBase)
    assert isinstance(settings.persistence.progress_storage, stateless.NoProgress)
    selector = settings.watching.field_selectors["elt-operator.io", "v1alpha1", "eltjobs"]
    assert selector == "status.phase!=COMPLETE,status.phase!=ERROR,status.phase!=STOPPED,status.phase!=UNKNOWN"


def test_kopf_does_not_kill_the_process_in_which_one_of_its_watches_ended() -> None:
    assert stateless.settings().process.ultimate_exiting_timeout is None
