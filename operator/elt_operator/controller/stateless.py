"""kopf, made to write nothing: no annotation, no finalizer, no status, no event.

Only its stateless handlers are used (on.event, login, probe); the storages below make sure that nothing else creeps in.
"""

from typing import Any, NoReturn

import kopf

from elt_operator.controller.sources import ENDED_JOBS_LEFT_OUT, PAGE_OF_LARGE_OBJECTS
from elt_operator.kube.reflector import Patiently
from elt_operator.resources import names


class NoDiffBase(kopf.DiffBaseStorage):
    """Keeps no last-handled configuration. It also spares a third of kopf's work for each event."""

    def build(self, **_: Any) -> Any:
        """Return nothing to compare with."""
        return {}

    def fetch(self, **_: Any) -> None:
        """Return that nothing was stored."""

    def store(self, **_: Any) -> NoReturn:
        """Refuse: a handler that needs this has no place here."""
        raise NotImplementedError("the operator stores nothing on objects")


class NoProgress(kopf.ProgressStorage):
    """Keeps no progress of handlers, for the ones in use have none."""

    def fetch(self, **_: Any) -> None:
        """Return that nothing was stored."""

    def store(self, **_: Any) -> NoReturn:
        """Refuse: a handler that needs this has no place here."""
        raise NotImplementedError("the operator stores nothing on objects")

    def purge(self, **_: Any) -> None:
        """Do nothing: there is nothing."""

    def touch(self, **_: Any) -> None:
        """Do nothing: no object is touched to be looked at again."""

    def clear(self, *, essence: Any) -> Any:
        """Return ``essence`` as it is."""
        return essence


def settings() -> kopf.OperatorSettings:
    """Return kopf's settings; the reasons for each are in docs/architecture.md."""
    chosen = kopf.OperatorSettings()
    chosen.peering.standalone = True
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.persistence.diffbase_storage = NoDiffBase()
    chosen.persistence.progress_storage = NoProgress()
    chosen.persistence.finalizer = f"{names.GROUP}/never-set"
    chosen.queueing.idle_timeout = 0.5
    chosen.queueing.exit_timeout = 1.0
    chosen.networking.connect_timeout = 5.0
    chosen.networking.request_timeout = 30.0
    chosen.networking.error_backoffs = Patiently()  # kopf gives up, and ends the operator, when they run out
    chosen.watching.server_timeout = 600  # whole seconds: the API server refuses 600.0
    chosen.watching.client_timeout = 660
    chosen.watching.connect_timeout = 10.0
    chosen.watching.reconnect_backoff = 0.5
    chosen.watching.field_selectors[names.GROUP, names.VERSION, names.JOBS] = ENDED_JOBS_LEFT_OUT
    chosen.watching.chunk_size = PAGE_OF_LARGE_OBJECTS
    chosen.process.ultimate_exiting_timeout = None  # kopf would kill the process when only one of its watches ends
    return chosen
