"""What `helm test` runs in a pod: are the operator's resources served, and is the operator ready?

Arguments: the API server's URL, the folder of the service account's files, the Deployment's namespace and name.
"""

import json
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

server, account, namespace, deployment = sys.argv[1:]
token = Path(account, "token").read_text(encoding="utf-8")
trusted = ssl.create_default_context(cafile=Path(account, "ca.crt"))


def read(path: str) -> Any:
    """Return what the API server has at ``path``; nothing where it has none."""
    request = urllib.request.Request(server + path, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=30, context=trusted) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        if refusal.code == 404:
            return {}
        raise


served = {resource["name"] for resource in read("/apis/elt-operator.io/v1alpha1").get("resources", [])}
missing = sorted({"eltpipelines", "eltjobs"} - served)
if missing:
    sys.exit(f"the API server does not serve {' and '.join(missing)}: kubectl apply --server-side -f crds/")

state = read(f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}").get("status", {})
if not state.get("readyReplicas"):
    sys.exit(f"no pod of {deployment} is ready: kubectl -n {namespace} describe deployment {deployment}")

print(f"the API server serves eltpipelines and eltjobs; {state['readyReplicas']} pod(s) of {deployment} are ready")
