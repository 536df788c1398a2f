"""What a run's pod is made of: the image's entrypoint, scripts, init containers, sidecars, places."""

from typing import Any

import pytest

from e2e.endings import stop
from e2e.world import IMAGE, Body, Namespace, core, ended, manifest, message, plain, reason

MELTANO_IMAGE = IMAGE.replace("elt-test", "elt-demo")
"""An image with an entrypoint, `meltano`, and arguments of its own, `--help`. That for tests has but a command."""

SHARED: Body = {"name": "shared", "mountPath": "/shared", "emptyDir": {}}


def beside(name: str, script: str, **fields: Any) -> Body:
    """Return a container beside the run's own, which runs a script."""
    started = {"image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["bash", "-c", script]}
    return {"name": name, **started, **fields}


def pipeline_of_entrypoint(namespace: Namespace, name: str, **spec: Any) -> None:
    """Apply a Pipeline that leaves it to its image what is started."""
    namespace.apply(manifest("Pipeline", name, imagePullPolicy="IfNotPresent", **spec))


def tried(job: Body) -> list[tuple[str, int | None]]:
    """Return reason and exit code of each attempt."""
    return [(attempt["reason"], attempt.get("exitCode")) for attempt in job["status"]["attempts"]]


def pods_of(namespace: Namespace, job: str) -> list[Body]:
    return [pod for pod in namespace.pods() if pod["metadata"]["labels"].get("elt-operator.io/job") == job]


def container_statuses(pod: Body, kind: str = "containerStatuses") -> dict[str, Body]:
    return {status["name"]: status for status in pod["status"].get(kind, [])}


# --- what is started


@pytest.mark.timeout(400)
def test_the_images_entrypoint_runs_with_its_own_arguments_or_with_those_that_are_given(namespace: Namespace) -> None:
    pipeline_of_entrypoint(namespace, "own", image=MELTANO_IMAGE)
    pipeline_of_entrypoint(namespace, "given", image=MELTANO_IMAGE, args=["--version"])
    namespace.job("own-1", "own")
    namespace.job("own-2", "own", arguments=["--version"])
    namespace.job("given-1", "given")

    jobs = {name: namespace.wait(name, ended, timeout=180) for name in ("own-1", "own-2", "given-1")}

    assert {name: job["status"]["reason"] for name, job in jobs.items()} == dict.fromkeys(jobs, "Completed")
    logs = {name: namespace.log(job) for name, job in jobs.items()}
    assert "Usage: meltano" in logs["own-1"]
    for name in ("own-2", "given-1"):
        assert "meltano, version " in logs[name]
        assert jobs[name]["status"]["arguments"] == ["--version"]


def test_an_image_without_an_entrypoint_runs_its_command_or_what_args_say(namespace: Namespace) -> None:
    pipeline_of_entrypoint(namespace, "own", image=IMAGE)  # bash, whose input is empty
    show = ["python3", "-c", "import sys; print(sys.argv[1:])", "$(ELT_JOB)", "a b"]
    pipeline_of_entrypoint(namespace, "given", image=IMAGE, args=show)

    own = namespace.run("own-1", pipeline="own")
    given = namespace.run("given-1", pipeline="given", arguments=["$(ELT_JOB)", "*"])

    assert (own["status"]["phase"], own["status"]["exitCode"]) == ("COMPLETE", 0)
    assert namespace.log(given) == "['given-1', 'a b', '$(ELT_JOB)', '*']\n"
    assert given["status"]["arguments"] == [*show, "$(ELT_JOB)", "*"]


def test_args_follow_the_command_and_a_jobs_arguments_follow_them(namespace: Namespace) -> None:
    namespace.pipeline(
        command=["bash", "-c", 'printf "<%s>" "$@"; echo', "bash"], args=["$(ELT_PIPELINE)", "two words"]
    )

    assert namespace.log(namespace.run(arguments=["$HOME", "last"])) == "<weather><two words><$HOME><last>\n"


# --- scripts

SCRIPTS = {
    "python": "#!/usr/bin/env python3\nimport sys\nprint(sys.argv[1:])\n",
    "python-from-windows": "#!/usr/bin/env python3\r\nimport sys\r\nif sys.argv:\r\n    print(sys.argv[1:])\r\n",
    "python-with-an-option": "#!/usr/bin/env -S python3 -u\nimport sys\nprint(sys.argv[1:])\n",
    "bash-from-windows": 'set -u\r\nif true; then\r\n  python3 -c "import sys; print(sys.argv[1:])" "$@"\r\nfi\r\n',
    "sh": '#!/bin/sh\nexec python3 -c "import sys; print(sys.argv[1:])" "$@"\n',
}


def test_a_script_is_run_by_what_its_first_line_names(namespace: Namespace) -> None:
    for name, script in SCRIPTS.items():
        namespace.pipeline(name, script=script)
        namespace.job(f"{name}-1", name, arguments=["a b", "$(ELT_JOB)", "*"])

    logs = {name: namespace.log(namespace.wait(f"{name}-1", ended, timeout=120)) for name in SCRIPTS}

    assert logs == dict.fromkeys(SCRIPTS, "['a b', '$(ELT_JOB)', '*']\n")


def test_a_scripts_exit_code_and_its_end_are_those_of_its_interpreter(namespace: Namespace) -> None:
    tidy = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit('tidied up'))\n"
    namespace.pipeline(script=f"#!/usr/bin/env python3\n{tidy}print('working', flush=True)\nsignal.pause()\n")
    namespace.job()
    stop(namespace)

    job = namespace.wait("job-1", ended)

    assert (job["status"]["phase"], job["status"]["exitCode"]) == ("STOPPED", 1)
    assert job["status"]["logTail"].splitlines() == ["working", "tidied up"]


@pytest.mark.parametrize(
    ("first_line", "program"),
    [
        pytest.param("#!/usr/bin/env Rscript", "Rscript", id="by its name"),
        pytest.param("#!/opt/julia/bin/julia --quiet", "/opt/julia/bin/julia", id="by its path"),
    ],
)
def test_an_interpreter_that_the_image_lacks_is_named(namespace: Namespace, first_line: str, program: str) -> None:
    namespace.pipeline(script=f"{first_line}\nprint(1)\n")

    job = namespace.run()

    assert (job["status"]["phase"], job["status"]["reason"]) == ("ERROR", "ApplicationError")
    assert job["status"]["exitCode"] == 127
    assert f"The image has no {program}, which the script's first line names" in job["status"]["errorMessage"]


# --- init containers and sidecars

SERVE = "trap 'exit 0' TERM; python3 -m http.server 8765 --bind 127.0.0.1 --directory /shared & wait"
ASK = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8765/rows').read().decode(), end='')"


def test_a_run_uses_what_was_prepared_for_it_and_what_is_served_beside_it(namespace: Namespace) -> None:
    namespace.pipeline(
        script=f'pwd; cat rows; until python3 -c "{ASK}" 2> /dev/null; do sleep 0.2; done; cat told',
        workingDir="/shared",
        volumes=[SHARED],
        env=[{"name": "REGION", "value": "eu"}],
        properties={"tap.rows": 5},
        initContainers=[
            beside("count", "echo 5 rows > /shared/rows"),
            beside(
                "tell", 'echo "$PWD $LEVEL ${REGION-no} ${TAP_ROWS-no} $ELT_JOB $0" > told', workingDir="/shared",
                args=["$(LEVEL)"], env=[{"name": "LEVEL", "value": "info"}],
            ),
        ],
        sidecars=[beside("files", SERVE)],
    )  # fmt: skip

    job = namespace.run()

    assert (job["status"]["phase"], job["status"]["exitCode"]) == ("COMPLETE", 0), job
    assert message(job) == "The run ended with exit code 0."
    assert namespace.log(job) == "/shared\n5 rows\n5 rows\n/shared info no no job-1 info\n"
    namespace.until(lambda: namespace.pods()[0]["status"]["phase"] == "Succeeded", 20)
    (pod,) = namespace.pods()
    begun = container_statuses(pod, "initContainerStatuses")
    assert sorted(begun) == ["count", "files", "tell"]
    assert begun["files"]["restartCount"] == 0


FOREVER = "while true; do sleep 0.2; done"
SIDECARS = {
    "polite": f"trap 'exit 0' TERM; {FOREVER}",
    "rude": f"trap 'exit 1' TERM; {FOREVER}",
    "failing": "echo beat >> /shared/beats; sleep 2; exit 1",
    "deaf": f"trap '' TERM; {FOREVER}",
}
TWO_BEATS = "touch beats; until [ $(wc -l < beats) -ge 2 ]; do sleep 0.2; done"
GRACE = 25
"""Seconds; a sidecar that ignores SIGTERM keeps its pod for as long."""


@pytest.mark.parametrize(
    ("work", "end"),
    [
        pytest.param("echo 5 rows", ("COMPLETE", "Completed", 0), id="success"),
        pytest.param("echo no such table; exit 3", ("ERROR", "ApplicationError", 3), id="failure"),
    ],
)
def test_the_work_decides_whatever_its_sidecars_do(
    namespace: Namespace, work: str, end: tuple[str, str, int | None]
) -> None:
    for name, script in SIDECARS.items():
        namespace.pipeline(
            name,
            script=f"{TWO_BEATS}; {work}" if name == "failing" else work,
            workingDir="/shared",
            volumes=[SHARED],
            sidecars=[beside("helper", script)],
            pod={"terminationGracePeriodSeconds": GRACE},
        )
        namespace.job(f"{name}-1", name)

    namespace.wait("deaf-1", ended, timeout=120)
    (deaf,) = pods_of(namespace, "deaf-1")
    jobs = {name: namespace.wait(f"{name}-1", ended, timeout=120) for name in SIDECARS}

    assert deaf["status"]["phase"] == "Running", "the Job has ended, though a sidecar goes on"
    ends = {name: job["status"] for name, job in jobs.items()}
    told = {name: (one["phase"], one["reason"], one.get("exitCode")) for name, one in ends.items()}
    assert told == dict.fromkeys(SIDECARS, end)
    assert [name for name, job in jobs.items() if "helper" in message(job)] == []
    (failing,) = pods_of(namespace, "failing-1")
    assert container_statuses(failing, "initContainerStatuses")["helper"]["restartCount"] >= 1
    over = {"COMPLETE": "Succeeded", "ERROR": "Failed"}[end[0]]
    namespace.until(lambda: {pod["status"]["phase"] for pod in namespace.pods()} == {over}, GRACE + 30)
    assert namespace.pods_made() == len(SIDECARS)


def test_an_init_container_that_fails_is_named_with_its_exit_code_and_its_words(namespace: Namespace) -> None:
    failing = beside("fetch-keys", "echo fetching; echo no such key: staging; exit 4")
    namespace.pipeline(script="echo never", maxRetries=1, initContainers=[beside("first", "true"), failing])

    job = namespace.run(timeout=120)

    status = job["status"]
    assert (status["phase"], status["reason"]) == ("ERROR", "PreparationFailed")
    assert "exitCode" not in status
    words = "Init container fetch-keys ended with exit code 4, so the run's own container was not started"
    assert message(job) == f"{words}: no such key: staging"
    assert status["errorMessage"] == message(job)
    assert status["logTail"] == "fetching\nno such key: staging"
    assert tried(job) == [("PreparationFailed", None)] * 2
    assert namespace.pods_made() == 2
    namespace.wait_for_event("job-1", "Warning", "PreparationFailed")


def test_an_init_container_whose_program_is_missing_is_named(namespace: Namespace) -> None:
    namespace.pipeline(initContainers=[beside("fetch-keys", "", command=["/no/such/program"])])

    job = namespace.run()

    assert (job["status"]["phase"], job["status"]["reason"]) == ("ERROR", "PreparationFailed")
    assert message(job).startswith("Init container fetch-keys could not be started: ")
    assert "/no/such/program" in message(job)
    assert "exitCode" not in job["status"]


def test_a_second_attempt_is_prepared_again(namespace: Namespace) -> None:
    namespace.pipeline(
        script="cat rows; rm rows; exit 9",
        maxRetries=1,
        workingDir="/shared",
        volumes=[SHARED],
        initContainers=[beside("count", "echo 5 rows > /shared/rows")],
    )

    job = namespace.run(timeout=120)

    assert tried(job) == [("ApplicationError", 9)] * 2
    assert job["status"]["logTail"] == "5 rows"


def is_being_prepared(job: Body) -> bool:
    return reason("Starting")(job) and "Init container fetch-keys is running" in message(job)


def test_a_preparation_may_take_longer_than_a_start(namespace: Namespace) -> None:
    slow = beside("fetch-keys", "sleep 12")
    namespace.pipeline(script="echo 5 rows", pendingTimeoutSeconds=6, initContainers=[slow])
    namespace.job()

    assert namespace.wait("job-1", is_being_prepared)["status"]["phase"] == "RUNNING"
    job = namespace.wait("job-1", ended)

    assert job["status"]["phase"] == "COMPLETE", message(job)
    assert namespace.log(job) == "5 rows\n"


def test_a_job_that_is_stopped_while_it_is_prepared_never_starts(namespace: Namespace) -> None:
    slow = beside("fetch-keys", f"trap 'exit 0' TERM; {FOREVER}")
    namespace.pipeline(script="echo never", maxRetries=1, initContainers=[slow])
    namespace.job()
    namespace.wait("job-1", is_being_prepared)
    namespace.patch("job-1", {"spec": {"stop": True}})

    job = namespace.wait("job-1", ended)

    assert (job["status"]["phase"], job["status"]["reason"]) == ("STOPPED", "Stopped")
    assert "exitCode" not in job["status"]
    assert namespace.pods_made() == 1


@pytest.mark.parametrize("kind", ["initContainers", "sidecars"])
def test_a_container_whose_image_is_missing_is_named_and_not_waited_for_in_vain(
    namespace: Namespace, kind: str
) -> None:
    containers: Body = {
        kind: [beside("fetch-keys", "true", image="localhost/no-such-image:1", imagePullPolicy="Never")]
    }
    namespace.pipeline(pendingTimeoutSeconds=12, **containers)
    namespace.job()

    def names_it(job: Body) -> bool:
        told = job.get("status", {}).get("reason") in {"ImagePullFailed", "StartError"}
        return told and "fetch-keys" in message(job) and "no-such-image:1" in message(job)

    waiting = namespace.wait("job-1", names_it)
    job = namespace.wait("job-1", ended)

    assert waiting["status"]["phase"] == "RUNNING"
    assert job["status"]["phase"] == "ERROR"
    assert names_it(job), message(job)
    assert "exitCode" not in job["status"]
    assert namespace.pods_made() == 1


# --- the pod


def test_the_pod_goes_where_it_is_told_and_has_what_it_is_given(namespace: Namespace) -> None:
    (node, *_) = plain(core().list_node())["items"]
    host = node["metadata"]["labels"]["kubernetes.io/hostname"]
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [host, "elsewhere"]}
    no_windows = {"key": "kubernetes.io/os", "operator": "NotIn", "values": ["windows"]}
    preferred = {"weight": 5, "preference": {"matchExpressions": [{"key": "example.com/disk", "operator": "Exists"}]}}
    namespace.pipeline(
        script="python3 -c \"import socket; print(socket.gethostbyname('warehouse.internal'))\"; id -G",
        pod={
            "labels": {"app.kubernetes.io/name": "weather", "app.kubernetes.io/part-of": "demo"},
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [here, no_windows]}]
                },
                "preferredDuringSchedulingIgnoredDuringExecution": [preferred],
            },
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"},
                {
                    "maxSkew": 3,
                    "topologyKey": "topology.kubernetes.io/zone",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "weather"}},
                },
            ],
            "hostAliases": [{"ip": "10.0.0.7", "hostnames": ["warehouse.internal", "warehouse"]}],
            "supplementalGroups": [2000],
        },
    )

    job = namespace.run()

    address, groups = namespace.log(job).splitlines()
    assert address == "10.0.0.7"
    assert "2000" in groups.split()
    (pod,) = namespace.pods()
    labels = {name: word for name, word in pod["metadata"]["labels"].items() if name.startswith("app.kubernetes.io/")}
    assert labels == {
        "app.kubernetes.io/name": "weather",
        "app.kubernetes.io/part-of": "demo",
        "app.kubernetes.io/managed-by": "elt-operator",
    }


def test_nodes_that_are_required_and_not_there_are_waited_for(namespace: Namespace) -> None:
    elsewhere = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["elsewhere"]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [elsewhere]}]}
    affinity = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    namespace.pipeline(pod={"nodeAffinity": affinity}, pendingTimeoutSeconds=8)

    job = namespace.run()

    assert (job["status"]["phase"], job["status"]["reason"]) == ("ERROR", "Unschedulable")
    assert "didn't match Pod's node affinity/selector" in message(job)
