"""Which cluster is used, and what each kind is asked."""

import shutil
from pathlib import Path

import pytest

from cluster import machine, providers
from cluster.errors import ClusterError
from cluster.existing import Existing
from cluster.images import write_single_file_image
from cluster.kind import Kind
from cluster.local import Local
from cluster.settings import HERE, Settings


def settings_of(tmp_path: Path, **choices: str) -> Settings:
    """Settings whose built programs are there already."""
    settings = Settings.from_environment({"HOME": str(tmp_path), "CLUSTER_CACHE": str(tmp_path), **choices})
    settings.bin.mkdir(parents=True)
    for name in ("kind", "kubectl"):
        (settings.bin / name).symlink_to("/bin/false")
    return settings


@pytest.fixture(autouse=True)
def _own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(machine, "POINTER", tmp_path / "pointer")
    monkeypatch.setattr(shutil, "which", lambda program, **_: None if program == "kind" else f"/bin/{program}")


def a_docker(folder: Path, exit_code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = folder / "docker"
    docker.write_text(f"#!/bin/sh\nexit {exit_code}\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin")


class FakeKind:
    """The program kind; ``calls`` are its command lines without its own path."""

    def __init__(self, *clusters: str) -> None:
        self.clusters = list(clusters)
        self.calls: list[list[str]] = []

    def __call__(self, argv: list[str], *, timeout_seconds: float) -> str:
        assert timeout_seconds > 60
        self.calls.append(argv[1:])
        return "\n".join(self.clusters) if argv[1:3] == ["get", "clusters"] else ""


@pytest.mark.parametrize(
    ("choice", "docker", "provider"),
    [
        pytest.param({"CLUSTER": "local"}, 0, Local, id="local as asked for"),
        pytest.param({"CLUSTER": "kind"}, 1, Kind, id="kind as asked for"),
        pytest.param({"CLUSTER": "existing"}, 0, Existing, id="existing as asked for"),
        pytest.param({}, 0, Kind, id="kind where a Docker engine answers"),
        pytest.param({}, 1, Local, id="local where only Docker's client is"),
    ],
)
def test_the_provider(
    choice: dict[str, str], docker: int, provider: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_docker(tmp_path, docker, monkeypatch)

    assert type(providers.chosen(settings_of(tmp_path, **choice))) is provider


def test_kind_is_told_to_make_our_cluster(tmp_path: Path) -> None:
    run = FakeKind("somebody-elses")

    Kind(settings_of(tmp_path), run).up()

    assert run.calls == [
        ["get", "clusters"],
        [
            "create",
            "cluster",
            "--name=elt-operator",
            f"--config={HERE}/kind.yaml",
            f"--kubeconfig={tmp_path}/kind/kubeconfig",
            "--wait=180s",
        ],
    ]


def test_a_kind_cluster_that_does_not_answer_is_made_anew(tmp_path: Path) -> None:
    run = FakeKind("elt-operator")

    Kind(settings_of(tmp_path), run).up()

    assert [call[0] for call in run.calls] == ["get", "delete", "create"]


def test_a_kind_cluster_that_answers_is_left_as_it_is(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    (settings.bin / "kubectl").unlink()
    (settings.bin / "kubectl").symlink_to("/bin/true")
    run = FakeKind("elt-operator")

    Kind(settings, run).up()

    assert run.calls == [["get", "clusters"]]


def test_kind_is_told_to_remove_our_cluster_only(tmp_path: Path) -> None:
    run = FakeKind("elt-operator", "somebody-elses")

    Kind(settings_of(tmp_path), run).down()

    assert run.calls[1:] == [["delete", "cluster", "--name=elt-operator", f"--kubeconfig={tmp_path}/kind/kubeconfig"]]


def test_the_kind_cluster_of_another_checkout_is_left_alone(tmp_path: Path) -> None:
    run = FakeKind("elt-operator")
    (tmp_path / "kind").mkdir()
    (tmp_path / "Makefile").touch()
    machine.write_record(tmp_path / "kind", machine.Record(str(tmp_path)))
    kind = Kind(settings_of(tmp_path), run)

    for change in (kind.up, kind.down):
        with pytest.raises(ClusterError, match=f"make -C {tmp_path} cluster-down"):
            change()

    assert {call[0] for call in run.calls} == {"get"}


def test_kind_is_told_to_load_an_archive(tmp_path: Path) -> None:
    run = FakeKind("elt-operator")
    archive = tmp_path / "pause.tar"
    write_single_file_image(archive, "localhost/pause:1", Path(__file__))

    Kind(settings_of(tmp_path), run).load_image(archive)

    assert run.calls == [["load", "image-archive", str(archive), "--name=elt-operator"]]


def test_an_existing_cluster_must_answer(tmp_path: Path) -> None:
    existing = Existing(settings_of(tmp_path))

    with pytest.raises(ClusterError, match="name another one in KUBECONFIG"):
        existing.up()


def test_an_existing_cluster_is_not_taken_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Existing(settings_of(tmp_path)).down()

    assert "is left as it is" in capsys.readouterr().err


def test_images_for_an_existing_cluster_are_the_persons_to_push(tmp_path: Path) -> None:
    archive = tmp_path / "weather.tar"
    write_single_file_image(archive, "localhost/weather:1", Path(__file__))

    with pytest.raises(ClusterError, match=f"skopeo copy oci-archive:{archive} docker://REGISTRY/weather:1"):
        Existing(settings_of(tmp_path)).load_image(archive)


@pytest.mark.parametrize("provider", [Kind, Existing])
def test_only_the_local_cluster_has_an_audit_log(provider: type[Kind | Existing], tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="use CLUSTER=local"):
        _ = provider(settings_of(tmp_path)).audit_log
