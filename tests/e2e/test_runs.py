"""What a run gets: environment, arguments, files, secrets; and what it must not get."""

import base64
import json

from e2e.world import IMAGE, Body, Namespace, ended, kubectl

SHOW = ["python3", "-c", "import json, os, sys; print(json.dumps([dict(os.environ), sys.argv[1:]]))"]

SOURCES = """
apiVersion: v1
kind: Secret
metadata: {name: warehouse}
stringData: {password: canary-4711}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {REGION: eu, mode: fast}
"""


def test_properties_and_env_reach_the_process(namespace: Namespace) -> None:
    namespace.apply(SOURCES)
    namespace.pipeline(
        command=SHOW,
        properties={"tap-weather.start_date": "2013-01-01", "tap-weather.limit": 5, "tap-weather.shell": "$(PATH) $$"},
        env=[
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "warehouse", "key": "password"}}},
            {"name": "MELTANO_CLI_LOG_FORMAT", "value": "plain"},
        ],
        envFrom=[{"prefix": "SET_", "configMapRef": {"name": "settings"}}],
    )

    job = namespace.run(properties={"tap-weather.limit": 7}, fullRefresh=True)

    environment, _ = json.loads(namespace.log(job))
    assert {name: environment[name] for name in environment if name.startswith(("TAP_", "SET_", "ELT_"))} == {
        "TAP_WEATHER_START_DATE": "2013-01-01",
        "TAP_WEATHER_LIMIT": "7",
        "TAP_WEATHER_SHELL": "$(PATH) $$",
        "SET_REGION": "eu",
        "SET_mode": "fast",
        "ELT_NAMESPACE": namespace.name,
        "ELT_PIPELINE": "weather",
        "ELT_JOB": "job-1",
        "ELT_RUN_NUMBER": "1",
        "ELT_FULL_REFRESH": "true",
    }
    assert environment["PASSWORD"] == "canary-4711"
    assert environment["MELTANO_RUN_ID"] == job["metadata"]["uid"]
    assert environment["MELTANO_RUN_FULL_REFRESH"] == "true"
    assert environment["MELTANO_CLI_LOG_FORMAT"] == "plain"


def test_arguments_go_through_no_shell(namespace: Namespace) -> None:
    arguments = ["a b", "$(ELT_JOB)", "$HOME; touch /tmp/x", "*", ""]
    namespace.pipeline(command=SHOW)

    job = namespace.run(arguments=arguments)

    assert json.loads(namespace.log(job))[1] == arguments
    assert job["status"]["arguments"] == [*SHOW, *arguments]


def test_a_scripts_arguments_are_its_positional_parameters(namespace: Namespace) -> None:
    namespace.pipeline(script='printf "<%s>" "$@"; echo " pid $$ of $(echo $ELT_JOB)"')

    log = namespace.log(namespace.run(arguments=["a b", "$$", "*"]))

    assert log.startswith("<a b><$$><*> pid ")
    assert log.endswith(" of job-1\n")


def test_a_script_is_told_to_end_with_all_that_it_started(namespace: Namespace) -> None:
    child = "(trap 'echo child told' TERM; sleep 50 & wait) & wait"
    namespace.pipeline(script=f"trap 'wait; echo told; exit 5' TERM; {child}", timeoutSeconds=2)

    job = namespace.run()

    assert job["status"]["reason"] == "TimedOut"
    assert {"told", "child told"} <= set(namespace.log(job).splitlines())


def test_volumes_are_where_they_should_be(namespace: Namespace) -> None:
    namespace.apply(SOURCES)
    namespace.pipeline(
        script="cat /keys/password /conf/mode.txt; touch /scratch/x /tmp/y; ! touch /z 2> /dev/null; ls /scratch",
        volumes=[
            {"name": "keys", "mountPath": "/keys", "readOnly": True, "secret": {"secretName": "warehouse"}},
            {
                "name": "conf",
                "mountPath": "/conf",
                "configMap": {"name": "settings", "items": [{"key": "mode", "path": "mode.txt"}]},
            },
            {"name": "scratch", "mountPath": "/scratch", "emptyDir": {"sizeLimit": "10Mi"}},
        ],
        pod={"readOnlyRootFilesystem": True, "fsGroup": 65532, "labels": {"team": "data"}},
    )

    job = namespace.run()

    assert namespace.log(job) == "canary-4711fastx\n"
    (pod,) = namespace.pods()
    assert pod["metadata"]["labels"]["team"] == "data"


PASSWORD: Body = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "warehouse", "key": "password"}}}
KEYSTORE = b"canary-4711\0rest"


def test_no_secret_value_is_written_anywhere(namespace: Namespace) -> None:
    """Container runtimes quote variables, and arguments in which variables were replaced, when they cannot start."""
    namespace.apply(SOURCES)
    data = {"STORE": base64.b64encode(KEYSTORE).decode()}
    namespace.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keystore"}, "data": data})
    ways: dict[str, Body] = {
        "failed": {"script": 'echo "a password of ${#PASSWORD} letters"; exit 3', "env": [PASSWORD]},
        "variable": {"command": ["true"], "envFrom": [{"secretRef": {"name": "keystore"}}]},
        "command": {"command": ["$(PASSWORD)"], "env": [PASSWORD]},
        "path": {"command": ["/opt/$(PASSWORD)/load"], "env": [PASSWORD]},
    }
    for name, spec in ways.items():
        namespace.pipeline(name, pendingTimeoutSeconds=8, **spec)
        namespace.job(f"{name}-1", name)

    reasons = {name: namespace.wait(f"{name}-1", ended)["status"]["reason"] for name in ways}

    assert reasons == {"failed": "ApplicationError", **dict.fromkeys(list(ways)[1:], "StartError")}
    events = [[*namespace.events(f"{name}-1"), *namespace.events(name, "Pipeline")] for name in ways]
    pipelines = [namespace.get(name, "eltpipelines") for name in ways]
    written = json.dumps([namespace.jobs(), namespace.runs(), events, pipelines])
    assert "null" in written, "the kind of trouble is told"
    assert "a password of 11 letters" in written, "the log is told"
    assert "canary-4711" not in written
    assert "canary-4711" not in kubectl("logs", "--namespace=elt-operator", "deployment/elt-operator", "--since=2m")


def test_a_run_has_no_token_and_few_rights(namespace: Namespace) -> None:
    namespace.pipeline(script="id -u; ls /var/run/secrets/kubernetes.io 2>&1 || true")

    log = namespace.log(namespace.run())

    assert log.startswith("65532\n")
    assert "No such file" in log


def test_nothing_of_the_jobs_own_labels_is_copied(namespace: Namespace) -> None:
    namespace.pipeline()
    namespace.apply(
        {
            "apiVersion": "elt-operator.io/v1alpha1",
            "kind": "Job",
            "metadata": {"name": "job-1", "labels": {"argocd.argoproj.io/instance": "app"}},
            "spec": {"pipelineName": "weather"},
        }
    )
    namespace.wait("job-1", lambda job: job["status"]["phase"] == "COMPLETE")

    (run,) = namespace.runs()
    assert sorted(run["metadata"]["labels"]) == [
        "app.kubernetes.io/managed-by",
        "elt-operator.io/job",
        "elt-operator.io/job-uid",
        "elt-operator.io/pipeline",
        "elt-operator.io/run-number",
    ]
    assert run["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGE
