"""Builds the images from their Dockerfiles into archives, and prints the archives' paths, one on each line.

Where a Docker engine answers, Docker builds them. Elsewhere buildah does, on a base of its own making: neither an
engine nor a registry is needed then. What has not changed since an earlier build is not built again.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INSTALL = ROOT / "tests" / "cluster" / "install-packages"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
LOG_END_LINES = 40

# Debian's python3 is what the images' default base has, too; minbase keeps it small.
BASE_PACKAGES = ("python3", "python3-venv", "ca-certificates")
BASE_EXCLUDED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
BASE_SUITE = "bookworm"
SETTINGS_OF_PIP = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_DEFAULT_TIMEOUT")


class BuildError(Exception):
    """An image cannot be built; the message says what to do."""


@dataclass(frozen=True)
class Image:
    """One image: its name, its Dockerfile and what the Dockerfile may copy."""

    name: str
    dockerfile: Path
    context: Path
    sources: Sequence[Path] = field(default_factory=tuple)
    """Files and folders that decide what is in the image."""

    @property
    def reference(self) -> str:
        """The full name under which a cluster knows it."""
        return f"localhost/{self.name}:dev"

    def digest(self) -> str:
        """Return a short digest of all that decides what is in the image."""
        found = hashlib.sha256(f"{BASE_SUITE} {BASE_PACKAGES} {BASE_EXCLUDED}".encode())
        for path in files(self.sources):
            found.update(f"{path.relative_to(ROOT)}\0{path.stat().st_mode & 0o111}\0".encode())
            found.update(path.read_bytes() + b"\0")
        return found.hexdigest()[:12]


def files(sources: Sequence[Path]) -> Iterator[Path]:
    """Yield the files at and below ``sources``, in order, without what Python and Meltano leave behind."""
    for source in sources:
        for path in [source] if source.is_file() else sorted(source.rglob("*")):
            if path.is_file() and not {"__pycache__", ".meltano"} & set(path.parts):
                yield path


def _plain(name: str, folder: str) -> Image:
    place = ROOT / "images" / folder
    return Image(name, place / "Dockerfile", place, (place,))


IMAGES = {
    image.name: image
    for image in (
        Image(
            "elt-operator",
            ROOT / "operator" / "Dockerfile",
            ROOT,
            (
                ROOT / "operator",
                ROOT / "requirements" / "runtime.lock",
                ROOT / "pyproject.toml",
                ROOT / "README.md",
                ROOT / "LICENSE",
            ),
        ),
        _plain("elt-test", "elt-test"),
        _plain("elt-postgres", "postgres"),
        _plain("elt-demo", "elt-demo"),
    )
}


def say(words: str) -> None:
    """Tell a person what happens; standard output is for the paths."""
    print(words, file=sys.stderr, flush=True)


def run(command: Sequence[str | Path], log: Path, environment: dict[str, str] | None = None) -> None:
    """Run ``command``, its output into ``log``; raise ``BuildError`` with the log's end when it fails."""
    with log.open("ab") as output:
        ended = subprocess.run(command, stdout=output, stderr=output, check=False, env=environment)
    if ended.returncode:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_END_LINES:])
        raise BuildError(f"{' '.join(map(str, command[:3]))} … failed; the end of {log}:\n{end}")


def docker_answers() -> bool:
    """Whether a Docker engine can build."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def docker_commands(image: Image, archive: Path) -> list[list[str]]:
    """Return the commands that build ``image`` with Docker."""
    return [
        ["docker", "build", "--quiet", "--tag", image.reference, "--file", str(image.dockerfile), str(image.context)],
        ["docker", "save", "--output", str(archive), image.reference],
    ]


def buildah_commands(image: Image, archive: Path, base: str, storage: Path) -> list[list[str]]:
    """Return the commands that build ``image`` with buildah: in a chroot, with the host's network and certificates.

    Only the one file: packages put certificates of their own beside it.
    """
    buildah = ["buildah", "--root", str(storage / "root"), "--runroot", str(storage / "run")]
    build = [
        *buildah,
        "bud",
        "--layers",
        "--isolation=chroot",
        "--network=host",
        f"--build-arg=BASE={base}",
        f"--build-arg=SSL_CERT_FILE={CERTIFICATES}",
        *(f"--build-arg={name}={os.environ[name]}" for name in SETTINGS_OF_PIP if name in os.environ),
        f"--volume={CERTIFICATES}:{CERTIFICATES}:ro",
        "--volume=/etc/resolv.conf:/etc/resolv.conf:ro",
        f"--file={image.dockerfile}",
        f"--tag={image.reference}",
        str(image.context),
    ]
    # The reference in full: with a tag alone the archive imports as nothing, and no tool complains.
    return [build, [*buildah, "push", "--quiet", image.reference, f"oci-archive:{archive}:{image.reference}"]]


def base_digest() -> str:
    """Return a short digest of what the base is made of."""
    return hashlib.sha256(f"{BASE_SUITE} {BASE_PACKAGES} {BASE_EXCLUDED}".encode()).hexdigest()[:12]


def make_base(storage: Path, log: Path) -> str:
    """Make the base image in buildah's storage, unless it is there; return its name."""
    reference = f"localhost/elt-base:{base_digest()}"
    buildah = ["buildah", "--root", str(storage / "root"), "--runroot", str(storage / "run")]
    if (
        subprocess.run([*buildah, "inspect", "--type=image", reference], capture_output=True, check=False).returncode
        == 0
    ):
        return reference
    say("  making the base of the images from Debian's packages (about a minute)")
    tar = storage / "base.tar"
    run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            f"--include={','.join(BASE_PACKAGES)}",
            *(f"--dpkgopt=path-exclude={path}" for path in BASE_EXCLUDED),
            BASE_SUITE,
            tar,
        ],
        log,
    )
    started = subprocess.run([*buildah, "from", "scratch"], capture_output=True, text=True, check=True)
    container = started.stdout.strip()
    run([*buildah, "add", "--quiet", container, tar, "/"], log)
    run([*buildah, "config", "--cmd", "/bin/sh", container], log)
    run([*buildah, "commit", "--quiet", container, reference], log)
    run([*buildah, "rm", container], log)
    tar.unlink()
    return reference


def install_builder(log: Path) -> None:
    """Install buildah and mmdebstrap where they are missing, or say how."""
    missing = [program for program in ("buildah", "mmdebstrap") if not shutil.which(program)]
    if missing:
        say(f"  installing {' and '.join(missing)}")
        run([INSTALL, *missing], log)


def build(image: Image, cache: Path, *, docker: bool) -> Path:
    """Return the archive of ``image``, built now if it is not there yet; older ones of it are removed."""
    archive = cache / f"{image.name}-{image.digest()}.tar"
    if archive.exists():
        return archive
    say(f"building image {image.reference}")
    log, new = cache / f"{image.name}.log", cache / f"{image.name}.new"
    log.unlink(missing_ok=True)
    new.unlink(missing_ok=True)
    if docker:
        commands = docker_commands(image, new)
    else:
        install_builder(log)
        storage = cache / "storage"
        storage.mkdir(exist_ok=True)
        commands = buildah_commands(image, new, make_base(storage, log), storage)
    for command in commands:
        run(command, log)
    for older in cache.glob(f"{image.name}-????????????.tar"):
        older.unlink()
    new.rename(archive)
    return archive


@contextmanager
def alone(cache: Path) -> Iterator[None]:
    """Wait until no other build uses the cache."""
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another build to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Build the images that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="IMAGE", help=f"some of: {', '.join(IMAGES)}; all when absent")
    names = parser.parse_args().names or list(IMAGES)
    if unknown := set(names) - set(IMAGES):
        parser.error(f"no such image: {', '.join(sorted(unknown))}; there are {', '.join(IMAGES)}")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = home / "elt-operator" / "images"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with alone(cache):
            docker = docker_answers()
            for name in names:
                print(build(IMAGES[name], cache, docker=docker), flush=True)
    except BuildError as error:
        sys.exit(f"images: {error}")


if __name__ == "__main__":
    main()
