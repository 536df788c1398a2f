"""Which store a setting means."""

from pathlib import Path

from elt_operator.logs.object_store import ObjectStore
from elt_operator.logs.store import Store, Volume


def opened(url: str) -> Store:
    """Return the store at a path, or at a URL like s3://BUCKET/PREFIX; raises ``NotSetUp``."""
    return Volume(Path(url)) if url.startswith("/") else ObjectStore.at(url)
