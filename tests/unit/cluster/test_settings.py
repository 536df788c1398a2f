"""What a person may choose, and where things lie."""

from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.settings import Settings, fingerprint


def test_everything_has_a_default() -> None:
    settings = Settings.from_environment({"HOME": "/home/ada"})

    assert settings.provider is None
    assert settings.state == Path("/var/lib/elt-operator/cluster")
    assert settings.cache == Path("/home/ada/.cache/elt-operator")
    assert settings.kubeconfig == Path("/home/ada/.kube/config")
    assert settings.flags == {"kube-apiserver": (), "kube-controller-manager": (), "kube-scheduler": ()}
    assert (settings.checkout / "pyproject.toml").exists()


def test_the_environment_decides() -> None:
    settings = Settings.from_environment(
        {
            "HOME": "/home/ada",
            "CLUSTER": "kind",
            "CLUSTER_STATE": "/srv/state",
            "CLUSTER_API_SERVER_FLAGS": "--profiling=true",
            "CLUSTER_KCM_FLAGS": "--kube-api-qps=500 --concurrent-job-syncs=20",
            "CLUSTER_SCHEDULER_FLAGS": "--kube-api-qps=500",
            "KUBECONFIG": "/a:/b",
            "XDG_CACHE_HOME": "/srv/cache",
        }
    )

    assert settings.provider == "kind"
    assert settings.state == Path("/srv/state")
    assert settings.cache == Path("/srv/cache/elt-operator")
    assert settings.kubeconfig == Path("/a")
    assert settings.flags == {
        "kube-apiserver": ("--profiling=true",),
        "kube-controller-manager": ("--kube-api-qps=500", "--concurrent-job-syncs=20"),
        "kube-scheduler": ("--kube-api-qps=500",),
    }


@pytest.mark.parametrize(
    ("variable", "value", "advice"),
    [
        pytest.param("CLUSTER", "minikube", "use one of local, kind, existing", id="unknown provider"),
        pytest.param("CLUSTER_STATE", "state", "absolute path", id="relative state folder"),
        pytest.param("CLUSTER_STATE", "/x" * 60, "at most 70 characters", id="no room for a socket's path"),
    ],
)
def test_what_cannot_be_is_refused_with_advice(variable: str, value: str, advice: str) -> None:
    with pytest.raises(ClusterError, match=advice):
        Settings.from_environment({"HOME": "/home/ada", variable: value})


def test_other_sources_are_built_to_another_folder(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module a")
    before = fingerprint(tmp_path)

    assert fingerprint(tmp_path) == before
    (tmp_path / "go.mod").write_text("module b")
    assert fingerprint(tmp_path) != before
