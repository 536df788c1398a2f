"""The verdict of kstatus, which Flux and Helm 4 go by, on a custom resource.

The rules and their order are those of sigs.k8s.io/cli-utils, pkg/kstatus/status/generic.go.
"""

from typing import Any


def kstatus(body: dict[str, Any]) -> str:
    """Return Terminating, InProgress, Failed or Current."""
    metadata, status = body["metadata"], body.get("status", {})
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    if "observedGeneration" in status and status["observedGeneration"] != metadata["generation"]:
        return "InProgress"
    conditions = status.get("conditions", [])
    for condition in conditions:
        if (condition["type"], condition["status"]) == ("Reconciling", "True"):
            return "InProgress"
        if (condition["type"], condition["status"]) == ("Stalled", "True"):
            return "Failed"
    ready = [condition["status"] for condition in conditions if condition["type"] == "Ready"]
    return "Current" if ready in ([], ["True"]) else "InProgress"
