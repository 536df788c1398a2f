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
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parent.parent
INSTALL_PACKAGES = ROOT / "tests" / "cluster" / "install-packages"
LOG_END_LINES = 30

# Debian's Python, since two of three images need one. `usr-is-merged` and its hook stand in for a package that does
# the same at run time and brings all of Perl along, a quarter of the base.
BASE_SUITE = "bookworm"
BASE_PACKAGES = ("python3", "python3-venv", "ca-certificates", "usr-is-merged")
BASE_HOOKS = "/usr/share/mmdebstrap/hooks/merged-usr"
BASE_WITHOUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")

# All files of what has to come out the same every time get one date, the one that hatchling gives to those of a wheel.
DATE = 1_580_601_600  # 2020-02-02
# Bytecode that looks at no date: else Python would find all of it stale, and compile again at each start.
COMPILE = "python3 -m compileall -qf --invalidation-mode=unchecked-hash"
BASE_ENDS = (
    ': > "$1/etc/hostname"',  # which are the machine's until here
    ': > "$1/etc/resolv.conf"',
    f'PYTHONHASHSEED=0 chroot "$1" {COMPILE} /usr/lib /usr/share/python3',
)

# Where Debian and its descendants keep the certificates of authorities: in the images, and often on the host.
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
RESOLVER = Path("/etc/resolv.conf")
INDEX_SETTINGS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_DEFAULT_TIMEOUT")

# Left behind by tools in the folders that are built from; .dockerignore names the same.
LEFTOVERS = {"__pycache__", ".meltano", ".mypy_cache", ".ruff_cache"}

Command = list[str]


class BuildError(Exception):
    """An image cannot be built; the message says why and what to do."""


@dataclass(frozen=True)
class Image:
    """One image: its name, its Dockerfile and what decides what is in it. All paths are relative to the repository."""

    name: str
    dockerfile: Path
    context: Path
    sources: Sequence[Path]
    """Files and folders that the Dockerfile copies from, and the Dockerfile."""
    reproducible: bool = False
    """Whether each build of it gives the same; nothing in it may mind that all files have one date."""
    tag: str = "dev"
    """Of a released image its version, with which its name ends."""

    @property
    def reference(self) -> str:
        """The full name under which a cluster knows it."""
        return f"localhost/{self.name.removesuffix(f'-{self.tag}')}:{self.tag}"

    @classmethod
    def of_folder(cls, name: str, folder: str) -> "Image":
        """Return the image whose Dockerfile and context are one folder below images/."""
        place = Path("images", folder)
        return cls(name, place / "Dockerfile", place, (place,))


OPERATOR = Image(
    "elt-operator",
    Path("operator/Dockerfile"),
    Path(),
    tuple(
        map(
            Path,
            (
                ".dockerignore",
                "LICENSE",
                "README.md",
                "operator",
                "pyproject.toml",
                "requirements/build.lock",
                "requirements/runtime.lock",
            ),
        )
    ),
    reproducible=True,
)
IMAGES: Mapping[str, Image] = {
    image.name: image
    for image in (
        OPERATOR,
        Image.of_folder("elt-test", "elt-test"),
        Image.of_folder("elt-postgres", "postgres"),
        Image.of_folder("elt-demo", "elt-demo"),
        Image.of_folder("elt-tools", "elt-tools"),
    )
}

RELEASES = Path("tests/helm/releases")
RELEASED: Mapping[str, Image] = {
    "elt-operator-0.1.0": Image(
        "elt-operator-0.1.0",
        RELEASES / "Dockerfile",
        Path(),
        (
            Path(".dockerignore"),
            Path("requirements/runtime.lock"),
            RELEASES / "Dockerfile",
            RELEASES / "elt_operator-0.1.0-py3-none-any.whl",
        ),
        reproducible=True,
        tag="0.1.0",
    ),
}
"""What tests upgrade from; built when it is named only."""


@dataclass(frozen=True)
class Host:
    """What a build takes over from the machine it runs on."""

    certificates: Path | None = None
    """A file with the authorities that the machine trusts, perhaps one of its own among them."""
    resolver: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of pip: where to get packages from, and how patiently."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Host":
        """Return what ``environment`` and this machine's files say."""
        certificates = Path(environment.get("SSL_CERT_FILE") or CERTIFICATES)
        return cls(
            certificates if certificates.is_file() else None,
            RESOLVER if RESOLVER.is_file() else None,
            {name: environment[name] for name in INDEX_SETTINGS if environment.get(name)},
        )


# ---------------------------------------------------------------------------- what is built: digests


def files(sources: Iterable[Path], root: Path = ROOT) -> Iterator[Path]:
    """Yield the files at and below ``sources``, relative to ``root``, in order and without leftovers."""
    for source in sources:
        place = root / source
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            relative = path.relative_to(root)
            if path.is_file() and LEFTOVERS.isdisjoint(relative.parts):
                yield relative


def digest(sources: Iterable[Path], recipe: Iterable[Command], root: Path = ROOT) -> str:
    """Return a short digest of the files at and below ``sources`` and of the commands that make something of them."""
    found = hashlib.sha256(repr(list(recipe)).encode())
    for path in files(sources, root):
        content = (root / path).read_bytes()
        executable = (root / path).stat().st_mode & 0o111 != 0
        found.update(f"{path} {executable} {len(content)}\n".encode() + content)
    return found.hexdigest()[:12]


# ---------------------------------------------------------------------------- how it is built: commands


class Builder(Protocol):
    """What turns Dockerfiles into archives."""

    def recipe(self, image: Image) -> list[Command]:
        """Return what an archive depends on besides its files: the same on every machine, in every checkout."""

    def prepare(self, log: Path) -> None:
        """Have all that ``commands`` need, and nothing of a build that was killed."""

    def commands(self, image: Image, archive: Path) -> list[Command]:
        """Return the commands that build ``image`` into ``archive``; they run in the repository's root."""

    def tidy(self, log: Path) -> None:
        """Drop what is of no more use."""


def build_arguments(settings: Mapping[str, str]) -> list[str]:
    """Return options for values that a Dockerfile may declare as ARG."""
    return [f"--build-arg={name}={value}" for name, value in sorted(settings.items())]


@dataclass(frozen=True)
class Docker:
    """Builds with a Docker engine, on the bases that the Dockerfiles name."""

    host: Host = field(default_factory=Host)

    def recipe(self, image: Image) -> list[Command]:
        return Docker().commands(image, Path("archive"))

    def prepare(self, log: Path) -> None:
        pass

    def commands(self, image: Image, archive: Path) -> list[Command]:
        build = ["docker", "build", f"--tag={image.reference}", f"--file={image.dockerfile}"]
        return [
            [*build, *build_arguments(self.host.settings), str(image.context)],
            ["docker", "save", f"--output={archive}", image.reference],
        ]

    def tidy(self, log: Path) -> None:
        pass


@dataclass(frozen=True)
class Buildah:
    """Builds without an engine, in a chroot with the host's network, on a base made of Debian's packages."""

    folder: Path = Path("buildah")
    """Where its images and layers are, and the base's files."""
    host: Host = field(default_factory=Host)

    def recipe(self, image: Image) -> list[Command]:
        return Buildah().commands(image, Path("archive"))

    def commands(self, image: Image, archive: Path) -> list[Command]:
        build = [
            *self._buildah("bud", "--layers", "--isolation=chroot", "--network=host"),
            *([f"--timestamp={DATE}"] if image.reproducible else []),
            *self._host_options(),
            f"--build-arg=BASE={self.base()}",
            f"--file={image.dockerfile}",
            f"--tag={image.reference}",
            str(image.context),
        ]
        # The name in full: with a tag alone the archive imports as nothing, and no tool complains. Packed by tar, since
        # buildah's own archives have the time in them.
        push = self._buildah("push", "--quiet", image.reference, f"oci:{self._unpacked}:{image.reference}")
        pack = [
            *("tar", "--create", f"--file={archive}", f"--directory={self._unpacked}", "--remove-files"),
            *("--sort=name", f"--mtime=@{DATE}", "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX"),
            *("blobs", "index.json", "oci-layout"),
        ]
        return [build, push, pack]

    def base(self) -> str:
        """Return the name of the base, which changes with what is in it."""
        recipe = [self._base_tar(Path("base.tar"))]
        return f"localhost/elt-base:{digest([Path('images/base.Dockerfile')], recipe)}"

    def prepare(self, log: Path) -> None:
        missing = [program for program in ("buildah", "mmdebstrap") if not shutil.which(program)]
        if missing:
            install(missing)
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._unpacked, ignore_errors=True)
        run(self._buildah("rm", "--all"), log)
        if not succeeds(self._buildah("inspect", "--type=image", self.base())):
            self._make_base(log)

    def tidy(self, log: Path) -> None:
        run(self._buildah("rmi", "--prune"), log)

    def _make_base(self, log: Path) -> None:
        tar = self.folder / f"base-{self.base().rpartition(':')[2]}" / "base.tar"
        if not tar.exists():
            say("  making the base of the images from Debian's packages, which takes about a minute")
            for older in self.folder.glob("base-*"):
                shutil.rmtree(older)
            tar.parent.mkdir()
            new = tar.with_suffix(".new")
            run(self._base_tar(new), log)
            new.rename(tar)
        build = ("bud", f"--timestamp={DATE}", "--file=images/base.Dockerfile", f"--tag={self.base()}")
        run(self._buildah(*build, str(tar.parent)), log)

    def _base_tar(self, tar: Path) -> Command:
        return [
            *("env", f"SOURCE_DATE_EPOCH={DATE}", "mmdebstrap", "--quiet", "--variant=minbase", "--format=tar"),
            f"--include={','.join(BASE_PACKAGES)}",
            f"--hook-dir={BASE_HOOKS}",
            *(f"--dpkgopt=path-exclude={path}" for path in BASE_WITHOUT),
            *(f"--customize-hook={hook}" for hook in BASE_ENDS),
            BASE_SUITE,
            str(tar),
        ]

    @property
    def _unpacked(self) -> Path:
        return self.folder / "unpacked"

    def _buildah(self, *words: str) -> Command:
        return ["buildah", f"--root={self.folder / 'root'}", f"--runroot={self.folder / 'run'}", *words]

    def _host_options(self) -> list[str]:
        options = build_arguments(self.host.settings)
        if self.host.certificates:
            # Only the one file, and only while building: packages put certificates of their own beside it.
            options += [
                f"--volume={self.host.certificates}:{CERTIFICATES}:ro",
                f"--build-arg=SSL_CERT_FILE={CERTIFICATES}",
            ]
        if self.host.resolver:
            options.append(f"--volume={self.host.resolver}:{RESOLVER}:ro")
        return options


def docker_answers() -> bool:
    """Whether a Docker engine can build."""
    return shutil.which("docker") is not None and succeeds(["docker", "info"])


# ---------------------------------------------------------------------------- carrying it out


def say(words: str) -> None:
    """Tell a person what happens; standard output is for the paths."""
    print(words, file=sys.stderr, flush=True)


def succeeds(command: Command) -> bool:
    """Whether ``command`` ends with exit code 0; nothing of it is seen."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run(command: Command, log: Path) -> None:
    """Run ``command`` in the repository's root, its output into ``log``; raises ``BuildError`` with the log's end."""
    with log.open("ab") as output:
        output.write(f"\n$ {' '.join(command)}\n".encode())
        output.flush()
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, cwd=ROOT)
    if ended.returncode:
        end = "\n".join(f"  | {line}" for line in log.read_text(errors="replace").splitlines()[-LOG_END_LINES:])
        raise BuildError(f"{command[0]} failed with exit code {ended.returncode}; the end of {log}:\n{end}")


def install(packages: Sequence[str]) -> None:
    """Install Debian packages; raises ``BuildError`` where that is not for us to do, after the command to type."""
    say(f"  installing {' and '.join(packages)}")
    if subprocess.run([INSTALL_PACKAGES, *packages], stdout=sys.stderr, check=False).returncode:
        raise BuildError("building needs the packages above, or a Docker engine")


def archive_of(image: Image, builder: Builder, cache: Path) -> Path:
    """Return where the archive of ``image``, as it is now, belongs."""
    return cache / f"{image.name}-{digest(image.sources, builder.recipe(image))}.tar"


def build(image: Image, builder: Builder, cache: Path) -> Path:
    """Return the archive of ``image``, built now if it is not there; older ones of it are removed."""
    archive = archive_of(image, builder, cache)
    if archive.exists():
        return archive
    started = time.monotonic()
    say(f"building {image.reference}")
    log, new = cache / f"{image.name}.log", cache / f"{image.name}.new"
    for of_an_earlier_build in (log, new):
        of_an_earlier_build.unlink(missing_ok=True)
    for command in builder.commands(image, new):
        run(command, log)
    for older in cache.glob(f"{image.name}-????????????.tar"):
        older.unlink()
    new.rename(archive)
    say(f"  {archive.stat().st_size / 1e6:.0f} MB in {time.monotonic() - started:.0f} s")
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


def build_all(images: Sequence[Image], cache: Path) -> None:
    """Build ``images`` and print where each is as soon as it is there; what needs no build waits for none."""
    cache.mkdir(parents=True, exist_ok=True)
    host = Host.read(os.environ)
    builder: Builder = Docker(host) if docker_answers() else Buildah(cache / "buildah", host)
    archives = [archive_of(image, builder, cache) for image in images]
    if all(archive.exists() for archive in archives):
        print(*archives, sep="\n")
        return
    with alone(cache):
        log = cache / "builder.log"
        log.unlink(missing_ok=True)
        builder.prepare(log)
        for image in images:
            print(build(image, builder, cache), flush=True)
        builder.tidy(log)


def main() -> None:
    """Build the images that are named, or all but the released ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = {**IMAGES, **RELEASED}
    absent = f"without any, all except {', '.join(RELEASED)}"
    parser.add_argument("names", nargs="*", metavar="IMAGE", help=f"some of: {', '.join(known)}; {absent}")
    names = parser.parse_args().names or list(IMAGES)
    if unknown := set(names) - set(known):
        parser.error(f"no such image: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "elt-operator", "images")
    try:
        build_all([known[name] for name in names], cache)
    except BuildError as error:
        sys.exit(f"images: {error}\nFix that, then run the same command again. Without {cache}, everything is rebuilt.")
    except KeyboardInterrupt:
        sys.exit("images: interrupted")


if __name__ == "__main__":
    main()
