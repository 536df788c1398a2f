"""kopf is made to write nothing."""

import kopf
import pytest

from elt_operator.core.situation import Key
from elt_operator.handlers import stateless, watches
from elt_operator.kube.cache import Cache
from elt_operator.kube.queue import WorkQueue


def test_only_events_of_our_two_kinds_are_handled() -> None:
    registry = kopf.OperatorRegistry()
    queue: WorkQueue[Key] = WorkQueue()

    watches.register(registry, Cache(), queue)

    handled = [str(handler.selector) for handler in registry._watching.get_all_handlers()]
    assert len(handled) == 2
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
