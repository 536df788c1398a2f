"""What runtimes and kubelets say of a container, without the values of Secrets that only they know."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_operator.core.words import of_an_event, shortened, without_values

CANARY = "canary-4711"
WRITTEN = frozenset({"elt", "bashh", "/opt/load", "weather-r1-x", "STORE"})


@pytest.mark.parametrize(
    "message",
    [
        'runc create failed: environment variable value can\'t contain null(\\x00): "STORE=canary-4711\\x00rest"',
        "invalid environment variable STORE=canary-4711 rest canary-4711",
        'OCI runtime create failed: exec: "canary-4711": executable file not found in $PATH',
        'OCI runtime create failed: exec: "/x/canary-4711": stat /x/canary-4711: no such file or directory: unknown',
        "crun: executable file `canary-4711` not found: No such file or directory",
        'Error: environment: "PEM=a\\"canary-4711\\""',
        "env 'canary-4711' is no text",
        'envFrom: the value "canary-4711 that was cut off',
        "proto: field runtime.v1.KeyValue.Value contains invalid UTF-8 in 'A=canary-4711'",
    ],
)
def test_no_value_is_repeated(message: str) -> None:
    assert CANARY not in without_values(message, WRITTEN)


@pytest.mark.parametrize(
    "message",
    [
        'OCI runtime create failed: exec: "bashh": executable file not found in $PATH: unknown',
        'runc create failed: exec: "/opt/load": stat /opt/load: no such file or directory: unknown',
        'container create failed: executable file "bashh" not found in $PATH: No such file or directory',
        'container\'s runAsUser breaks non-root policy (pod: "weather-r1-x_shop(4b37-65b6)", container: elt)',
        'secret "warehouse" not found',
        'secret "prod-env" not found',
        "couldn't find key env in Secret shop/prod-env",
        'MountVolume.SetUp failed for volume "env" : secret "command" not found',
        'failed to pull and unpack image "x/y:1": not found',
        'Back-off pulling image "registry.example/env/exec:1"',
        'Error creating: pods "env-r1-x" is forbidden: exceeded quota: env, requested: pods=1, used: pods=10',
        'Failed to create pod sandbox: rpc error: plugin type="calico" failed (add): stat /var/lib/calico/nodename',
        'container has runAsNonRoot and image will run as root (pod: "env-r1-x_shop(4f7c)", container: elt)',
        "0/3 nodes are available: 3 Insufficient memory.",
    ],
)
def test_what_stands_in_the_manifest_or_is_no_value_stays(message: str) -> None:
    assert without_values(message, WRITTEN) == message


@given(before=st.text(max_size=40), after=st.text(max_size=40), quote=st.sampled_from("\"'`"))
def test_no_quoted_value_is_repeated_whatever_stands_around_it(before: str, after: str, quote: str) -> None:
    other = {'"': "'`", "'": '"`', "`": "\"'"}[quote]
    before, after = (text.translate({ord(mark): None for mark in quote + other + "\\"}) for text in (before, after))

    assert CANARY not in without_values(f"environment {before}{quote}A={CANARY}{quote}{after}")


def go(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


SAID = {
    "a variable that libc refuses": "container create failed: putenv `STORE={}`: Invalid argument",
    "a variable after a space": "setenv: STORE {}: Invalid argument",
    "a list of Go's": "failed to generate spec: invalid environment [PATH=/bin STORE={} A=b]",
    "a map of Go's": "failed to generate spec: environment map[PATH:/bin STORE:{} A:b]",
    "a name that is no identifier": "invalid environment variable my-store.-={}",
    "an executable": "container create failed: executable file `{}` not found in $PATH: No such file or directory",
    "an executable for youki": "youki: failed to create container: executable '{}' for container not found in $PATH",
    "an executable for crun": "crun: make {} executable: No such file or directory",
    "an executable without quotes": "fork/exec {}: no such file or directory",
    "a list of arguments": "starting sandbox: failed: EOF: argv: [bashh {}]",
    "an argument": "argv[2] = {} is too long",
    "bytes that are no text": "rpc error: code = Internal desc = grpc: error while marshaling: invalid UTF-8: {}",
    "a path within a volume": "unable to provision SubPath `{}`: must not contain '..'",
    "a hook": 'Exec lifecycle hook ([/bin/sh -c echo {}]) for Container "x" in Pod "p" failed',
}
VALUES = {
    "plain": "canary-4711",
    "with spaces": "is canary 4711 file",
    "with an apostrophe": "it's canary's 4711",
    "with a quotation mark": 'is"canary"4711',
    "with a backtick": "is`canary`4711",
    "with a backslash": "canary\\4711",
    "with a line feed": "canary\n4711",
    "with an equals sign": "canary=4711=",
    "like a list": "[canary, {{4711}}]: x",
    "a path": "/var/canary/4711.pem",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=list(VALUES))
@pytest.mark.parametrize("said", SAID.values(), ids=list(SAID))
def test_no_part_of_a_value_is_repeated(said: str, value: str) -> None:
    runc = f"runc create failed: exec: {go(value)}: stat {value}: no such file or directory"
    for message in (
        said.format(value),
        f"container create failed: {runc}",
        f'container create failed: time="2026-11-27T10:00:00Z" level=error msg={go(runc)}',
        f"OCI runtime create failed: {said.format(value)}"[: 40 + len(value)],
    ):
        told = without_values(message, WRITTEN)
        assert "canary" not in told
        assert "4711" not in told


EXEC_HOOK = (
    'Exec lifecycle hook ([/bin/sh -c curl -H "X: {0}" localhost]) for Container "istio-proxy" in Pod '
    '"weather-r1-x_shop(4b37)" failed - error: command \'/bin/sh -c {0}\' exited with 7: , message: "{0}"'
)
HTTP_HOOK = 'HTTP lifecycle hook (/{}) for Container "istio-proxy" in Pod "weather-r1-x_shop(4b37)" failed - error: EOF'
SLEEP_HOOK = 'Sleep lifecycle hook (5) for Container "x" in Pod "weather-r1-x_shop(4b37)" failed - error: canceled'
OF_A_HOOK = "the {} of a lifecycle hook failed; check the container's lifecycle in the pod's spec"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        pytest.param(EXEC_HOOK.format(CANARY), OF_A_HOOK.format("command"), id="a command"),
        pytest.param(HTTP_HOOK.format(CANARY), OF_A_HOOK.format("HTTP request"), id="an HTTP request"),
        pytest.param(SLEEP_HOOK, OF_A_HOOK.format("sleep"), id="a sleep"),
        pytest.param(
            "PostStartHook failed",
            "the postStart hook of a container failed; check lifecycle.postStart in the pod's spec",
            id="an event",
        ),
        pytest.param(
            of_an_event("FailedPostStartHook", "spec.containers{istio-proxy}", "PostStartHook failed"),
            "the postStart hook of container istio-proxy failed; check lifecycle.postStart in the pod's spec",
            id="an event that names the container",
        ),
        pytest.param(
            of_an_event("FailedPreStopHook", "spec.initContainers{agent}", EXEC_HOOK.format(CANARY)),
            "the preStop hook of container agent failed; check lifecycle.preStop in the pod's spec",
            id="an event of an older kubelet",
        ),
        pytest.param(
            of_an_event("FailedPostStartHook", "spec.containers{" + CANARY + " x}", EXEC_HOOK.format(CANARY)),
            "the postStart hook of a container failed; check lifecycle.postStart in the pod's spec",
            id="an event that names no container",
        ),
    ],
)
@pytest.mark.parametrize("of_a_runtime", [False, True])
def test_a_hook_that_failed_is_told_in_a_sentence_without_values(message: str, told: str, of_a_runtime: bool) -> None:
    assert without_values(message, WRITTEN, of_a_runtime=of_a_runtime) == told


def test_an_event_about_anything_else_keeps_its_message() -> None:
    assert of_an_event("FailedMount", "", "MountVolume.SetUp failed") == "MountVolume.SetUp failed"


def test_what_a_runtime_says_has_no_other_words_than_its_own() -> None:
    assert without_values("cannot use hunter2", WRITTEN, of_a_runtime=True) == "cannot use …"
    assert without_values('bad value: "STORE=hunter2 x"', WRITTEN, of_a_runtime=True) == 'bad value: "STORE=…"'


@pytest.mark.parametrize("piece", ["=", "'", "… ", "a'…", "[x]", 'time="', "can't", "x" * 999, " ", "\\"])
def test_the_time_is_linear(piece: str) -> None:
    message = "runc " + (piece * 40_000)[:40_000]
    tries = []
    for _ in range(3):  # the machine's other work is none of it
        begin = time.process_time()
        without_values(message, WRITTEN)
        tries.append(time.process_time() - begin)
    assert min(tries) < 0.1


def test_a_long_message_is_shortened_with_a_sign() -> None:
    assert shortened("x" * 2049) == "x" * 2047 + "…"
