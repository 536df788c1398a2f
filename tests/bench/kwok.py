"""The fake node: pods on it run and end at once, so that only controllers and the API server are measured."""

import os
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster import programs
from cluster.components import HOST_ADDRESS
from cluster.local import Local
from cluster.settings import fingerprint

HERE = Path(__file__).resolve().parent
PORT = 10247
NODE = "fake-node"

NODE_MANIFEST = f"""
apiVersion: v1
kind: Node
metadata:
  name: {NODE}
  labels: {{kwok: "true"}}
  annotations: {{kwok.x-k8s.io/node: fake}}
spec:
  taints: [{{key: kwok, effect: NoSchedule}}]
"""


def program(cache: Path) -> Path:
    """Return the path of kwok, built from the version that programs/go.mod pins."""
    folder = cache / "bin" / f"kwok-{fingerprint(HERE / 'programs')}"
    if not (folder / "kwok").exists():
        programs.check_go()
        print("building kwok, which takes two minutes the first time", file=sys.stderr)
        environment = os.environ | {"GOBIN": str(folder), "CGO_ENABLED": "0", "GOWORK": "off"}
        subprocess.run(["go", "install", "-trimpath", "tool"], cwd=HERE / "programs", env=environment, check=True)
    return folder / "kwok"


@contextmanager
def fake_node(local: Local, cache: Path, work: Path) -> Iterator[int]:
    """Have the fake node in the cluster; gives the id of its process."""
    log, stages = work / "pod.log", work / "stages.yaml"
    log.write_text("2026-01-01T00:00:00.000000000Z stdout F a line that every pod has written\n")
    stages.write_text(string.Template((HERE / "stages.yaml").read_text()).safe_substitute(log=log))
    local.kubectl("apply", "--filename=-", stdin=NODE_MANIFEST)
    with (work / "kwok.log").open("w") as output:
        kwok = subprocess.Popen(
            [
                program(cache),
                f"--kubeconfig={local.kubeconfig}",
                f"--config={stages}",
                "--manage-all-nodes=false",
                "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
                f"--node-ip={HOST_ADDRESS}",
                f"--node-port={PORT}",
                f"--server-address={HOST_ADDRESS}:{PORT}",
                f"--tls-cert-file={local.layout.certificate('fake-kubelet')}",
                f"--tls-private-key-file={local.layout.key('fake-kubelet')}",
                "--node-lease-duration-seconds=40",
            ],
            stdout=output,
            stderr=output,
        )
    try:
        _until_ready(local, work / "kwok.log")
        yield kwok.pid
    finally:
        kwok.terminate()
        kwok.wait()
        local.kubectl("delete", "node", NODE, "--ignore-not-found")


def _until_ready(local: Local, log: Path) -> None:
    deadline = time.monotonic() + 30
    while not local.kubectl.node_is_ready(NODE):
        if time.monotonic() > deadline:
            raise SystemExit(f"the fake node did not become ready:\n{log.read_text()[-2000:]}")
        time.sleep(0.2)
