"""Where the credentials come from: a pod's service account, or else KUBECONFIG."""

from kubernetes.aio import config
from kubernetes.aio.client import Configuration

from elt_operator.errors import NotSetUp


async def configuration() -> Configuration:
    """Return where the API server is and who we are there; raises ``NotSetUp``."""
    found = Configuration()
    try:
        config.load_incluster_config(found)  # type: ignore[no-untyped-call]  # untyped package
    except config.ConfigException:
        try:
            await config.load_kube_config(client_configuration=found)  # type: ignore[no-untyped-call]
        except config.ConfigException as error:
            words = f"no access to a cluster: {error} (set KUBECONFIG, or run the operator in a pod)"
            raise NotSetUp(words) from error
    return found
