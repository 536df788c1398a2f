"""One cluster per machine, one change at a time, and nothing removed that is not ours."""

import json
from pathlib import Path

import pytest

from cluster import leftovers, machine
from cluster.errors import ClusterError
from cluster.machine import Record


@pytest.fixture(autouse=True)
def _own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(machine, "POINTER", tmp_path / "pointer")


def a_state(tmp_path: Path) -> Path:
    state = tmp_path / "state"
    state.mkdir()
    return state


def test_a_second_change_is_refused_and_told_who_is_at_it() -> None:
    with (
        machine.changing("up", Path("/work/a")),
        pytest.raises(ClusterError, match=r"`up` \(process \d+\) from /work/a is changing the cluster"),
        machine.changing("down", Path("/work/b")),
    ):
        pytest.fail("the second change went ahead")


def test_the_lock_is_free_again_and_leaves_nothing() -> None:
    for _ in range(2):
        with machine.changing("up", Path("/work/a")):
            pass

    assert not machine.LOCK.exists()


def test_the_lock_of_a_killed_one_does_not_count() -> None:
    machine.LOCK.write_text("`up` (process 4711) from /work/a")

    with machine.changing("up", Path("/work/b")):
        assert "/work/b" in machine.LOCK.read_text()


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    state = a_state(tmp_path)
    record = Record("/work/a", "v1.36.3", "/cache/bin", ready=True, made_folders=["/var/lib/cni"])

    machine.write_record(state, record)

    assert machine.record_of(state) == record


def test_a_record_of_another_version_of_the_tool_is_understood(tmp_path: Path) -> None:
    state = a_state(tmp_path)
    (state / machine.RECORD).write_text(json.dumps({"checkout": "/work/a", "colour": "blue"}))

    assert machine.record_of(state) == Record("/work/a")


@pytest.mark.parametrize("text", ["", "[]", "{}", "no JSON"])
def test_what_is_no_record_makes_no_cluster(text: str, tmp_path: Path) -> None:
    state = a_state(tmp_path)
    (state / machine.RECORD).write_text(text)

    assert machine.record_of(state) is None


def test_the_cluster_of_another_checkout_is_refused_with_the_command_that_ends_it(tmp_path: Path) -> None:
    (tmp_path / "Makefile").touch()

    with pytest.raises(ClusterError, match=f"make -C {tmp_path} cluster-down"):
        machine.check_owner(Record(str(tmp_path)), Path("/work/mine"))


def test_our_own_cluster_and_one_whose_checkout_is_gone_are_ours(tmp_path: Path) -> None:
    machine.check_owner(Record("/work/mine"), Path("/work/mine"))
    machine.check_owner(Record(str(tmp_path / "gone")), Path("/work/mine"))
    machine.check_owner(None, Path("/work/mine"))


def test_the_machine_remembers_where_its_cluster_is(tmp_path: Path) -> None:
    assert machine.state_of_this_machine(Path("/default")) == Path("/default")
    machine.point_to(tmp_path)
    assert machine.state_of_this_machine(Path("/default")) == tmp_path
    machine.point_to(None)
    assert machine.state_of_this_machine(Path("/default")) == Path("/default")


def test_a_folder_with_something_else_in_it_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()

    with pytest.raises(ClusterError, match="not the folder of a test cluster"):
        leftovers.check_is_ours(tmp_path)


def test_an_empty_missing_or_half_begun_folder_may_be_used(tmp_path: Path) -> None:
    state = a_state(tmp_path)
    leftovers.check_is_ours(state / "missing")
    leftovers.check_is_ours(state)
    (state / machine.RECORD_DRAFT).touch()
    leftovers.check_is_ours(state)


def test_the_folder_the_machine_points_to_is_ours_even_without_its_record(tmp_path: Path) -> None:
    (tmp_path / "etcd").touch()
    machine.point_to(tmp_path)

    leftovers.check_is_ours(tmp_path)


def test_a_state_folder_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    state = a_state(tmp_path)
    machine.write_record(state, Record("/work/a"))
    (state / "etcd/member").mkdir(parents=True)
    (state / "etcd/member/db").touch()
    (state / "link").symlink_to(tmp_path)

    leftovers.remove_folder(state)

    assert not state.exists()
    assert tmp_path.exists()


def test_only_mounts_below_the_state_folder_are_ours() -> None:
    table = [
        "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw",
        "60 27 0:50 / /var/lib/elt/cluster/kubelet/pods/a rw - tmpfs tmpfs rw",
        "61 27 0:51 / /var/lib/elt/cluster-of-somebody-else rw - tmpfs tmpfs rw",
    ]

    assert leftovers.mounts_below(Path("/var/lib/elt/cluster"), table) == ["/var/lib/elt/cluster/kubelet/pods/a"]
