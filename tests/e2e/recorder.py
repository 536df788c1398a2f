"""Keeps what the API server said of a run and its pods, for the unit tests of the rules: `make record`."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any

from kubernetes import watch

from e2e.endings import Ending
from e2e.world import Body, Namespace, batch, core, plain

KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp",
        "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences")  # fmt: skip
KEPT_OF_SPEC = {"suspend", "nodeName", "backoffLimit", "activeDeadlineSeconds"}
KEPT_OF_CONTAINER = {"name", "image", "command"}
OF_A_DELETION = ("deletionTimestamp", "deletionGracePeriodSeconds")
ADDRESSES = {"hostIP", "hostIPs", "podIP", "podIPs"}


def trimmed(body: Body) -> Body:
    """Return what decisions may look at."""
    containers = [
        {name: value for name, value in container.items() if name in KEPT_OF_CONTAINER}
        for container in body["spec"].get("containers", [])
    ]
    return {
        "metadata": {name: value for name, value in body["metadata"].items() if name in KEPT},
        "spec": {
            **{name: value for name, value in body["spec"].items() if name in KEPT_OF_SPEC},
            **({"containers": containers} if containers else {}),
        },
        "status": {name: value for name, value in body["status"].items() if name not in ADDRESSES},
    }


class Recorder:
    """Watches a namespace and writes down the last of each run and pod, and when its deletion was first told.

    It does nothing without a folder.
    """

    def __init__(self, namespace: Namespace, ending: Ending, folder: str | None) -> None:
        self.namespace, self.ending, self.folder = namespace, ending, folder
        self.last: dict[str, dict[str, Body]] = {"runs": {}, "pods": {}}
        self.watches: list[watch.Watch] = []

    def __enter__(self) -> None:
        if self.folder:
            for kind, listing in (("runs", batch().list_namespaced_job), ("pods", core().list_namespaced_pod)):
                stream = watch.Watch()
                self.watches.append(stream)
                Thread(target=self._keep, args=(kind, stream.stream(listing, self.namespace.name)), daemon=True).start()

    def _keep(self, kind: str, events: Iterator[Any]) -> None:
        with suppress(Exception):  # the stream ends with the test
            for event in events:
                body = plain(event["object"])
                gone, metadata = event["type"] == "DELETED", body["metadata"]
                known = self.last[kind].get(metadata["uid"], {})
                deletion = {name: metadata[name] for name in OF_A_DELETION if name in metadata}
                first = known.get("deletion") or deletion
                self.last[kind][metadata["uid"]] = {"gone": gone, "body": trimmed(body), "deletion": first}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.folder:
            return
        time.sleep(1)  # for our watches to have seen what the operator's had
        for stream in self.watches:
            stream.stop()
        job = self.namespace.get(self.ending.looked_at)
        told = {name: job["status"].get(name) for name in ("phase", "reason", "exitCode", "logTail")}
        recorded = {kind: list(of_kind.values()) for kind, of_kind in self.last.items()}
        text = json.dumps({"told": told, **recorded}, indent=1, sort_keys=True)
        (Path(self.folder) / f"{self.ending.file_name}.json").write_text(text + "\n")
