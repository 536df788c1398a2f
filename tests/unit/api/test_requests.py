"""The requests of the API, each with what it answers."""

import asyncio
import random
from collections.abc import AsyncIterator
from io import BytesIO

import aiohttp
import pytest
from jsonschema import Draft202012Validator

from elt_operator.api.bodies import MOST
from elt_operator.api.refusals import BUG, NOT_FOUND
from elt_operator.resources import names
from unit.api.world import NOW, World, a_job, a_pipeline, a_world

PIPELINE, JOB = "uid-of-team-a-weather", "uid-of-team-a-weather-1"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with a_world() as one:
        yield one


async def test_a_job_is_told_with_links_to_what_can_be_done_with_it(world: World) -> None:
    answer = await world.get(f"/api/jobs/{JOB}")

    assert answer.code == 200
    assert answer.headers["Content-Type"] == "application/hal+json"
    told = answer.json
    assert (told["id"], told["status"], told["exitCode"]) == (JOB, "COMPLETE", 0)
    assert (told["startTime"], told["endTime"]) == ("2026-01-01T05:00:00Z", "2026-01-01T05:01:00Z")
    assert (told["maxAttempts"], told["taskName"]) == (3, None)
    assert told["_embedded"] == {"pipeline": {"id": PIPELINE, "name": "weather", "status": "READY"}}
    assert told["_links"] == {
        "self": {"href": f"/api/jobs/{JOB}"},
        "logs": {"href": f"/api/jobs/{JOB}/logs"},
        "pipeline": {"href": f"/api/pipelines/{PIPELINE}"},
        "delete job": {"href": f"/api/jobs/{JOB}", "type": "DELETE"},
    }


async def test_details_are_told_when_they_are_asked_for(world: World) -> None:
    world.put(names.JOBS, a_job(taskName="weather-r1", errorMessage="it broke", arguments=["run", "x"]))
    await world.until(lambda: b"it broke" in world.parts.catalog.jobs[JOB].details)

    answer = await world.get(f"/api/jobs/{JOB}", enable_task_details="true")

    told = answer.json
    assert (told["taskName"], told["errorMessage"], told["arguments"]) == ("weather-r1", "it broke", ["run", "x"])
    assert "enable-task-details" in answer.headers["Vary"]


async def test_what_is_known_already_is_not_sent_again(world: World) -> None:
    tag = (await world.get(f"/api/jobs/{JOB}")).headers["ETag"]

    assert (await world.get(f"/api/jobs/{JOB}", If_None_Match=tag)).code == 304
    assert (await world.get(f"/api/jobs/{JOB}", If_None_Match=tag, enable_task_details="true")).code == 200


@pytest.mark.parametrize(
    "path", [f"/api/pipelines/{PIPELINE}/jobs", f"/api/pipeline/{PIPELINE}/jobs", "/api/workspaces/team-a/jobs"]
)
async def test_a_list_has_pages(world: World, path: str) -> None:
    for number in range(2, 6):
        world.put(names.JOBS, a_job(f"weather-{number}", startTime=f"2026-01-01T05:0{number}:00Z"))
    await world.until(lambda: len(world.parts.catalog.jobs) == 6)

    first = (await world.get(f"{path}?size=2")).json
    second = (await world.get(first["_links"]["next"]["href"])).json

    assert [job["name"] for job in first["_embedded"]["jobs"]] == ["weather-5", "weather-4"]
    assert [job["name"] for job in second["_embedded"]["jobs"]] == ["weather-3", "weather-2"]
    assert first["page"] == {"size": 2, "totalElements": 5, "totalPages": 3, "number": 0}
    assert second["page"]["number"] == 1
    assert set(first["_links"]) == {"self", "first", "last", "next"}
    assert set(second["_links"]) == {"self", "first", "last", "prev", "next"}


async def test_a_list_can_be_narrowed_and_sorted(world: World) -> None:
    world.put(names.JOBS, a_job("weather-2", phase="RUNNING"))
    world.put(names.JOBS, a_job("weather-3", phase="QUEUED"))
    await world.until(lambda: len(world.parts.catalog.jobs) == 4)

    async def named(query: str) -> list[str]:
        answer = await world.get(f"/api/workspaces/team-a/jobs?{query}")
        return [job["name"] for job in answer.json["_embedded"]["jobs"]]

    assert await named("status=RUNNING&status=QUEUED&sort=created,asc") == ["weather-2", "weather-3"]
    assert await named("sort=status,desc") == ["weather-2", "weather-3", "weather-1"]
    assert (await named("sort=startTime"))[0] == "weather-3"  # what has not begun counts as the latest
    assert await named("status=ERROR") == []


async def test_workspaces_are_those_in_which_somebody_may_list(world: World) -> None:
    async def named(who: str) -> list[str]:
        found = (await world.get("/api/workspaces", who)).json["_embedded"]["workspaces"]
        return [one["name"] for one in found]

    assert await named("admin") == ["team-a", "team-b"]
    assert await named("viewer") == ["team-a"]
    assert await named("stranger") == []


async def test_a_workspace_has_a_name_and_a_uid(world: World) -> None:
    by_name = await world.get("/api/workspaces/team-a")
    by_uid = await world.get(f"/api/workspaces/{by_name.json['id']}")

    assert by_name.json == by_uid.json
    assert (await world.get("/api/workspaces/team-a/pipelines")).json["_embedded"]["pipelines"][0]["id"] == PIPELINE


async def test_who_asks_has_a_profile(world: World) -> None:
    (told,) = (await world.get("/api/profiles", "viewer")).json["_embedded"]["profiles"]

    assert (told["id"], told["name"]) == ("uid-of-viewer", "viewer")


async def test_a_job_is_created_with_the_rights_of_whoever_asks(world: World) -> None:
    wanted = {"arguments": ["--dry"], "fullRefresh": True, "intervalStart": "2026-01-01T00:00:00Z",
              "intervalEnd": "2026-01-02T00:00:00Z"}  # fmt: skip
    answer = await world.ask("POST", f"/api/pipelines/{PIPELINE}/jobs", "editor", wanted)

    assert answer.code == 201
    created = (await world.get(answer.headers["Location"], "editor", enable_task_details="true")).json
    assert created["status"] == "QUEUED"
    assert (created["arguments"], created["fullRefresh"], created["intervalStart"]) == (
        ["--dry"], True, "2026-01-01T00:00:00Z",
    )  # fmt: skip
    assert f"POST {world.api_server.path(names.JOBS, 'team-a')}" in world.api_server.asked_by("editor")
    assert (await world.ask("POST", f"/api/pipeline/{PIPELINE}/jobs?queue=true", "viewer")).code == 403


async def test_while_a_job_is_active_another_one_is_a_conflict_that_names_it(world: World) -> None:
    world.put(names.JOBS, a_job("weather-2", phase="RUNNING"))
    await world.until(lambda: len(world.parts.catalog.jobs) == 3)

    busy = await world.ask("POST", f"/api/pipelines/{PIPELINE}/jobs", "editor")
    queued = await world.ask("POST", f"/api/pipelines/{PIPELINE}/jobs?queue=true", "editor")

    assert (busy.code, "Job weather-2 " in busy.json["message"]) == (409, True)
    assert queued.code == 201


async def test_a_key_makes_one_job(world: World) -> None:
    path, key = f"/api/pipelines/{PIPELINE}/jobs", {"Idempotency-Key": "monday"}
    answers = await asyncio.gather(*(world.ask("POST", path, "editor", headers=key) for _ in range(20)))

    assert sorted(answer.code for answer in answers) == [*[200] * 19, 201]
    assert len({answer.json["id"] for answer in answers}) == 1
    assert (await world.ask("POST", path, "editor", {"fullRefresh": True}, key)).code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"argument": ["x"]}, "argument"), ({"arguments": "x"}, "arguments"), ({"arguments": [""]}, "arguments[0]"),
        ({"fullRefresh": "yes"}, "fullRefresh"), ([], "body"), ({"properties": {"tap.x": []}}, "properties.tap.x"),
        ({"arguments": ["a", 1]}, "arguments[1]"), ({"properties": {"int": True}}, "properties.int"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_new_job_is_named(world: World, body: object, field: str) -> None:
    answer = await world.ask("POST", f"/api/pipelines/{PIPELINE}/jobs", "editor", body)

    assert answer.code == 400
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert field in answer.json["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"x": 1}, "x: there is no such field"), ({"arguments": ["x"] * 65}, "arguments: must have at most 64 entries"),
        ({"properties": {"a": True}}, "properties.a: must be a text or an integer"),
        ({"arguments": [1]}, "arguments[0]: must be a text"),
        ({"fullRefresh": 1}, "fullRefresh: must be true or false"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_told_in_plain_words(world: World, body: object, words: str) -> None:
    answer = await world.ask("POST", f"/api/pipelines/{PIPELINE}/jobs", "editor", body)
    assert answer.json["message"] == words


async def test_few_things_have_pages_too(world: World) -> None:
    for number in range(5):
        world.put(names.PIPELINES, a_pipeline(f"p-{number}"))
    await world.until(lambda: len(world.parts.catalog.pipelines) == 7)
    path, seen, answer = "/api/workspaces/team-a/pipelines?size=4", [], {}
    while path:
        answer = (await world.get(path)).json
        seen += [one["name"] for one in answer["_embedded"]["pipelines"]]
        path = answer["_links"].get("next", {}).get("href", "")
    assert seen == ["p-0", "p-1", "p-2", "p-3", "p-4", "weather"]
    assert answer["page"] == {"size": 4, "totalElements": 6, "totalPages": 2, "number": 1}
    beyond = (await world.get("/api/workspaces?page=5&size=1")).json
    assert beyond["_embedded"]["workspaces"] == []
    assert (await world.get("/api/workspaces?size=x")).json["message"] == "size: must be a whole number"


async def test_an_empty_key_is_no_key(world: World) -> None:
    path = f"/api/pipelines/{PIPELINE}/jobs"
    answer = await world.ask("POST", path, "editor", headers={"Idempotency-Key": ""})
    assert (answer.code, answer.json["errors"][0]["field"]) == (400, "Idempotency-Key")


@pytest.mark.parametrize(
    ("phase", "told", "attempt"),
    [("QUEUED", [], 0), ("RUNNING", [], 1), ("RUNNING", [1], 2), ("ERROR", [1, 2], 2), ("COMPLETE", [], 1)],
)
async def test_the_attempt_under_way_counts(world: World, phase: str, told: list[int], attempt: int) -> None:
    world.put(names.JOBS, a_job("weather-9", phase=phase, attempts=[{"number": number} for number in told]))
    await world.until(lambda: len(world.parts.catalog.jobs) == 3)
    assert (await world.get("/api/jobs/uid-of-team-a-weather-9")).json["attempt"] == attempt


async def test_a_body_that_is_too_large_is_refused_whoever_sends_it(world: World) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65_536

    url = f"{world.url}/api/pipelines/uid-of-team-a-weather/jobs"
    for who, code in (("admin", 413), ("nobody", 401), ("viewer", 403)):
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {who}"}
        async with aiohttp.ClientSession() as session:
            for data in (BytesIO(b" " * (MOST + 1)), endless()):
                async with session.post(url, data=data, headers=headers) as answer:
                    told = await answer.json()
                assert (answer.status, told["status"]) == (code, code)


@pytest.mark.parametrize(
    ("body", "kind", "field"),
    [
        (b"{", "application/json", "body"), (b"[]", "application/json", "body"), (b"1", "application/json", "body"),
        (b"{}", "text/plain", "Content-Type"), (b'{"full_refresh": true}', "application/json", "full_refresh"),
        (b'{"fullRefresh": 1}', "application/json", "fullRefresh"),
        (b'{"arguments": "x"}', "application/json", "arguments"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_body_is_named(world: World, body: bytes, kind: str, field: str) -> None:
    url = f"{world.url}/api/pipelines/{PIPELINE}/jobs"
    headers = {"Content-Type": kind, "Authorization": "Bearer admin"}
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        told = await answer.json()

    assert (answer.status, [one["field"] for one in told["errors"]]) == (400, [field])


async def test_of_many_errors_some_are_told(world: World) -> None:
    answer = await world.ask("POST", f"/api/pipelines/{PIPELINE}/jobs", json={f"x{n}": n for n in range(50_000)})

    assert (answer.code, len(answer.json["errors"])) == (400, 20)
    assert len(answer.body) < 5_000


async def test_a_job_is_stopped_until_it_has_ended(world: World) -> None:
    world.put(names.JOBS, a_job("weather-2", phase="RUNNING"))
    await world.until(lambda: len(world.parts.catalog.jobs) == 3)

    assert (await world.ask("PUT", "/api/jobs/uid-of-team-a-weather-2/stopped", "editor")).code == 202
    stopped = world.api_server.objects[world.api_server.path(names.JOBS, "team-a")]["weather-2"]
    assert stopped["spec"]["stop"] is True
    ended = await world.ask("PUT", f"/api/jobs/{JOB}/stopped", "editor")
    assert (ended.code, "COMPLETE" in ended.json["message"]) == (409, True)


async def test_a_job_is_deleted(world: World) -> None:
    assert (await world.ask("DELETE", f"/api/jobs/{JOB}", "viewer")).code == 403
    assert (await world.ask("DELETE", f"/api/jobs/{JOB}", "editor")).code == 204

    await world.until(lambda: JOB not in world.parts.catalog.jobs)
    assert (await world.ask("DELETE", f"/api/jobs/{JOB}", "editor")).code == 404


async def test_another_job_of_the_same_name_is_left_alone(world: World) -> None:
    """The one that was meant has just gone, which the API does not know yet."""
    there = world.api_server.objects[world.api_server.path(names.JOBS, "team-a")]
    there["weather-1"]["metadata"]["uid"] = "another"

    assert (await world.ask("DELETE", f"/api/jobs/{JOB}", "editor")).code == 404
    assert "weather-1" in there


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/nothing", 404), ("POST", "/api/workspaces", 405), ("GET", "/api/jobs/%2e%2e", 404),
        ("GET", "/api/workspaces/team-a/jobs?size=0", 400), ("GET", "/api/workspaces/team-a/jobs?size=1001", 400),
        ("GET", "/api/workspaces/team-a/jobs?sort=name", 400), ("GET", "/api/workspaces/team-a/jobs?status=DONE", 400),
        ("GET", f"/api/jobs/{JOB}/logs?sequence=-1", 400), ("GET", "/api/events", 400),
    ],
)  # fmt: skip
async def test_an_error_has_the_body_of_the_original(world: World, method: str, path: str, code: int) -> None:
    answer = await world.ask(method, path)

    assert answer.code == code
    told = answer.json
    assert set(told) == {"timestamp", "status", "error", "errors", "message", "path"}
    assert (told["timestamp"], told["status"]) == (NOW.isoformat(timespec="milliseconds").replace("+00:00", "Z"), code)
    assert bool(told["errors"]) == (code == 400)


async def test_the_description_says_what_is_answered(world: World) -> None:
    world.put(names.PIPELINES, a_pipeline(schedule="0 6 * * *", timeZone="Europe/Paris"))
    description = (await world.get("/api/openapi.json", "")).json
    paths = {
        "/api/workspaces": "/api/workspaces", "/api/workspaces/{workspace}": "/api/workspaces/team-a",
        "/api/profiles": "/api/profiles", "/api/workspaces/{workspace}/pipelines": "/api/workspaces/team-a/pipelines",
        "/api/workspaces/{workspace}/jobs": "/api/workspaces/team-a/jobs",
        "/api/pipelines/{id}": f"/api/pipelines/{PIPELINE}",
        "/api/pipelines/{id}/jobs": f"/api/pipelines/{PIPELINE}/jobs", "/api/jobs/{id}": f"/api/jobs/{JOB}",
    }  # fmt: skip
    assert description["openapi"].startswith("3.1")
    for path, real in paths.items():
        content = description["paths"][path]["get"]["responses"]["200"]["content"]
        schema = {**content["application/hal+json"]["schema"], "components": description["components"]}
        answer = await world.get(real, enable_task_details="true")
        Draft202012Validator(schema).validate(answer.json)


async def test_each_request_has_an_example_that_is_as_it_is_described(world: World) -> None:
    description = (await world.get("/api/openapi.json", "")).json
    shown = set()
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            contents = [
                content for one in operation["responses"].values() for content in one.get("content", {}).values()
            ]
            for content in contents:
                if "example" in content:
                    shown.add(f"{method} {path}")
                    schema = {**content["schema"], "components": description["components"]}
                    Draft202012Validator(schema).validate(content["example"])

    every = {f"{method} {path}" for path, operations in description["paths"].items() for method in operations}
    assert {name for name in every if "/pipeline/" not in name} == shown


async def test_a_fault_of_ours_is_told_like_any_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.parts, "rights", None)

    answer = await world.get(f"/api/jobs/{JOB}")

    assert (answer.code, answer.json["message"]) == (500, BUG.message)


async def test_a_key_that_was_used_for_more_is_refused(world: World) -> None:
    path, headers = f"/api/pipelines/{PIPELINE}/jobs", {"Idempotency-Key": "once"}
    body = {"arguments": ["--dry-run"], "intervalStart": "2026-01-01T00:00:00Z", "intervalEnd": "2026-01-02T00:00:00Z"}
    assert (await world.ask("POST", path, json=body, headers=headers)).code == 201
    assert (await world.ask("POST", path, json=body, headers=headers)).code == 200
    for other in (None, {}, {"arguments": ["--dry-run"]}, {**body, "fullRefresh": True}):
        assert (await world.ask("POST", path, json=other, headers=headers)).code == 409


async def test_two_with_one_key_at_once_get_one_job(world: World) -> None:
    path, headers = f"/api/pipelines/{PIPELINE}/jobs", {"Idempotency-Key": "once"}

    answers = await asyncio.gather(*(world.ask("POST", path, headers=headers) for _ in range(8)))

    assert sorted(answer.code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json["id"] for answer in answers}) == 1


async def test_an_empty_interval_is_not_taken_for_none(world: World) -> None:
    body = {"intervalStart": "", "intervalEnd": ""}

    created = await world.ask("POST", f"/api/pipelines/{PIPELINE}/jobs", json=body)

    sent = world.api_server.objects[world.api_server.path(names.JOBS, "team-a")][created.json["name"]]
    assert sent["spec"]["trigger"] == {"type": "Manual", "intervalStart": "", "intervalEnd": ""}


@pytest.mark.parametrize(("method", "path"), [("PUT", f"/api/jobs/{JOB}/stopped"), ("DELETE", f"/api/jobs/{JOB}")])
async def test_a_conflict_is_told_as_one(world: World, method: str, path: str) -> None:
    world.put(names.JOBS, a_job(phase="RUNNING"))
    await world.until(lambda: world.parts.catalog.jobs[JOB].is_active)
    world.api_server.writes_conflict = True

    answer = await world.ask(method, path, "editor")

    assert (answer.code, answer.json["message"]) == (409, "the object has been modified")


@pytest.mark.parametrize(
    ("tag", "code"), [("TAG", 304), ("W/TAG", 304), ('"other", W/TAG', 304), ("*", 304), ('"x"', 200)]
)
async def test_tags_are_compared_as_they_may_come(world: World, tag: str, code: int) -> None:
    first = await world.get(f"/api/jobs/{JOB}")
    known = {"If-None-Match": tag.replace("TAG", first.headers["ETag"])}
    assert (await world.ask("GET", f"/api/jobs/{JOB}", headers=known)).code == code


async def test_large_details_are_told_whole_and_not_too_many_at_once(world: World) -> None:
    text = random.Random(1).randbytes(60_000).hex()  # noqa: S311 - no secret
    for number in range(2, 40):
        world.put(names.JOBS, a_job(f"weather-{number}", errorMessage=f"{number}{text}", arguments=[text]))
    await world.until(lambda: len(world.parts.catalog.jobs) == 40)

    job = (await world.get("/api/jobs/uid-of-team-a-weather-7", enable_task_details="true")).json
    assert (job["errorMessage"], job["arguments"]) == (f"7{text}", [text])
    listed = "/api/workspaces/team-a/jobs?size=1000"
    assert (await world.get(listed)).code == 200
    refused = await world.get(listed, enable_task_details="true")
    assert (refused.code, refused.json["errors"][0]["field"]) == (400, "size")


async def test_a_page_of_another_origin_may_ask_only_if_it_is_named(world: World) -> None:
    named = await world.get("/api/workspaces", Origin="https://data.example.com")
    other = await world.get("/api/workspaces", Origin="https://evil.example.com")

    assert named.headers["Access-Control-Allow-Origin"] == "https://data.example.com"
    assert "Access-Control-Allow-Origin" not in other.headers


async def test_an_unknown_job_is_not_found(world: World) -> None:
    answer = await world.get("/api/jobs/uid-of-nothing")

    assert (answer.code, answer.json["message"]) == (404, NOT_FOUND.message)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/api/workspaces", "GET"), (f"/api/pipelines/{PIPELINE}/jobs", "GET, POST"), (f"/api/jobs/{JOB}", "DELETE, GET")],
)
async def test_a_wrong_method_is_answered_with_the_right_ones(world: World, path: str, allowed: str) -> None:
    answer = await world.ask("PATCH", path)

    assert (answer.code, answer.headers["Allow"]) == (405, allowed)
