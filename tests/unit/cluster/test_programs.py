"""Which programs are built, from what, and what a build that fails leaves."""

from pathlib import Path

import pytest

from cluster import programs
from cluster.errors import ClusterError
from cluster.settings import KUBERNETES_VERSION, PROGRAMS

GO_MOD = (PROGRAMS / "go.mod").read_text()


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH but for the shell's, for a ``go`` of the test's own."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def write_go(folder: Path, install: str) -> None:
    """Make a ``go`` whose ``go install`` runs ``install``."""
    go = folder / "go"
    go.write_text(f'#!/bin/sh\nif [ "$1" = env ]; then echo go1.26.8; else {install}; fi\n')
    go.chmod(0o755)


def test_the_version_in_the_settings_is_the_one_that_is_built() -> None:
    assert f"k8s.io/kubernetes {KUBERNETES_VERSION}" in GO_MOD
    assert f"k8s.io/client-go => k8s.io/client-go v0.{KUBERNETES_VERSION.split('.', 1)[1]}" in GO_MOD


@pytest.mark.parametrize(("name", "package"), programs.PACKAGES.items())
def test_every_program_has_sources(name: str, package: str) -> None:
    tools = GO_MOD[GO_MOD.index("\ntool (") :]

    assert f"\t{package}\n" in tools or (PROGRAMS / name / "main.go").exists()


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("go.etcd.io/etcd/server/v3", "server"),
        ("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
        ("./pause", "pause"),
    ],
)
def test_go_names_a_program_after_its_package(package: str, name: str) -> None:
    assert programs.installed_name(package) == name


def test_the_programs_say_their_version() -> None:
    assert f"-X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}" in programs.linker_flags()


def test_a_build_puts_programs_in_place_under_their_own_names(go: Path, tmp_path: Path) -> None:
    write_go(go, 'touch "$GOBIN/server" "$GOBIN/kubectl"')

    programs.build({"etcd", "kubectl"}, tmp_path / "bin/v1")

    assert {path.name for path in (tmp_path / "bin/v1").iterdir()} == {"etcd", "kubectl"}
    assert [path.name for path in (tmp_path / "bin").iterdir()] == ["v1"]


def test_what_is_there_is_not_built_again(go: Path, tmp_path: Path) -> None:
    write_go(go, "exit 1")
    (tmp_path / "kubectl").touch()

    programs.build({"kubectl"}, tmp_path)


def test_a_failed_build_leaves_no_program_and_shows_why(go: Path, tmp_path: Path) -> None:
    write_go(go, 'touch "$GOBIN/kubectl"; echo no space left on device; exit 1')

    with pytest.raises(ClusterError, match="no space left on device"):
        programs.build({"kubectl"}, tmp_path / "bin/v1")

    assert list((tmp_path / "bin/v1").iterdir()) == []


def test_the_next_build_clears_up_after_a_killed_one(go: Path, tmp_path: Path) -> None:
    write_go(go, 'touch "$GOBIN/kubectl"')
    killed = tmp_path / "bin/.building-x"
    killed.mkdir(parents=True)

    programs.build({"kubectl"}, tmp_path / "bin/v1")

    assert not killed.exists()


def test_a_missing_go_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ClusterError, match="Go is not installed; install it with:\n  curl"):
        programs.build({"kubectl"}, tmp_path / "bin")


@pytest.mark.parametrize(
    ("text", "version"),
    [("go1.26.8", (1, 26)), ("go1.19", (1, 19)), ("devel +abc", (0, 0))],
)
def test_go_version(text: str, version: tuple[int, ...]) -> None:
    assert programs.go_version(text) == version
