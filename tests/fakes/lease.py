"""Replicas before an API server that stores one Lease, at a time of their own."""

from typing import Any

from builders import at
from elt_operator.kube.errors import ApiError, Conflict, NotFound
from elt_operator.kube.lease import Lease


class ApiServer:
    """Stores one Lease, with a version for each write."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] | None = None
        self.away = False
        self._version = 0

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        assert path.startswith("/apis/coordination.k8s.io/v1/namespaces/elt-operator/leases")
        if self.away:
            raise ApiError(503, "ServiceUnavailable", "away")
        if method == "GET":
            if self.stored is None:
                raise NotFound(404, "NotFound", "no Lease")
            return self.stored
        current = self.stored and self.stored["metadata"]["resourceVersion"]
        if (method == "POST") != (self.stored is None) or body["metadata"].get("resourceVersion") != current:
            raise Conflict(409, "Conflict", "changed")
        self._version += 1
        self.stored = {**body, "metadata": {"uid": "lease-uid", "resourceVersion": str(self._version)}}
        return self.stored

    def change(self, body: Any) -> None:
        """Somebody else writes this into the Lease."""
        self._version += 1
        self.stored = {**body, "metadata": {"uid": "lease-uid", "resourceVersion": str(self._version)}}

    @property
    def holder(self) -> str:
        assert self.stored
        return str(self.stored["spec"]["holderIdentity"])


class World:
    """Replicas before one API server, at a time of their own."""

    def __init__(self) -> None:
        self.server = ApiServer()
        self.time = 1000.0

    def replica(self, name: str) -> Lease:
        return Lease(self.server, "elt-operator", "lease", name, lambda: at(self.time))  # type: ignore[arg-type]  # a stand-in

    async def tick(self, *replicas: Lease, seconds: float = 2) -> None:
        """Let time pass, then let each of ``replicas`` try once."""
        self.time += seconds
        for replica in replicas:
            try:
                await replica._try()
            except ApiError:
                assert self.server.away
