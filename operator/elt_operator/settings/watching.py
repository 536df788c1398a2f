"""Which namespaces a program looks after."""

from typing import Annotated

from pydantic_settings import NoDecode

from elt_operator.settings.common import Common


class Watching(Common):
    """The setting of a program that watches Pipelines, Jobs or pods."""

    watch_namespaces: Annotated[str, NoDecode] = ""
    """Namespaces to look after, with commas between them; empty: all."""

    @property
    def namespaces(self) -> list[str]:
        """The namespaces to look after; empty: all."""
        return [name.strip() for name in self.watch_namespaces.split(",") if name.strip()]
