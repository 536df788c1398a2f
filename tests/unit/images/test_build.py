"""How images are built: what decides whether one is built again, with which commands, and what a person reads."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from images import build
from images.build import IMAGES, OPERATOR, RELEASED, ROOT, Buildah, Docker, Host, Image, alone, digest, files

WEATHER = Image("weather", Path("weather/Dockerfile"), Path("weather"), (Path("weather"),))
ALL = {**IMAGES, **RELEASED}
A_HOST = Host(Path("/etc/authorities.pem"), Path("/etc/resolv.conf"), {"PIP_INDEX_URL": "https://pip.example.com"})


# --- what decides: digests


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one image's folder in it."""
    folder = tmp_path / "weather"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "tap").write_text("1")
    return tmp_path


def change_content(folder: Path) -> None:
    (folder / "tap").write_text("2")


def change_name(folder: Path) -> None:
    (folder / "tap").rename(folder / "target")


def change_mode(folder: Path) -> None:
    (folder / "tap").chmod(0o755)


def add_file(folder: Path) -> None:
    (folder / "new").touch()


def change_time(folder: Path) -> None:
    os.utime(folder / "tap", (0, 0))


def leave_behind(folder: Path) -> None:
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "tap.pyc").touch()


@pytest.mark.parametrize(
    ("change", "other"),
    [
        pytest.param(change_content, True, id="a file's content"),
        pytest.param(change_name, True, id="a file's name"),
        pytest.param(change_mode, True, id="whether a file is executable"),
        pytest.param(add_file, True, id="an empty file more"),
        pytest.param(change_time, False, id="not a file's time"),
        pytest.param(leave_behind, False, id="not what tools leave behind"),
    ],
)
def test_an_image_is_another_when_something_in_it_changed(
    root: Path, change: Callable[[Path], None], other: bool
) -> None:
    before = digest(WEATHER.sources, [], root)

    change(root / "weather")

    assert (digest(WEATHER.sources, [], root) != before) == other


def test_an_image_is_another_when_it_is_made_in_another_way(root: Path) -> None:
    assert digest(WEATHER.sources, [["docker", "build"]], root) != digest(WEATHER.sources, [["buildah", "bud"]], root)


def test_the_machine_does_not_decide_what_is_in_an_image() -> None:
    assert Docker(A_HOST).recipe(WEATHER) == Docker().recipe(WEATHER)
    assert Buildah(Path("/elsewhere"), A_HOST).recipe(WEATHER) == Buildah().recipe(WEATHER)


# --- with which commands


def test_docker_builds_on_the_bases_of_the_dockerfiles() -> None:
    assert Docker(A_HOST).commands(WEATHER, Path("/cache/weather.new")) == [
        [
            "docker",
            "build",
            "--tag=localhost/weather:dev",
            "--file=weather/Dockerfile",
            "--build-arg=PIP_INDEX_URL=https://pip.example.com",
            "weather",
        ],
        ["docker", "save", "--output=/cache/weather.new", "localhost/weather:dev"],
    ]


def test_buildah_builds_in_a_chroot_on_a_base_of_its_own() -> None:
    builder = Buildah(Path("/cache/buildah"), A_HOST)
    buildah = ["buildah", "--root=/cache/buildah/root", "--runroot=/cache/buildah/run"]

    assert builder.commands(WEATHER, Path("/cache/weather.new")) == [
        [
            *buildah,
            "bud",
            "--layers",
            "--isolation=chroot",
            "--network=host",
            "--build-arg=PIP_INDEX_URL=https://pip.example.com",
            "--volume=/etc/authorities.pem:/etc/ssl/certs/ca-certificates.crt:ro",
            "--build-arg=SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
            "--volume=/etc/resolv.conf:/etc/resolv.conf:ro",
            f"--build-arg=BASE={builder.base()}",
            "--file=weather/Dockerfile",
            "--tag=localhost/weather:dev",
            "weather",
        ],
        [*buildah, "push", "--quiet", "localhost/weather:dev", "oci:/cache/buildah/unpacked:localhost/weather:dev"],
        [
            "tar",
            "--create",
            "--file=/cache/weather.new",
            "--directory=/cache/buildah/unpacked",
            "--remove-files",
            "--sort=name",
            f"--mtime=@{build.DATE}",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "--mode=u=rwX,go=rX",
            "blobs",
            "index.json",
            "oci-layout",
        ],
    ]


def test_only_a_reproducible_image_gets_one_date_for_all_files() -> None:
    dated = [name for name, image in ALL.items() if f"--timestamp={build.DATE}" in Buildah().recipe(image)[0]]

    assert dated == ["elt-operator", "elt-operator-0.1.0"]


def test_a_host_without_certificates_mounts_none() -> None:
    command = Buildah(host=Host()).commands(WEATHER, Path("x"))[0]

    assert not [word for word in command if "volume" in word or "SSL_CERT_FILE" in word]


def test_a_host_is_known_by_its_environment(tmp_path: Path) -> None:
    authorities = tmp_path / "authorities.pem"
    authorities.touch()
    environment = {"SSL_CERT_FILE": str(authorities), "PIP_DEFAULT_TIMEOUT": "60", "PIP_INDEX_URL": "", "HOME": "/root"}

    host = Host.read(environment)

    assert host.certificates == authorities
    assert host.settings == {"PIP_DEFAULT_TIMEOUT": "60"}


def test_the_base_is_another_when_there_is_more_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Buildah().base()

    monkeypatch.setattr(build, "BASE_PACKAGES", (*build.BASE_PACKAGES, "tini"))

    assert Buildah().base() != before


# --- the images of this repository

COPIES = re.compile(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", re.MULTILINE)


LOCKS = sorted([*(ROOT / "requirements").glob("*.lock"), *(ROOT / "images").glob("*/requirements.lock")])


def pip_commands(dockerfile: str) -> list[str]:
    """Return the commands by which pip puts something into an image, or fetches it for one."""
    commands = re.split(r"&&|\nRUN ", dockerfile.replace("\\\n", " "))
    return [command for command in commands if re.search(r"/pip .*\b(install|download)\b", command)]


@pytest.mark.parametrize("image", ALL.values(), ids=ALL)
def test_what_pip_takes_from_an_index_is_held_against_a_hash(image: Image) -> None:
    for command in pip_commands((ROOT / image.dockerfile).read_text()):
        assert "--no-index" in command or "--require-hashes" in command


def test_no_sources_from_an_index_are_run_to_build_them() -> None:
    for image in IMAGES.values():
        for command in pip_commands((ROOT / image.dockerfile).read_text()):
            assert "--no-index" in command or "--only-binary=:all:" in command


def test_meltano_has_no_index() -> None:
    (command,) = re.findall(
        r"^RUN (?:.*\\\n)*.*meltano install", (ROOT / IMAGES["elt-demo"].dockerfile).read_text(), re.MULTILINE
    )

    assert "UV_OFFLINE=1 UV_FIND_LINKS=/wheels" in command


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_lock_has_a_hash_for_each_package(lock: Path) -> None:
    entries = [entry for entry in re.split(r"\n(?=\S)", lock.read_text()) if not entry.startswith("#")]

    assert entries
    assert [
        entry.partition(" ")[0] for entry in entries if not re.search(r"==\S+ .*--hash=sha256:", entry, re.DOTALL)
    ] == []


def test_the_wheel_is_built_by_what_the_tests_are_installed_with() -> None:
    build, dev = ((ROOT / "requirements" / f"{name}.lock").read_text() for name in ("build", "dev"))
    versions = re.findall(r"^\S+==\S+", build, re.MULTILINE)

    assert "hatchling" in {version.partition("==")[0] for version in versions}
    assert [version for version in versions if f"{version} " not in dev] == []


@pytest.mark.parametrize("image", ALL.values(), ids=ALL)
def test_what_an_image_copies_decides_whether_it_is_built(image: Image) -> None:
    dockerfile = (ROOT / image.dockerfile).read_text()
    copied = [ROOT / image.context / source for sources in COPIES.findall(dockerfile) for source in sources.split()]
    watched = [ROOT / source for source in image.sources]

    assert copied or image is IMAGES["elt-test"]
    assert image.dockerfile in set(files(image.sources))
    assert [path for path in copied if not any(path.is_relative_to(place) for place in watched)] == []
    assert [path for path in copied if not path.exists()] == []


@pytest.mark.parametrize("image", [OPERATOR, *RELEASED.values()], ids=lambda image: image.name)
def test_docker_sends_what_the_operator_is_made_of(image: Image) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {path for line in ignored if line.startswith("!") for path in ROOT.glob(line[1:])}

    not_copied = {Path(".dockerignore"), image.dockerfile}
    needed = [ROOT / source for source in image.sources if source not in not_copied]
    assert [path for path in needed if not sent & {path, *path.parents}] == []


@pytest.mark.parametrize("image", [image for image in ALL.values() if image.reproducible], ids=lambda image: image.name)
def test_bytecode_of_a_reproducible_image_looks_at_no_date(image: Image) -> None:
    text = (ROOT / image.dockerfile).read_text()

    assert text.count("compileall") == text.count(f"PYTHONHASHSEED=0 {build.COMPILE}") == 2
    # What builds the wheel is installed into the stage that builds, and stays there.
    installed = [command for command in pip_commands(text) if "build.lock" not in command]
    assert [command.count("--no-compile") for command in installed] == [1, 1]


def test_a_released_image_has_its_version_as_its_tag() -> None:
    assert [image.reference for image in RELEASED.values()] == ["localhost/elt-operator:0.1.0"]


@pytest.mark.parametrize("image", ALL.values(), ids=ALL)
def test_an_image_runs_without_rights_and_names_no_registry(image: Image) -> None:
    dockerfile = (ROOT / image.dockerfile).read_text()

    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE)[-1] == "65532:65532"
    assert re.findall(r"^ARG BASE=(.+)$", dockerfile, re.MULTILINE) in (["python:3.12-slim"], ["debian:bookworm-slim"])


# --- what a person sees: the program, with a Docker of the tests' own

FAKE_DOCKER = """#!/bin/sh
echo "$1" >> {calls}
case $1 in
  build) echo "Step 1: talks on standard output"; {on_build} ;;
  save) for word do case $word in --output=*) echo image > "${{word#--output=}}";; esac; done ;;
esac
"""


@dataclass(frozen=True)
class Built:
    """How the program ended."""

    code: int
    output: str
    said: str


@dataclass
class Machine:
    """A machine with a Docker engine, which does as it is told."""

    folder: Path

    def docker(self, on_build: str = ":") -> None:
        program = self.folder / "bin" / "docker"
        program.parent.mkdir(exist_ok=True)
        program.write_text(FAKE_DOCKER.format(calls=self.folder / "calls", on_build=on_build))
        program.chmod(0o755)

    @property
    def cache(self) -> Path:
        return self.folder / "elt-operator" / "images"

    def start(self, *names: str) -> subprocess.Popen[str]:
        environment = {"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "XDG_CACHE_HOME": str(self.folder)}
        program = [sys.executable, str(ROOT / "images" / "build.py"), *names]
        return subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def build(self, *names: str) -> Built:
        with self.start(*names) as process:
            output, complaints = process.communicate()
        return Built(process.returncode, output, complaints)

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().split()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    found = Machine(tmp_path)
    found.docker()
    return found


def test_standard_output_is_the_paths_alone(machine: Machine) -> None:
    ended = machine.build("elt-test", "elt-demo")

    test, demo = map(Path, ended.output.splitlines())
    assert re.fullmatch(r"elt-test-[0-9a-f]{12}\.tar", test.name)
    assert demo.read_text() == "image\n"
    assert "building localhost/elt-demo:dev" in ended.said


def test_all_images_but_the_released_are_built_when_none_is_named(machine: Machine) -> None:
    built = machine.build().output.splitlines()

    assert [Path(path).stem.rpartition("-")[0] for path in built] == list(IMAGES)


def test_a_released_image_is_built_when_it_is_named(machine: Machine) -> None:
    ended = machine.build("elt-operator-0.1.0")

    assert re.fullmatch(r"elt-operator-0\.1\.0-[0-9a-f]{12}\.tar", Path(ended.output.strip()).name)
    assert "building localhost/elt-operator:0.1.0" in ended.said


def test_what_is_there_is_not_built_again(machine: Machine) -> None:
    first = machine.build("elt-test")

    second = machine.build("elt-test")

    assert (second.output, second.said) == (first.output, "")
    assert machine.calls().count("build") == 1


def test_older_archives_of_the_same_image_go(machine: Machine) -> None:
    machine.cache.mkdir(parents=True)
    older, others = machine.cache / "elt-test-0123456789ab.tar", machine.cache / "elt-demo-0123456789ab.tar"
    older.touch()
    others.touch()

    machine.build("elt-test")

    assert (older.exists(), others.exists()) == (False, True)


def test_a_failed_build_shows_the_end_of_its_log_and_leaves_no_archive(machine: Machine) -> None:
    machine.docker(on_build="echo no space left on device >&2; exit 1")

    ended = machine.build("elt-test")

    assert (ended.code, ended.output) == (1, "")
    assert "docker failed with exit code 1" in ended.said
    assert "no space left on device" in ended.said
    assert "run the same command again" in ended.said
    assert "Traceback" not in ended.said
    assert list(machine.folder.rglob("*.tar")) == []


def test_a_mended_build_goes_on(machine: Machine) -> None:
    machine.docker(on_build="exit 1")
    machine.build("elt-test")
    machine.docker()

    assert machine.build("elt-test").code == 0


def test_an_image_that_does_not_exist_is_refused(machine: Machine) -> None:
    ended = machine.build("elt-nothing")

    assert ended.code == 2
    assert "no such image: elt-nothing; there are elt-operator, elt-test" in ended.said


def test_a_second_build_waits_and_says_so(machine: Machine) -> None:
    machine.cache.mkdir(parents=True)

    with alone(machine.cache):
        second = machine.start("elt-test")
        assert second.stderr
        assert second.stderr.readline() == "waiting for another build to end\n"
        assert machine.calls() == ["info"]
    second.communicate()

    assert second.returncode == 0
    assert machine.calls() == ["info", "build", "save"]
