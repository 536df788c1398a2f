"""Our resource types: the operator waits until the API server serves them with each field that this version needs."""

import asyncio
import logging
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from elt_operator.kube.client import Client
from elt_operator.kube.errors import ApiError, NotFound, Unreadable
from elt_operator.resources import crd, names

logger = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 5.0
_FIELDS_TOLD: Final = 5


@dataclass
class ResourceTypes:
    """Whether they are served."""

    client: Client
    wrong: str = "the API server has not been asked for the resource types yet"
    """What is missing, and what to do; empty: nothing."""

    def check(self) -> str:
        """Return what is wrong, for a probe."""
        return self.wrong

    async def wait(self) -> None:
        """Return once they are served, and say until then what to do."""
        needed = {kind.plural: crd.fields_of(kind) for kind in crd.KINDS}
        while True:
            try:
                missing = await self._unserved(needed)
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                self.wrong = f"the API server is not responding: {type(error).__name__}: {error}"
                logger.warning("waiting: %s", self.wrong)
            else:
                self.wrong = _words(missing)
                if not missing:
                    return
                logger.error("waiting: %s", self.wrong)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _unserved(self, needed: Mapping[str, AbstractSet[str]]) -> list[str]:
        """Return which of ``needed``, fields by the plural of their resource, the API server does not serve.

        It says so itself in its OpenAPI document, which needs no right beyond Kubernetes' own `system:discovery`.
        """
        try:
            kinds = await self.client.request("GET", names.API_ROOT)
            document = await self.client.request("GET", f"/openapi/v3{names.API_ROOT}")
        except NotFound:
            return sorted(needed)
        return unserved(needed, kinds, document)


def unserved(needed: Mapping[str, AbstractSet[str]], kinds: Any, document: Any) -> list[str]:
    """Return which of ``needed``, fields by the plural of their resource, is not served.

    ``kinds`` are the resources of our group as the API server lists them, ``document`` is its OpenAPI document. Raises
    ``Unreadable`` for anything else.
    """
    try:
        served = {resource["name"]: resource["kind"] for resource in kinds["resources"] if "/" not in resource["name"]}
        schemas = {
            schema["x-kubernetes-group-version-kind"][0]["kind"]: schema
            for schema in document["components"]["schemas"].values()
            if schema.get("x-kubernetes-group-version-kind")
        }
        return [one for plural, wanted in needed.items() for one in _missing(plural, wanted, schemas, served)]
    except (AttributeError, LookupError, TypeError, RecursionError) as error:
        message = f"the API server's list of its resources cannot be read ({type(error).__name__})"
        raise Unreadable(200, "Unreadable", message) from error


def _missing(plural: str, wanted: AbstractSet[str], schemas: Mapping[str, Any], served: Mapping[str, str]) -> list[str]:
    """Return the resource if it is not served, or else those of its fields that are not."""
    schema = schemas.get(served.get(plural, ""))
    return [plural] if schema is None else [f"{plural}.{field}" for field in sorted(wanted - crd.fields(schema))]


def _words(missing: list[str]) -> str:
    """Return what a person has to know about missing fields; empty: nothing is missing."""
    if not missing:
        return ""
    told = ", ".join(missing[:_FIELDS_TOLD]) + (", …" if len(missing) > _FIELDS_TOLD else "")
    return (
        f"the API server does not serve everything that this version needs from {names.API_VERSION}: {told}. Update "
        "the CustomResourceDefinitions: `kubectl apply --server-side -f crds/`, or with Helm `crds.enabled=true`"
    )
