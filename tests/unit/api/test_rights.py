"""Whose rights count: those of the token; what may not be seen looks like what is not there."""

import base64
import logging
from collections.abc import AsyncIterator

import pytest

from elt_operator.api.catalog import Catalog
from elt_operator.api.refusals import LEFT_OUT, STARTING
from elt_operator.api.watching import Watching
from elt_operator.resources import names
from fakes.people import EVERYTHING, READS, Person
from unit.api.world import PEOPLE, Answer, World, a_job, a_world

OWN = {"pipeline": "uid-of-team-a-weather", "job": "uid-of-team-a-weather-1", "workspace": "team-a"}
FOREIGN = {"pipeline": "uid-of-team-b-weather", "job": "uid-of-team-b-weather-1", "workspace": "team-b"}
UNKNOWN = {"pipeline": "nothing", "job": "nothing", "workspace": "nothing"}
REQUESTS = [
    ("GET", "/api/workspaces/{workspace}"), ("GET", "/api/workspaces/{workspace}/pipelines"),
    ("GET", "/api/workspaces/{workspace}/jobs"), ("GET", "/api/pipelines/{pipeline}"),
    ("GET", "/api/pipelines/{pipeline}/jobs"), ("GET", "/api/pipeline/{pipeline}/jobs"),
    ("POST", "/api/pipelines/{pipeline}/jobs"), ("POST", "/api/pipeline/{pipeline}/jobs"), ("GET", "/api/jobs/{job}"),
    ("GET", "/api/jobs/{job}/logs"), ("GET", "/api/events?workspace={workspace}"), ("PUT", "/api/jobs/{job}/stopped"),
    ("DELETE", "/api/jobs/{job}"),
]  # fmt: skip


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with a_world() as one:
        yield one


def body(answer: Answer, path: str) -> bytes:
    """Return the body of an answer without what only repeats the request."""
    return answer.body.replace(path.partition("?")[0].encode(), b"PATH")


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_what_somebody_may_not_see_looks_like_what_is_not_there(world: World, method: str, path: str) -> None:
    unknown = path.format(**UNKNOWN)
    expected = body(await world.ask(method, unknown, "admin"), unknown)
    for who, what in (("viewer", FOREIGN), ("editor", FOREIGN), ("stranger", OWN), ("stranger", FOREIGN),
                      ("viewer", UNKNOWN), ("stranger", UNKNOWN)):  # fmt: skip
        asked = path.format(**what)
        answer = await world.ask(method, asked, who)
        assert (answer.code, body(answer, asked)) == (404, expected), (who, asked)
    world.api_server.remove(names.JOBS, "team-a", "weather-1")
    await world.until(lambda: OWN["job"] not in world.parts.catalog.jobs)
    if "{job}" in path:
        gone = path.format(**OWN)
        assert body(await world.ask(method, gone, "admin"), gone) == expected


@pytest.mark.parametrize(("method", "path"), REQUESTS)
@pytest.mark.parametrize("token", ["", "nobody", "admin x1", "x" * 20_000])
async def test_a_token_that_is_nobodys_gets_nothing(world: World, method: str, path: str, token: str) -> None:
    answer = await world.ask(method, path.format(**OWN), token)

    assert (answer.code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_who_may_see_one_job_only_sees_that(world: World) -> None:
    world.put(names.JOBS, a_job("weather-2"))
    await world.until(lambda: len(world.parts.catalog.jobs) == 3)

    assert (await world.get(f"/api/jobs/{OWN['job']}", "one-job")).code == 200
    assert (await world.get("/api/jobs/uid-of-team-a-weather-2", "one-job")).code == 404
    assert (await world.get("/api/workspaces/team-a/jobs", "one-job")).code == 404


async def test_what_is_cached_is_answered_without_a_question(world: World) -> None:
    for path in ("/api/workspaces/team-a/jobs", f"/api/jobs/{OWN['job']}"):
        await world.get(path, "viewer")
    asked = len(world.api_server.requests)
    for path in ("/api/workspaces/team-a/jobs", f"/api/jobs/{OWN['job']}") * 5:
        assert (await world.get(path, "viewer")).code == 200

    assert len(world.api_server.requests) == asked


async def test_to_look_at_many_jobs_costs_no_more_questions_than_to_look_at_one(world: World) -> None:
    for number in range(2, 10):
        world.put(names.JOBS, a_job(f"weather-{number}"))
    await world.until(lambda: len(world.parts.catalog.jobs) == 10)
    await world.get(f"/api/jobs/{OWN['job']}", "viewer")
    asked = len(world.api_server.requests)
    for number in range(2, 10):
        assert (await world.get(f"/api/jobs/uid-of-team-a-weather-{number}", "viewer")).code == 200

    assert len(world.api_server.requests) == asked


async def test_who_may_do_everything_with_one_job_only_is_told_so(world: World) -> None:
    world.put(names.JOBS, a_job("weather-1", phase="RUNNING"))
    await world.until(lambda: world.parts.catalog.jobs[OWN["job"]].is_active)

    links = (await world.get(f"/api/jobs/{OWN['job']}", "one-job")).json["_links"]

    assert {"stop job", "delete job"} <= set(links)


async def test_a_right_that_is_lost_is_missed_in_half_a_minute(world: World) -> None:
    clock = [0.0]
    world.parts.rights.reviews.now = lambda: clock[0]
    assert (await world.get(f"/api/jobs/{OWN['job']}", "viewer")).code == 200
    world.api_server.people["viewer"] = PEOPLE["stranger"]
    clock[0] = 29.0
    assert (await world.get(f"/api/jobs/{OWN['job']}", "viewer")).code == 200
    clock[0] = 30.0
    assert (await world.get(f"/api/jobs/{OWN['job']}", "viewer")).code == 404


async def test_where_rights_are_not_known_there_is_no_answer(world: World) -> None:
    world.api_server.away = True

    answer = await world.get(f"/api/jobs/{OWN['job']}", "viewer")

    assert (answer.code, answer.headers["Retry-After"]) == (503, "5")


async def test_known_rights_outlive_an_outage_of_a_minute(world: World) -> None:
    clock = [0.0]
    world.parts.rights.reviews.now = lambda: clock[0]
    assert (await world.get(f"/api/jobs/{OWN['job']}", "viewer")).code == 200
    world.api_server.away = True
    clock[0] = 59.0
    assert (await world.get(f"/api/jobs/{OWN['job']}", "viewer")).code == 200
    assert (await world.get(f"/api/jobs/{OWN['job']}", "editor")).code == 503
    clock[0] = 60.0
    assert (await world.get(f"/api/jobs/{OWN['job']}", "viewer")).code == 503


async def test_while_the_api_knows_too_little_nothing_is_said_not_to_be_there(world: World) -> None:
    catalog, watching = world.parts.catalog, world.parts.watching
    known, catalog.jobs = catalog.jobs, {}
    watching.listed.clear()
    for who in ("viewer", "stranger", "admin"):
        answer = await world.get(f"/api/jobs/{OWN['job']}", who)
        assert (answer.code, answer.json["message"]) == (503, STARTING.message)
    catalog.jobs = known
    watching.listed.set()
    assert (await world.get(f"/api/jobs/{OWN['job']}", "viewer")).code == 200


async def test_a_namespace_that_the_api_may_not_read_is_left_out() -> None:
    async with a_world(namespaces="team-a,team-b", closed={"team-b"}) as world:
        world.put(names.JOBS, a_job("weather-2"))
        await world.until(lambda: len(world.parts.catalog.jobs) == 2)
        assert (await world.get(f"/api/jobs/{OWN['job']}", "viewer")).code == 200
        answer = await world.get("/api/workspaces/team-b/jobs", "admin")
        assert (answer.code, answer.json["message"]) == (503, LEFT_OUT.message)
        assert (await world.get("/api/workspaces/team-b/jobs", "viewer")).code == 404
        told = (await world.get("/api/workspaces", "admin")).json
        assert [one["name"] for one in told["_embedded"]["workspaces"]] == ["team-a"]

        world.api_server.closed.clear()
        await world.until(lambda: not world.parts.watching.is_left_out("team-b"))
        assert (await world.get(f"/api/jobs/{FOREIGN['job']}", "admin")).code == 200


async def test_what_was_never_listed_grows_old(world: World) -> None:
    watching = Watching(world.parts.watching.client, Catalog(), (), now=lambda: 70.0)
    watching.reflectors()
    watching.now = lambda: 131.0

    assert watching.age_seconds() == 61.0


async def test_the_api_itself_only_lists_and_watches(world: World) -> None:
    for method, path in REQUESTS:
        if "events" not in path:
            await world.ask(method, path.format(**OWN), "editor")

    asked = [line for line in world.api_server.asked_by("the-api") if not line.startswith("GET ")]
    assert asked == []


async def test_a_token_is_told_to_nobody(world: World, caplog: pytest.LogCaptureFixture) -> None:
    canary = "canary-token"
    world.api_server.people[canary] = PEOPLE["admin"]
    answers = []
    with caplog.at_level(logging.DEBUG):
        for method, path in REQUESTS:
            if "events" not in path:
                answers.append(await world.ask(method, path.format(**OWN), canary))
        world.api_server.away = True
        answers.append(await world.get(f"/api/jobs/{OWN['job']}", canary))

    assert canary not in caplog.text
    assert all(canary.encode() not in answer.body for answer in answers)
    assert canary not in str(vars(world.parts.rights.reviews))
    assert canary not in str(vars(world.parts.reads))


async def test_who_may_see_pipelines_only_learns_nothing_of_jobs(world: World) -> None:
    world.put(names.JOBS, a_job("weather-2", phase="RUNNING"))
    await world.until(lambda: len(world.parts.catalog.jobs) == 3)
    for who, may in (("pipelines", names.PIPELINES), ("jobs", names.JOBS)):
        world.api_server.people[who] = Person({"team-a": EVERYTHING}, resource=may)

    pipeline = await world.get(f"/api/pipelines/{OWN['pipeline']}", "pipelines")
    assert (pipeline.json["lastJob"], "latest job" in pipeline.json["_links"]) == (None, False)
    assert b"weather-2" not in (await world.get("/api/workspaces/team-a/pipelines", "pipelines")).body
    created = await world.ask("POST", f"/api/pipelines/{OWN['pipeline']}/jobs", "pipelines")
    assert (created.code, b"weather-2" in created.body) == (403, False)
    job = (await world.get(f"/api/jobs/{OWN['job']}", "jobs")).json
    assert ("_embedded" in job, "pipeline" in job["_links"], job["maxAttempts"]) == (False, False, None)


async def test_who_may_only_create_is_not_told_which_job_is_active(world: World) -> None:
    world.put(names.JOBS, a_job("weather-2", phase="RUNNING"))
    await world.until(lambda: len(world.parts.catalog.jobs) == 3)
    world.api_server.people["blind"] = Person({"team-a": frozenset({"create"})}, also={names.PIPELINES: READS})

    created = await world.ask("POST", f"/api/pipelines/{OWN['pipeline']}/jobs", "blind")

    assert (created.code, "Another Job" in created.json["message"], b"weather-2" in created.body) == (409, True, False)


async def test_a_viewer_is_told_that_they_may_not_create_even_while_a_job_is_active(world: World) -> None:
    world.put(names.JOBS, a_job("weather-2", phase="RUNNING"))
    await world.until(lambda: len(world.parts.catalog.jobs) == 3)

    assert (await world.ask("POST", f"/api/pipelines/{OWN['pipeline']}/jobs", "viewer")).code == 403


@pytest.mark.parametrize("code", [400, 403, 404, 409, 410, 422, 429, 500])
async def test_a_review_that_is_refused_is_no_answer(world: World, code: int) -> None:
    world.api_server.reviews_fail_with = code

    answer = await world.get(f"/api/jobs/{OWN['job']}", "viewer")

    assert (answer.code, "Retry-After" in answer.headers) == (503, True)


async def test_a_log_that_may_not_be_read_is_not_linked(world: World) -> None:
    world.api_server.people["no-logs"] = Person({"team-a": READS}, resource=names.JOBS)
    for who, linked in (("viewer", True), ("one-job", True), ("no-logs", False)):
        links = (await world.get("/api/jobs/uid-of-team-a-weather-1", who)).json["_links"]
        assert ("logs" in links) is linked


async def test_a_token_that_has_expired_is_called_so(world: World) -> None:
    claims = base64.urlsafe_b64encode(b'{"exp": 1}').decode().rstrip("=")
    answer = await world.get("/api/jobs/x", f"x.{claims}.y")
    assert (answer.code, answer.json["message"].partition(".")[0]) == (401, "The token has expired")
