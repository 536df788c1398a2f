"""Whose rights count: those of whoever asks. A token is asked about, never believed."""

from dataclasses import dataclass
from typing import Final

from elt_operator.api.refusals import NOT_FOUND, Refused
from elt_operator.kube.reviews import Reviews
from elt_operator.resources import names

EVERYWHERE: Final = ""
"""Instead of a namespace: in all of them."""


@dataclass(frozen=True)
class Rights:
    """Answers what the bearer of a token may do with Pipelines and Jobs."""

    reviews: Reviews

    async def may(self, token: str, verb: str, resource: str, namespace: str, name: str = "") -> bool:
        """Return whether somebody may do something; raises ``BadToken``, and what keeps anybody from knowing it.

        ``resource`` may be ``eltjobs/log``. Most may do it with all of a namespace, or with none.
        """
        plural, _, subresource = resource.partition("/")
        attributes = {
            "group": names.GROUP, "resource": plural, "subresource": subresource, "verb": verb,
            "namespace": namespace, "name": "",
        }  # fmt: skip
        if await self.reviews.may(token, attributes):
            return True
        return bool(name) and await self.reviews.may(token, {**attributes, "name": name})

    async def need(self, token: str, verb: str, resource: str, namespace: str, name: str = "") -> None:
        """Raise ``Refused`` with 404 unless somebody may do something."""
        if not await self.may(token, verb, resource, namespace, name):
            raise Refused(NOT_FOUND)
