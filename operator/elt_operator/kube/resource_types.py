"""Our resource types: the operator waits until the API server serves them with each field that this version needs."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

import aiohttp

from elt_operator.api import crd, names
from elt_operator.kube.client import ApiError, Client

logger = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 5.0
_FIELDS_TOLD: Final = 5


@dataclass
class ResourceTypes:
    """Whether they are served."""

    client: Client
    wrong: str = "the API server was not asked for the resource types yet"
    """What is missing, and what to do; empty: nothing."""

    def check(self) -> str:
        """Return what is wrong, for a probe."""
        return self.wrong

    async def wait(self) -> None:
        """Return once they are served, and say until then what to do."""
        needed = {kind.plural: crd.fields_of(kind) for kind in crd.KINDS}
        while True:
            try:
                missing = await self.client.unserved(needed)
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                self.wrong = f"the API server does not answer: {type(error).__name__}: {error}"
                logger.warning("waiting: %s", self.wrong)
            else:
                self.wrong = _words(missing)
                if not missing:
                    return
                logger.error("waiting: %s", self.wrong)
            await asyncio.sleep(_RETRY_SECONDS)


def _words(missing: list[str]) -> str:
    """Return what a person has to know about missing fields; empty: nothing is missing."""
    if not missing:
        return ""
    told = ", ".join(missing[:_FIELDS_TOLD]) + (", …" if len(missing) > _FIELDS_TOLD else "")
    return (
        f"the API server does not serve what this version needs of {names.API_VERSION}: {told}. Renew the "
        "CustomResourceDefinitions: `kubectl apply --server-side -f crds/`, or with Helm `crds.enabled=true`"
    )
