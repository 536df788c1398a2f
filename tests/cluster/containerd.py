"""The local cluster's store of images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.console import output_of, say, wait_until
from cluster.errors import ClusterError
from cluster.images import for_this_machine, images_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cluster.images import Image

IMPORT_SECONDS = 600
ARRIVAL_SECONDS = 30


@dataclass(frozen=True)
class ImageStore:
    """The images that pods can use."""

    ctr: Callable[..., str]
    """Runs containerd's own client with the given words and returns what it prints."""

    @classmethod
    def behind(cls, socket: Path) -> ImageStore:
        """Return the store of the containerd that listens at ``socket``."""

        def ctr(*words: str) -> str:
            connect = ["ctr", f"--address={socket}", "--namespace=k8s.io"]
            return output_of([*connect, *words], timeout_seconds=IMPORT_SECONDS)

        return cls(ctr)

    def load(self, archive: Path) -> list[Image]:
        """Make every image of ``archive`` usable and return those that were not there already.

        Raise ``ClusterError`` when one does not arrive: an import that finds nothing to its liking reports success.
        """
        images = images_in(archive)
        missing = [image for image in images if not self.has(image)]
        if missing:
            say(f"loading {archive}")
            self.ctr("images", "import", str(archive))
            for image in missing:
                self._give_full_name(image)
                self._check_arrival(image, archive)
        return missing

    def has(self, image: Image) -> bool:
        """Tell whether pods that ask for the image's reference get this very image."""
        return self._usable().get(image.reference) is not None and self._config_of(image.reference) == image.config

    def _give_full_name(self, image: Image) -> None:
        """Replace a short name that containerd took over as it was: with one the kubelet can start nothing any more."""
        if image.written != image.reference and image.written in self._all():
            self.ctr("images", "tag", "--force", image.written, image.reference)
            self.ctr("images", "remove", image.written)

    def _check_arrival(self, image: Image, archive: Path) -> None:
        try:
            wait_until(
                lambda: self.has(image),
                f"the image {image.reference} of {archive} in the cluster",
                seconds=ARRIVAL_SECONDS,
            )
        except ClusterError as error:
            present = "\n  ".join(sorted(self._usable())) or "none"
            raise ClusterError(f"{error}\nimages that are there:\n  {present}") from None

    def _usable(self) -> dict[str, str]:
        """Return digests by reference of the images that the kubelet's side of containerd knows as well."""
        return {row[0]: row[2] for row in self._all().values() if "io.cri-containerd.image=managed" in row[-1]}

    def _all(self) -> dict[str, list[str]]:
        """Return containerd's own list of images by reference."""
        rows = (line.split() for line in self.ctr("images", "list").splitlines()[1:])
        return {row[0]: row for row in rows}

    def _config_of(self, reference: str) -> str | None:
        document = json.loads(self.ctr("content", "get", self._usable()[reference]))
        while "manifests" in document:
            document = json.loads(self.ctr("content", "get", for_this_machine(document["manifests"])["digest"]))
        return str(document["config"]["digest"])
