"""The run's manifest, and the two wrappers that its container may start with."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import a_job, a_pipeline, a_run, at
from elt_operator.core import commands, render, run_names
from elt_operator.core.model import Pipeline, Run
from elt_operator.core.situation import Limits
from elt_operator.resources import texts
from elt_operator.resources.job import JobSpec


def a_manifest(pipeline: Pipeline | None = None, number: int = 1, **job: Any) -> dict[str, Any]:
    return render.run(pipeline or a_pipeline(), a_job(**job), number, Limits())


def pod(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return found


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod(manifest)["containers"]
    return dict(only)


def scripted(script: str, *arguments: str) -> list[str]:
    """Return what is started for a script, as its container gets it."""
    started = container(a_manifest(a_pipeline(script=script), arguments=list(arguments)))
    return [*started["command"], *(argument.replace("$$", "$") for argument in started["args"])]


def environment(manifest: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container(manifest)["env"]}


def test_a_run_as_a_whole() -> None:
    pipeline = a_pipeline(command=["load"], noRetryExitCodes=[9, 2], maxRetries=2, generation=7)

    assert a_manifest(pipeline, 3, arguments=["--all"]) == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "weather-r3",
            "namespace": "default",
            "labels": {
                "app.kubernetes.io/managed-by": "elt-operator",
                "elt-operator.io/pipeline": "weather",
                "elt-operator.io/job": "job-1",
                "elt-operator.io/job-uid": "job-1-uid",
                "elt-operator.io/run-number": "3",
            },
            "annotations": {
                "elt-operator.io/pipeline-generation": "7",
                "elt-operator.io/pending-timeout-seconds": "600",
            },
            "ownerReferences": [
                {
                    "apiVersion": "elt-operator.io/v1alpha1",
                    "kind": "Job",
                    "name": "job-1",
                    "uid": "job-1-uid",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": 2,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {
                        "action": "FailJob",
                        "onExitCodes": {"containerName": "elt", "operator": "In", "values": [2, 9]},
                    },
                ]
            },
            "template": {
                "metadata": {
                    "labels": {
                        "app.kubernetes.io/managed-by": "elt-operator",
                        "elt-operator.io/pipeline": "weather",
                        "elt-operator.io/job": "job-1",
                        "elt-operator.io/job-uid": "job-1-uid",
                        "elt-operator.io/run-number": "3",
                    }
                },
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 30,
                    "activeDeadlineSeconds": 3600,
                    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [
                        {
                            "name": "elt",
                            "image": "elt:1",
                            "command": ["load"],
                            "args": ["--all"],
                            "env": [
                                {"name": "ELT_NAMESPACE", "value": "default"},
                                {"name": "ELT_PIPELINE", "value": "weather"},
                                {"name": "ELT_JOB", "value": "job-1"},
                                {"name": "ELT_RUN_NUMBER", "value": "3"},
                                {"name": "ELT_FULL_REFRESH", "value": "false"},
                                {"name": "MELTANO_RUN_ID", "value": "job-1-uid"},
                                {"name": "MELTANO_AUTO_INSTALL", "value": "false"},
                                {"name": "MELTANO_CLI_DISABLE_VERSION_CHECK", "value": "true"},
                                {"name": "MELTANO_CLI_LOG_FORMAT", "value": "json"},
                                {"name": "MELTANO_SEND_ANONYMOUS_USAGE_STATS", "value": "false"},
                                {"name": "PYTHONUNBUFFERED", "value": "1"},
                                {"name": "MELTANO_RUN_STATE_ID_SUFFIX", "value": "default-weather"},
                            ],
                            "terminationMessagePolicy": "FallbackToLogsOnError",
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                                "readOnlyRootFilesystem": False,
                            },
                        }
                    ],
                },
            },
        },
    }


def test_the_nearer_word_wins_in_the_environment() -> None:
    pipeline = a_pipeline(
        properties={"meltano.cli.log_format": "plain", "tap-x.a": "pipeline", "tap-x.b": "pipeline", "tap-x.c": "x"},
        env=[{"name": "TAP_X_C", "value": "env"}, {"name": "TAP_X_A", "valueFrom": {"fieldRef": {"fieldPath": "f"}}}],
    )

    found = environment(a_manifest(pipeline, properties={"tap-x.a": "job", "tap-x.b": 5}, fullRefresh=True))

    assert found["MELTANO_CLI_LOG_FORMAT"] == "plain"
    assert found["TAP_X_A"] == {"fieldRef": {"fieldPath": "f"}}
    assert (found["TAP_X_B"], found["TAP_X_C"]) == ("5", "env")
    assert (found["MELTANO_RUN_FULL_REFRESH"], found["ELT_FULL_REFRESH"]) == ("true", "true")
    assert "MELTANO_RUN_FULL_REFRESH" not in environment(a_manifest())


def test_a_variable_may_refer_to_the_operators_own_and_not_replace_it() -> None:
    own = {"name": "PREFIX", "value": "$(ELT_PIPELINE)/raw"}
    refresh = {"name": "MELTANO_RUN_FULL_REFRESH", "value": "no"}
    pipeline = a_pipeline(env=[own, refresh], sidecars=[{"name": "proxy", "image": "p:1", "env": [own, refresh]}])
    manifest = a_manifest(pipeline, fullRefresh=True)

    for env in (container(manifest)["env"], pod(manifest)["initContainers"][0]["env"]):
        names = [entry["name"] for entry in env]
        assert len(names) == len(set(names))
        assert names.index("ELT_PIPELINE") < names.index("PREFIX"), "Kubernetes expands what stands before"
        assert {"name": "MELTANO_RUN_FULL_REFRESH", "value": "true"} in env


def test_kubernetes_expands_nothing_but_the_pipelines_own_command() -> None:
    own = a_pipeline(command=["load", "$(ELT_JOB)"], properties={"tap-x.a": "$(HOME) $$"})

    assert container(a_manifest(own, arguments=["$(PASSWORD)"]))["command"] == ["load", "$(ELT_JOB)"]
    assert container(a_manifest(own, arguments=["$(PASSWORD)"]))["args"] == ["$$(PASSWORD)"]
    assert environment(a_manifest(own))["TAP_X_A"] == "$$(HOME) $$$$"
    script = container(a_manifest(a_pipeline(script="echo $(date) $$"), arguments=["$1"]))
    assert script["args"][-3:] == ["echo $$(date) $$$$", "script", "$$1"]


@pytest.mark.parametrize(
    ("run", "change"),
    [
        pytest.param(a_run(started=at(1)), {"activeDeadlineSeconds": 1}, id="at work: it fails for good"),
        pytest.param(a_run(), {"activeDeadlineSeconds": 1, "suspend": True}, id="not taken up yet: it has no deadline"),
        pytest.param(
            a_run(started=at(1), suspended=True, queue="nightly"), {"activeDeadlineSeconds": 1, "suspend": True},
            id="suspended by a queue: it stays so",
        ),
    ],
)  # fmt: skip
def test_how_a_run_is_ended(run: Run, change: dict[str, Any]) -> None:
    assert render.end_of(run) == change


def test_the_queue_of_kueue_is_named_on_the_run_alone() -> None:
    manifest = a_manifest(a_pipeline(queueName="nightly"))

    assert manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "nightly"
    assert "kueue.x-k8s.io/queue-name" not in manifest["spec"]["template"]["metadata"]["labels"]


NOTHING = {"actions": None, "script": None, "command": None}


@pytest.mark.parametrize(
    ("spec", "arguments", "expected"),
    [
        pytest.param({}, [], {}, id="the image as it is"),
        pytest.param({}, ["$a"], {"args": ["$$a"]}, id="a Job's arguments in place of the image's own"),
        pytest.param({"args": ["$(A)", "b"]}, [], {"args": ["$(A)", "b"]}, id="args for the image's entrypoint"),
        pytest.param({"args": ["$(A)"]}, ["$(A)"], {"args": ["$(A)", "$$(A)"]}, id="and a Job's after them"),
        pytest.param({"command": ["x"]}, [], {"command": ["x"]}, id="a command"),
        pytest.param({"command": ["x"]}, ["y"], {"command": ["x"], "args": ["y"]}, id="and a Job's arguments"),
        pytest.param(
            {"command": ["x"], "args": ["y"]}, ["z"], {"command": ["x"], "args": ["y", "z"]}, id="with args between"
        ),
    ],
)  # fmt: skip
def test_what_is_started(spec: dict[str, Any], arguments: list[str], expected: dict[str, Any]) -> None:
    pipeline = a_pipeline(**{**NOTHING, **spec})
    started = container(a_manifest(pipeline, arguments=arguments))

    assert {name: started[name] for name in ("command", "args") if name in started} == expected
    assert pipeline.spec
    told = [*spec.get("command", []), *spec.get("args", []), *arguments]
    assert commands.started_arguments(pipeline.spec, JobSpec(pipeline_name="weather", arguments=arguments)) == told


def test_containers_beside_the_runs_own() -> None:
    fetch = {"name": "fetch", "image": "git:2", "command": ["sh"], "args": ["-c", "$(A)"], "workingDir": "/repo"}
    proxy = {
        "name": "proxy",
        "image": "proxy:1",
        "imagePullPolicy": "Always",
        "env": [{"name": "A", "value": "b"}],
        "envFrom": [{"secretRef": {"name": "s"}}],
        "resources": {"limits": {"memory": "64Mi"}},
    }
    repo = {"name": "repo", "mountPath": "/repo", "emptyDir": {}}

    manifest = a_manifest(
        a_pipeline(
            initContainers=[fetch], sidecars=[proxy], volumes=[repo], workingDir="/repo",
            pod={"readOnlyRootFilesystem": True},
        )
    )  # fmt: skip

    own = container(manifest)
    first, beside = pod(manifest)["initContainers"]
    shared = ("volumeMounts", "securityContext", "terminationMessagePolicy")
    for one in (first, beside):
        assert {name: one[name] for name in shared} == {name: own[name] for name in shared}
    assert [mount["mountPath"] for mount in first["volumeMounts"]] == ["/repo", "/tmp"]  # noqa: S108 - the pod's, not ours
    assert own["workingDir"] == "/repo"
    assert {name: value for name, value in first.items() if name not in {*shared, "env"}} == fetch
    assert beside["restartPolicy"] == "Always"
    assert {name: beside[name] for name in proxy if name != "env"} == {k: v for k, v in proxy.items() if k != "env"}
    assert {"name": "ELT_JOB", "value": "job-1"} in first["env"]
    assert beside["env"][-1] == {"name": "A", "value": "b"}
    assert not any(entry["name"].startswith("MELTANO_CLI") for entry in beside["env"])


@pytest.mark.parametrize("wrapper", [commands.ACTIONS_WRAPPER, commands.SCRIPT_WRAPPER, commands.OTHER_SCRIPT_WRAPPER])
def test_kubernetes_has_nothing_to_expand_in_a_wrapper(wrapper: str) -> None:
    assert "$$" not in wrapper
    assert "$(" not in wrapper


@pytest.mark.parametrize(
    ("timeout", "deadline"),
    [
        pytest.param({}, 3600, id="the operator's own"),
        pytest.param({"timeoutSeconds": 60}, 60, id="the Pipeline's"),
        pytest.param({"timeoutSeconds": 0}, None, id="none"),
    ],
)
def test_the_deadline_is(timeout: dict[str, Any], deadline: int | None) -> None:
    assert pod(a_manifest(a_pipeline(**timeout))).get("activeDeadlineSeconds") == deadline


def test_volumes_and_mounts() -> None:
    volumes = [
        {"name": "state", "mountPath": "/state", "subPath": "a", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "keys", "mountPath": "/keys", "readOnly": True, "secret": {"secretName": "s"}},
    ]

    manifest = a_manifest(a_pipeline(volumes=volumes, pod={"readOnlyRootFilesystem": True}))

    assert pod(manifest)["volumes"] == [
        {"name": "state", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "keys", "secret": {"secretName": "s"}},
        {"name": "elt-tmp", "emptyDir": {}},
    ]
    assert container(manifest)["volumeMounts"] == [
        {"name": "state", "mountPath": "/state", "subPath": "a"},
        {"name": "keys", "mountPath": "/keys", "readOnly": True},
        {"name": "elt-tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's
    ]


def test_a_users_own_tmp_stays() -> None:
    volumes = [{"name": "mine", "mountPath": "/tmp/", "emptyDir": {}}]  # noqa: S108 - the pod's

    manifest = a_manifest(a_pipeline(volumes=volumes, pod={"readOnlyRootFilesystem": True}))

    assert [volume["name"] for volume in pod(manifest)["volumes"]] == ["mine"]


def test_pod_settings_arrive_and_the_operators_labels_win() -> None:
    settings = {
        "serviceAccountName": "loader",
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "elt", "operator": "Exists"}],
        "priorityClassName": "low",
        "runAsUser": 1000,
        "fsGroup": 1000,
        "runAsNonRoot": False,
        "labels": {"team": "data", "elt-operator.io/job": "forged"},
        "annotations": {"note": "x"},
    }

    manifest = a_manifest(a_pipeline(pod=settings, imagePullSecrets=[{"name": "registry"}]))

    assert {name: pod(manifest)[name] for name in ("serviceAccountName", "nodeSelector", "priorityClassName")} == {
        "serviceAccountName": "loader",
        "nodeSelector": {"disk": "ssd"},
        "priorityClassName": "low",
    }
    assert pod(manifest)["imagePullSecrets"] == [{"name": "registry"}]
    assert pod(manifest)["securityContext"]["runAsNonRoot"] is False
    labels = manifest["spec"]["template"]["metadata"]["labels"]
    assert (labels["team"], labels["elt-operator.io/job"]) == ("data", "job-1")


@given(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?", fullmatch=True), st.integers(1, run_names.HIGHEST_NUMBER))
def test_a_runs_number_can_be_read_from_its_name(pipeline: str, number: int) -> None:
    assert run_names.number_of(pipeline, run_names.run_name(pipeline, number)) == number


@pytest.mark.parametrize(
    "name",
    [
        "weather",
        "weather-r",
        "weather-r0",
        "weather-r01",
        "weather-rx",
        "other-r1",
        "weather-r1²",
        "weather-r1" + "0" * 9,
        pytest.param("weather-r" + "9" * 5000, id="5,000 digits"),
    ],
)
def test_a_strangers_name_has_no_number(name: str) -> None:
    assert run_names.number_of("weather", name) is None


def test_what_was_started_is_told_for_people() -> None:
    job = a_job(arguments=["--all"]).spec
    assert job is not None
    told = [a_pipeline(actions=["run a b", "invoke c"]), a_pipeline(script="x"), a_pipeline(command=["y"])]

    assert [commands.started_arguments(pipeline.spec, job) for pipeline in told if pipeline.spec] == [
        ["meltano run a b --all", "meltano invoke c --all"],
        ["script", "--all"],
        ["y", "--all"],
    ]


@pytest.mark.parametrize("text", ["x", "é", "<", "\N{GRINNING FACE}"])
def test_what_was_started_is_told_at_most_at_a_length_that_can_be_stored(text: str) -> None:
    job = a_job(arguments=[text * 4096] * 64).spec
    assert job is not None

    for what in ({"actions": ["run a b"] * 32}, {"script": "x"}, {"command": [text * 4096] * 64}):
        pipeline = a_pipeline(**what).spec
        assert pipeline is not None
        told = commands.started_arguments(pipeline, job)
        assert sum(len(part.encode()) for part in told) <= commands.STARTED_BYTES + len("…".encode())
        assert told[-1].endswith("…")


def test_what_just_fits_is_told_whole() -> None:
    job = a_job(arguments=["x" * 4096] * 7 + ["x" * 4095]).spec
    pipeline = a_pipeline(command=["y"]).spec
    assert job is not None
    assert pipeline is not None

    assert commands.started_arguments(pipeline, job) == ["y", *(job.arguments or [])]


@pytest.mark.parametrize("text", ["$", '"', "é", "x"])
def test_the_largest_run_that_is_accepted_is_below_a_mebibyte(text: str) -> None:
    half = text * (texts.TEXT_BYTES // len(text.encode()))
    of_the_pipeline: dict[str, Any] = {
        "script": half,
        "env": [{"name": "A", "value": half[:32768]}],
        "properties": {"tap.a": half},
    }
    of_the_job: dict[str, Any] = {"arguments": [half[:4096]] * 16, "properties": {"tap.b": half}}

    assert len(orjson.dumps(a_manifest(a_pipeline(**of_the_pipeline), **of_the_job))) < 1024 * 1024


# --- the wrappers, run by a real bash; `meltano` is a script that notes how it was called


@pytest.fixture
def meltano(tmp_path: Path) -> Path:
    """A program of the name `meltano`: notes its arguments, and does what the action's first word says."""
    program = tmp_path / "meltano"
    program.write_text(
        f"""#!/bin/bash
printf '<%s>' "$@" >> {tmp_path}/calls; echo >> {tmp_path}/calls
case "$1" in fail) exit 77;; hang) trap 'exit 143' TERM; echo ready; sleep 30 & wait;; esac
"""
    )
    program.chmod(0o755)
    return program


def start(command: list[str], **where: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **where)


def actions(meltano: Path, *parameters: str) -> tuple[int, list[str]]:
    path = {"PATH": f"{meltano.parent}:{os.environ['PATH']}"}
    ended = start(["bash", "-c", commands.ACTIONS_WRAPPER, "elt", *parameters], env=path, cwd=meltano.parent)
    ended.communicate(timeout=20)
    return ended.returncode, (meltano.parent / "calls").read_text().splitlines()


def test_actions_run_in_order_and_stop_at_the_first_failure(meltano: Path) -> None:
    assert actions(meltano, "3", "run a", "fail", "run b") == (77, ["<run><a>", "<fail>"])


def test_actions_are_words_and_never_code(meltano: Path) -> None:
    code, calls = actions(meltano, "1", 'run * $(touch x) ; `id` "q q" $HOME')

    assert code == 0
    assert calls == ['<run><*><$(touch><x)><;><`id`><"q><q"><$HOME>']
    assert not (meltano.parent / "x").exists()


def test_arguments_stay_whole_and_go_to_each_action(meltano: Path) -> None:
    assert actions(meltano, "2", "run a", "run b", "x y", "*")[1] == ["<run><a><x y><*>", "<run><b><x y><*>"]


def test_an_action_is_told_to_end_and_none_follows(meltano: Path) -> None:
    path = {"PATH": f"{meltano.parent}:{os.environ['PATH']}"}
    with start(["bash", "-c", commands.ACTIONS_WRAPPER, "elt", "2", "hang", "run b"], env=path) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"

        running.send_signal(signal.SIGTERM)

        assert running.wait(timeout=10) == 143
    assert (meltano.parent / "calls").read_text() == "<hang>\n"


@pytest.mark.parametrize(
    ("script", "arguments", "code", "output"),
    [
        pytest.param("echo fine", [], 0, "fine\n", id="fine"),
        pytest.param("false; echo on", [], 1, "", id="ends at the first failure"),
        pytest.param("false | true; echo on", [], 1, "", id="a pipe fails with any part"),
        pytest.param('printf "<%s>" "$@"', ["a b", "*", "$x"], 0, "<a b><*><$x>", id="arguments as they are"),
        pytest.param("exit 9", [], 9, "", id="its own code, and nothing more said"),
        pytest.param("-x", [], 127, "script: line 1: -x: command not found\n", id="a dash is no option"),
        pytest.param("--version", [], 127, "script: line 1: --version: command not found\n", id="nor are two"),
        pytest.param("--", [], 127, "script: line 1: --: command not found\n", id="nor are two alone"),
        pytest.param("+e\necho on", [], 127, "script: line 1: +e: command not found\n", id="nor is a plus"),
        pytest.param('echo "$0 $1"', ["-c"], 0, "script -c\n", id="nor is an argument"),
        pytest.param("if true; then\r\n  echo fine\r\nfi\r\nexit 0\r", [], 0, "fine\n", id="written on Windows"),
        pytest.param("printf 'a\rb' | wc -c", [], 0, "3\n", id="a carriage return within a line stays"),
        pytest.param("#!/bin/sh\necho $BASH | grep -o bash", [], 0, "bash\n", id="a shell's script is bash's"),
        pytest.param("#!/usr/bin/env bash\necho fine", [], 0, "fine\n", id="named by env"),
        pytest.param(
            "#!/usr/bin/env python3\nimport sys\nprint(sys.argv[1:], '$x')",
            ["a b", "$y"],
            0,
            "['a b', '$y'] $x\n",
            id="a script for Python",
        ),
        pytest.param(
            "\ufeff#!/usr/bin/env -S python3 -u\r\nraise SystemExit(9)\r\n",
            [],
            9,
            "",
            id="its code, written on Windows",
        ),
        pytest.param(
            "#!/opt/no/ruby -w\nputs 1",
            [],
            127,
            "The image has no /opt/no/ruby, which the script's first line names. Use an image that has it.\n",
            id="an interpreter that is not there",
        ),
        pytest.param(
            "#!/usr/bin/env A=b no-such-program\n",
            [],
            127,
            "The image has no no-such-program, which the script's first line names. Use an image that has it.\n",
            id="one that env does not find",
        ),
        pytest.param("#!/usr/bin/env -S -u LANG A=b python3\nprint(1)", [], 0, "1\n", id="one behind options of env"),
        pytest.param("#!/usr/bin/env -Spython3 -u\nprint(1)", [], 0, "1\n", id="one behind an option of env"),
        pytest.param('#!/usr/bin/env -S "python3" -u\nprint(1)', [], 0, "1\n", id="one in quotes"),
        pytest.param("#!/usr/bin/env --split-string=python3 -u\nprint(1)", [], 0, "1\n", id="by a long option"),
        pytest.param("\n\n  #!/usr/bin/env python3\nprint(1)", [], 0, "1\n", id="after empty lines"),
        pytest.param(
            "\ufeff\ufeff#!\t/usr/bin/env\tpython3\r\r\nprint(1)", [], 0, "1\n", id="after tabs, and CR twice"
        ),
        pytest.param("#!/usr/bin/env bash -x\necho fine", [], 0, "fine\n", id="a shell with an option"),
        pytest.param(
            "#!python3\nprint(1)",
            [],
            127,
            "The image has no ./python3, which the script's first line names. Use an image that has it.\n",
            id="one without its path",
        ),
        pytest.param("\ufeff", [], 0, "", id="a byte order mark and nothing"),
        pytest.param("#!", [], 0, "", id="a first line that names nothing"),
    ],
)
def test_a_script_ends(script: str, arguments: list[str], code: int, output: str) -> None:
    ended = start(scripted(script, *arguments))

    assert ended.communicate(timeout=20)[0] == output
    assert ended.returncode == code


def test_a_script_for_another_interpreter_is_told_to_end() -> None:
    script = (
        "#!/usr/bin/env python3\nimport signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit('told'))\nprint('ready', flush=True)\ntime.sleep(30)"
    )
    running = start(scripted(script))
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"

    running.send_signal(signal.SIGTERM)

    assert running.communicate(timeout=10)[0] == "told\n"
    assert running.returncode == 1


def test_an_unset_variable_ends_a_script() -> None:
    ended = start(scripted("echo $nothing; echo on"))

    assert "unbound variable" in ended.communicate(timeout=20)[0]
    assert ended.returncode != 0


@pytest.mark.parametrize("wrapper", ["script", "actions"])
def test_the_exit_code_after_a_signal_is_the_processs_own(meltano: Path, wrapper: str) -> None:
    polite = "trap 'exit 9' TERM; echo ready; sleep 30 & wait"
    meltano.write_text(f"#!/bin/bash\n{polite}\n")
    command = {
        "script": scripted(polite),
        "actions": ["bash", "-c", commands.ACTIONS_WRAPPER, "elt", "1", "run a"],
    }
    running = start(command[wrapper], env={"PATH": f"{meltano.parent}:{os.environ['PATH']}"})
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"

    running.send_signal(signal.SIGTERM)

    assert running.wait(timeout=10) == 9
    running.stdout.close()


def test_a_script_is_told_to_end_with_all_it_started() -> None:
    script = "bash -c 'trap \"echo child told; exit\" TERM; sleep 30 & echo ready; wait' & wait"
    running = start(scripted(script))
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"

    running.send_signal(signal.SIGTERM)

    assert "child told" in running.communicate(timeout=10)[0]
    assert running.returncode == 143
