"""The Jobs API: the caller's own rights, and no other; what cannot be seen looks like what is not there."""

import asyncio
import itertools
import json
import os
import re
import ssl
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from e2e.fault_proxy import FaultProxy
from e2e.kept import settled
from e2e.programs import OwnApi
from e2e.served import Answer, Server, account
from e2e.world import USER, Body, Namespace, audit_events, ended, kubectl, phase
from e2e.world import api as client_of_the_cluster

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "api.md"
EXAMPLES = ROOT / "operator" / "elt_operator" / "api" / "examples.json"
API_USER = f"{USER}-api"
KEEPER_AND_API = ("deployment/elt-operator-api", "deployment/elt-operator-logs", "deployment/elt-operator")


@pytest.fixture(scope="module")
def api() -> Iterator[Server]:
    server = Server("deployment/elt-operator-api", 8082)
    server.connect()
    yield server
    server.close()


def uid_of(body: Body) -> str:
    return str(body["metadata"]["uid"])


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until the API says so."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, f"the API does not say within 30 s: {what}"
        time.sleep(0.1)


# -- rights ------------------------------------------------------------------------------------------------------------

NOTHING, JOBS_ONLY, VIEW, EDIT = range(4)
USERS: Final[Mapping[str, tuple[int, int]]] = {
    "editor": (EDIT, NOTHING), "of-two": (EDIT, EDIT), "viewer": (VIEW, NOTHING), "no-logs": (JOBS_ONLY, NOTHING),
    "stranger": (NOTHING, NOTHING),
}  # fmt: skip
"""What each may do in a namespace, and in another one."""
ROLES = {EDIT: "edit", VIEW: "view"}


class Asked(NamedTuple):
    """A request: what it is, what it needs to be seen, and what its answers are to who may see it, and change it."""

    method: str
    path: str
    needs: int
    seen: frozenset[int]
    changed: frozenset[int] = frozenset()


_READ = frozenset({200})
REQUESTS: Final = (
    Asked("GET", "/api/workspaces/{workspace}", JOBS_ONLY, _READ),
    Asked("GET", "/api/workspaces/{workspace}/pipelines", JOBS_ONLY, _READ),
    Asked("GET", "/api/workspaces/{workspace}/jobs", JOBS_ONLY, _READ),
    Asked("GET", "/api/pipelines/{pipeline}", JOBS_ONLY, _READ),
    Asked("GET", "/api/pipelines/{pipeline}/jobs", JOBS_ONLY, _READ),
    Asked("GET", "/api/pipeline/{pipeline}/jobs", JOBS_ONLY, _READ),
    Asked("GET", "/api/jobs/{job}", JOBS_ONLY, _READ),
    Asked("GET", "/api/jobs/{job}/logs", VIEW, frozenset({200, 204})),
    Asked("POST", "/api/pipelines/{pipeline}/jobs?queue=true", JOBS_ONLY, frozenset({403}), frozenset({201})),
    Asked("POST", "/api/pipeline/{pipeline}/jobs?queue=true", JOBS_ONLY, frozenset({403}), frozenset({201})),
    Asked("PUT", "/api/jobs/{job}/stopped", JOBS_ONLY, frozenset({403}), frozenset({202})),
    Asked("DELETE", "/api/jobs/{job}", JOBS_ONLY, frozenset({403}), frozenset({204})),
)


@pytest.fixture(scope="module")
def places(request: pytest.FixtureRequest) -> Iterator[list[Namespace]]:
    """Three namespaces with a Pipeline whose run goes on; the last one is deleted then."""
    made = [Namespace.create(f"{request.node.name}-{number}") for number in range(3)]
    for namespace in made:
        namespace.pipeline(script="echo begun; sleep 600")
        namespace.job("running")
    yield made
    for namespace in made[:2]:
        namespace.delete()


def targets(place: Namespace) -> dict[str, str]:
    """Return the ids of what is in a namespace."""
    pipeline, job = place.get("weather", "eltpipelines"), place.get("running")
    return {"workspace": place.name, "pipeline": uid_of(pipeline), "job": uid_of(job)}


def without_the_request(answer: Answer, path: str) -> tuple[int, bytes, tuple[tuple[str, str], ...]]:
    """Return an answer without its time, and what only repeats the request."""
    body = json.loads(answer.body)
    assert body.pop("path") == path.partition("?")[0]
    assert body.pop("timestamp")
    headers = {name.lower(): text for name, text in answer.headers.items()}
    length = len(answer.body) - len(path.partition("?")[0])
    assert int(headers.pop("content-length")) == len(answer.body)
    return answer.code, json.dumps([body, length]).encode(), tuple(sorted({**headers, "date": ""}.items()))


def users(own: Namespace, foreign: Namespace) -> dict[str, str]:
    """Make all users; return their tokens."""
    kubectl("create", "role", "jobs-only", "--verb=get,list", "--resource=eltjobs.elt-operator.io",
            "--resource=eltpipelines.elt-operator.io", f"--namespace={own.name}")  # fmt: skip
    tokens = {}
    for user, (here, there) in USERS.items():
        tokens[user] = account(own, user, ROLES.get(here, ""))
        whose = f"--serviceaccount={own.name}:{user}"
        if here == JOBS_ONLY:
            kubectl("create", "rolebinding", user, "--role=jobs-only", whose, f"--namespace={own.name}")
        if there:
            kubectl("create", "rolebinding", user, "--clusterrole=edit", whose, f"--namespace={foreign.name}")
    return tokens


def jobs_to_change(places: Mapping[str, Namespace]) -> dict[tuple[str, str, str], str]:
    """Make a Job for each request that stops or deletes one; return their ids, by user, method and place."""
    made = {}
    for what, place in places.items():
        for user in USERS:
            for method in ("PUT", "DELETE"):
                place.job(f"{user}-{method.lower()}")
                made[user, method, what] = uid_of(place.get(f"{user}-{method.lower()}"))
    return made


def expected(asked: Asked, level: int) -> frozenset[int]:
    """Return how a request may be answered."""
    if level < asked.needs:
        return frozenset({404})
    return asked.changed if level == EDIT and asked.changed else asked.seen


@pytest.mark.long(1)
def test_each_user_may_do_what_their_token_may_and_no_more(places: list[Namespace], api: Server) -> None:
    own, foreign, gone = places
    tokens = users(own, foreign)
    ids = {"own": targets(own), "foreign": targets(foreign), "deleted": targets(gone), "unknown": {
        "workspace": "no-such-namespace", "pipeline": "00000000-0000-4000-8000-000000000000",
        "job": "00000000-0000-4000-8000-000000000001",
    }}  # fmt: skip
    gone.delete()
    fresh = jobs_to_change({"own": own, "foreign": foreign})
    until(lambda: api.ask(f"/api/jobs/{ids['deleted']['job']}", tokens["of-two"]).code == 404, "the Job is gone")
    for uid in fresh.values():
        until(lambda uid=uid: api.ask(f"/api/jobs/{uid}", tokens["of-two"]).code == 200, f"there is {uid}")  # type: ignore[misc]

    wrong, not_there = [], set()
    for user, asked, what in itertools.product(USERS, REQUESTS, ids):
        level = dict(zip(("own", "foreign"), USERS[user], strict=True)).get(what, NOTHING)
        path = asked.path.format(**{**ids[what], "job": fresh.get((user, asked.method, what), ids[what]["job"])})
        answer = api.ask(path, tokens[user], method=asked.method)
        if answer.code not in expected(asked, level):
            wrong.append((user, asked.method, path, what, answer.code, answer.body[:200]))
        if answer.code == 404:
            not_there.add(without_the_request(answer, path))
    assert not wrong
    assert len(not_there) == 1, not_there


def test_a_change_is_made_by_whoever_asks_and_reads_ask_nothing(namespace: Namespace, api: Server) -> None:
    namespace.pipeline(script="echo done")
    token = account(namespace, "editor", "edit")
    pipeline = uid_of(namespace.get("weather", "eltpipelines"))
    until(lambda: api.ask(f"/api/pipelines/{pipeline}", token).code == 200, "there is the Pipeline")

    created = api.ask(f"/api/pipelines/{pipeline}/jobs", token, method="POST")
    assert created.code == 201
    told = json.loads(created.body)
    assert api.ask(created.headers["location"], token).code == 200
    job = namespace.wait(told["name"], ended)
    until(lambda: json.loads(api.ask(f"/api/jobs/{told['id']}", token).body)["status"] == "COMPLETE", "it has ended")
    for _ in range(100):
        assert api.ask(f"/api/workspaces/{namespace.name}/jobs", token).code == 200
        assert api.ask(f"/api/jobs/{told['id']}", token).code == 200
    assert api.ask(f"/api/jobs/{told['id']}", token, method="DELETE").code == 204
    until(lambda: api.ask(f"/api/jobs/{told['id']}", token).code == 404, "it is deleted")

    editor = f"system:serviceaccount:{namespace.name}:editor"
    theirs = [event for event in audit_events() if event["user"]["username"] == editor]
    writes = [(event["verb"], event["objectRef"].get("name", "")) for event in theirs
              if event["objectRef"]["resource"] == "eltjobs" and event["stage"] == "ResponseComplete"]  # fmt: skip
    assert sorted(verb for verb, _ in writes) == ["create", "delete"]
    assert ("delete", job["metadata"]["name"]) in writes
    assert len(theirs) < 40, "200 reads cost the API server next to nothing"


def test_the_api_itself_only_lists_and_watches(api: Server) -> None:
    assert api.ask("/api/workspaces", "no.such.token").code == 401

    done = {(event["verb"], event.get("objectRef", {}).get("resource")) for event in audit_events()
            if event["user"]["username"] == API_USER}  # fmt: skip

    assert done
    assert done <= {(verb, what) for verb in ("list", "watch") for what in ("eltjobs", "eltpipelines", "namespaces")}


def test_a_token_is_in_no_log_and_no_metric(namespace: Namespace, api: Server) -> None:
    namespace.pipeline(script="echo done")
    namespace.job()
    token = account(namespace, "viewer", "view")
    job = uid_of(namespace.wait("job-1", ended))
    pipeline = uid_of(namespace.get("weather", "eltpipelines"))
    ids = {"workspace": namespace.name, "pipeline": pipeline, "job": job}
    for asked in REQUESTS:
        for sent in (token, f"{token}x", f"broken-{token}"):
            assert token not in api.ask(asked.path.format(**ids), sent, method=asked.method).body.decode()
    api.ask(f"/api/jobs/{job}?token={token}", token)
    metrics = Server("deployment/elt-operator-api", 8080)
    text = metrics.ask("/metrics", "").body.decode()
    metrics.close()

    assert "elt_operator_jobs_api_requests_total{" in text
    for secret in (token, token.rpartition(".")[2]):
        assert secret not in text
        for program in KEEPER_AND_API:
            assert secret not in kubectl("logs", "--namespace=elt-operator", program, "--all-containers", "--tail=-1")


# -- what people do ----------------------------------------------------------------------------------------------------

CURL = re.compile(r"^curl (?:.*\\\n)*.*$", re.MULTILINE)
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def curl_lines() -> list[str]:
    """Return the lines of the page that call the API, in their order."""
    return [line for block in BLOCK.findall(PAGE.read_text()) for line in CURL.findall(block)]


def test_the_lines_of_the_page_work(namespace: Namespace, api: Server) -> None:
    namespace.pipeline(script="echo begun; sleep 2; echo done")
    token = account(namespace, "data-engineer", "edit")
    pipeline = uid_of(namespace.get("weather", "eltpipelines"))
    until(lambda: api.ask(f"/api/pipelines/{pipeline}", token).code == 200, "there is the Pipeline")
    known = {"api": f"{api.url}/api", "auth": f"Authorization: Bearer {token}", "pipeline": pipeline, "job": ""}
    lines = curl_lines()
    assert len(lines) > 10
    namespace.leftovers_allowed = True  # one is deleted at work
    for line in lines:
        words = line.replace("team-a", namespace.name).replace("curl ", r"curl -w '\n%{http_code}' ", 1)
        done = subprocess.run(
            ["bash", "-c", words], capture_output=True, text=True, check=False, env={**os.environ, **known}
        )
        body, _, code = done.stdout.rpartition("\n")
        limited = "--max-time" in line
        assert done.returncode in ({0, 28} if limited else {0}), (line, done.stderr)
        assert code.startswith("2"), (line, done.stdout)
        if "/jobs" in line and code in {"200", "201"} and body.startswith("{") and "errorMessage" in body:
            told: dict[str, Any] = json.loads(body)
            known["job"] = told.get("id", known["job"])


def test_a_job_is_run_stopped_and_run_again(namespace: Namespace, api: Server) -> None:
    namespace.pipeline(script="echo begun; sleep 600")
    token = account(namespace, "editor", "edit")
    pipeline = uid_of(namespace.get("weather", "eltpipelines"))
    path = f"/api/pipelines/{pipeline}/jobs"
    until(lambda: api.ask(path, token).code == 200, "there is the Pipeline")

    def create(query: str = "", **headers: str) -> tuple[int, Body]:
        answer = api.ask(f"{path}{query}", token, method="POST", headers=headers)
        return answer.code, json.loads(answer.body)

    code, first = create(**{"Idempotency-Key": "once"})
    assert code == 201
    namespace.wait(first["name"], phase("RUNNING"))
    until(lambda: json.loads(api.ask(f"/api/jobs/{first['id']}", token).body)["status"] == "RUNNING", "it runs")
    code, again = create(**{"Idempotency-Key": "once"})
    assert (code, again["id"]) == (200, first["id"])
    code, refused = create()
    assert code == 409
    assert first["id"] in refused["message"]
    code, second = create("?queue=true")
    assert (code, second["status"]) == (201, "QUEUED")

    # RUNNING is a Job whose container has not started, too: stopped then, it would have no log.
    until(lambda: b"begun" in api.ask(f"/api/jobs/{first['id']}/logs", token).body, "its log so far")
    assert api.ask(f"/api/jobs/{first['id']}/stopped", token, method="PUT").code == 202
    assert namespace.wait(first["name"], ended)["status"]["phase"] == "STOPPED"
    namespace.wait(second["name"], phase("RUNNING"))
    assert api.ask(f"/api/jobs/{second['id']}", token, method="DELETE").code == 204
    namespace.until(lambda: [job["metadata"]["name"] for job in namespace.jobs()] == [first["name"]])
    until(lambda: b"begun" in api.ask(f"/api/jobs/{first['id']}/logs", token).body, "its log")


def test_what_the_api_server_refuses_names_the_field(namespace: Namespace, api: Server) -> None:
    namespace.pipeline(script="echo done")
    token = account(namespace, "editor", "edit")
    pipeline = uid_of(namespace.get("weather", "eltpipelines"))
    path = f"/api/pipelines/{pipeline}/jobs"
    until(lambda: api.ask(path, token).code == 200, "there is the Pipeline")
    for body, field in (
        ({"arguments": ["x" * 100_000]}, "arguments[0]"), ({"intervalStart": "yesterday"}, "intervalStart"),
        ({"intervalStart": "2026-01-02T00:00:00Z", "intervalEnd": "2026-01-01T00:00:00Z"}, "intervalStart"),
        ({"argumentz": []}, "argumentz"), ({"properties": {"": "x"}}, "properties"),
    ):  # fmt: skip
        data = json.dumps(body).encode()
        answer = api.ask(path, token, data, method="POST", headers={"Content-Type": "application/json"})
        told = json.loads(answer.body)
        assert answer.code == 400, (body, told)
        assert {one["field"] for one in told["errors"]} == {field}, told
    assert not namespace.jobs()


# -- when the API server is away ---------------------------------------------------------------------------------------


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """A way to the API server that can be cut."""
    configuration = client_of_the_cluster().configuration
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    made = FaultProxy(configuration.host, tls, lambda: None)
    yield made
    await made.stop()


@pytest.mark.long(1.5)
async def test_what_is_known_is_told_for_a_minute_while_the_api_server_is_away(
    namespace: Namespace, proxy: FaultProxy
) -> None:
    namespace.pipeline(script="echo done")
    namespace.job()
    job = uid_of(namespace.wait("job-1", ended))
    token, other = account(namespace, "viewer", "view"), account(namespace, "other", "view")
    api = await asyncio.to_thread(OwnApi, api_server=await proxy.start())
    path = f"/api/jobs/{job}"

    async def ask(token: str = token) -> Answer:
        return await asyncio.to_thread(api.ask, path, token)

    try:
        await asyncio.to_thread(api.start, token)
        assert (await ask()).code == 200
        proxy.sever()
        cut = time.monotonic()
        namespace.delete_job("job-1")
        while (answer := await ask()).code == 200:
            away = time.monotonic() - cut
            assert int(answer.headers["age"]) >= int(away) - 1, "it is told as if it was newer"
            assert away < 62
            assert (await ask(other)).code == 503, "nobody knows what they may do"
            await asyncio.sleep(1)
        assert time.monotonic() - cut > 20
        assert (answer.code, "retry-after" in {name.lower() for name in answer.headers}) == (503, True)

        proxy.heal()
        while (answer := await ask()).code == 503:
            assert time.monotonic() - cut < 120
            await asyncio.sleep(0.2)
        assert answer.code == 404, "it is deleted"
    finally:
        await asyncio.to_thread(api.close)


# -- the description ---------------------------------------------------------------------------------------------------


def shape(told: Any) -> Any:
    """Return what kind of thing each part of an answer is."""
    match told:
        case dict():
            return {name: shape(one) for name, one in told.items()}
        case list():
            return [shape(told[0])] if told else []
        case _:
            return type(told).__name__


def events_until(api: Server, path: str, token: str, word: bytes) -> Iterator[str]:
    """Listen; yield nothing at first, then the events up to one with ``word`` in it."""
    with urllib.request.urlopen(api.request(path, token), timeout=30) as answer:  # noqa: S310 - http://127.0.0.1
        yield ""
        lines = []
        for line in answer:
            lines.append(line)
            if word in line:
                break
        yield b"".join([*lines, b"\n"]).decode()


def recorded(api: Server, namespace: Namespace, token: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Ask for everything; return the answers by request, code and media type."""
    pipeline = uid_of(namespace.get("weather", "eltpipelines"))
    answers: dict[str, dict[str, dict[str, Any]]] = {}
    ids = {"workspace": namespace.name, "id": pipeline}

    def ask(request: str, query: str = "", *, accept: str = "*/*", data: bytes | None = None, **headers: str) -> Any:
        method, path = request.split()
        headers = {"enable-task-details": "true", **({"Content-Type": "application/json"} if data else {}), **headers}
        answer = api.ask(f"{path.format(**ids)}{query}", token, data, accept, method, headers)
        media = {name.lower(): text for name, text in answer.headers.items()}.get("content-type", "")
        if media:
            body = answer.body.decode()
            body = json.loads(body) if media in {"application/json", "application/hal+json"} else body
            answers.setdefault(request, {}).setdefault(str(answer.code), {}).setdefault(media.partition(";")[0], body)
            return body
        return None

    new = b'{"arguments": ["--dry-run"], "properties": {"tap-weather.start_date": "2026-01-01"}}'
    created = ask("POST /api/pipelines/{id}/jobs", data=new, **{"Idempotency-Key": "load-2026-01-01"})
    namespace.wait(created["name"], settled, 90)
    ask("POST /api/pipelines/{id}/jobs", data=new, **{"Idempotency-Key": "load-2026-01-01"})
    ask("POST /api/pipelines/{id}/jobs", data=b'{"intervalStart": "yesterday"}')
    ids["id"] = created["id"]
    until(lambda: json.loads(api.ask(f"/api/jobs/{created['id']}", token).body)["log"] == "Kept", "its log is kept")
    ask("GET /api/jobs/{id}")
    ask("GET /api/jobs/{id}/logs")
    ask("GET /api/jobs/{id}/logs", accept="application/x-ndjson")
    ids["id"] = pipeline
    events = events_until(api, f"/api/events?workspace={namespace.name}", token, b'"status":')
    next(events)
    second = ask("POST /api/pipelines/{id}/jobs")
    answers["GET /api/events"] = {"200": {"text/event-stream": next(events)}}
    ask("POST /api/pipelines/{id}/jobs")
    for request in ("GET /api/workspaces", "GET /api/workspaces/{workspace}", "GET /api/profiles",
                    "GET /api/workspaces/{workspace}/pipelines", "GET /api/workspaces/{workspace}/jobs",
                    "GET /api/pipelines/{id}", "GET /api/pipelines/{id}/jobs"):  # fmt: skip
        ask(request)
    ids["id"] = second["id"]
    ask("PUT /api/jobs/{id}/stopped")
    namespace.wait(second["name"], ended)
    until(lambda: json.loads(api.ask(f"/api/jobs/{second['id']}", token).body)["status"] == "STOPPED", "it is stopped")
    ask("PUT /api/jobs/{id}/stopped")
    ask("DELETE /api/jobs/{id}")
    ask("DELETE /api/jobs/{id}")
    return answers


def test_the_examples_of_the_description_are_real_answers(namespace: Namespace, api: Server) -> None:
    namespace.pipeline(script='echo "loads ${1:-everything}"; sleep 3; echo done', schedule="0 6 * * *", maxRetries=2)
    token = account(namespace, "data-engineer", "edit")
    pipeline = uid_of(namespace.get("weather", "eltpipelines"))
    until(lambda: b'"READY"' in api.ask(f"/api/pipelines/{pipeline}", token).body, "the Pipeline is ready")

    answers = recorded(api, namespace, token)

    text = json.dumps(answers, indent=1).replace(namespace.name, "team-a")
    if os.environ.get("RECORD_API"):
        EXAMPLES.write_text(f"{text}\n")
    assert shape(json.loads(text)) == shape(json.loads(EXAMPLES.read_text()))
