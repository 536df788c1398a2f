"""Where the credentials come from: a pod's service account, or else KUBECONFIG."""

from kubernetes.aio import config
from kubernetes.aio.client import Configuration


async def configuration() -> Configuration:
    """Return where the API server is and who we are there; raises ``ConfigException``."""
    found = Configuration()
    try:
        config.load_incluster_config(found)  # type: ignore[no-untyped-call]  # untyped package
    except config.ConfigException:
        await config.load_kube_config(client_configuration=found)  # type: ignore[no-untyped-call]
    return found
