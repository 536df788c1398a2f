"""What a Job says of its work: rows, checks and warnings, read from the log that a real kubelet keeps."""

import json
from datetime import datetime, timedelta
from typing import Any

from e2e.endings import CLAIM, FAILS_ONCE, ON_CLAIM
from e2e.world import IMAGE, Namespace, kubectl

METRIC = """
import json
def metric(side, stream, rows, **tags):
    event = "METRIC: " + json.dumps({"type": "counter", "metric": "record_count", "value": rows,
                                     "tags": {"stream": stream, **tags}}, separators=(",", ":"))
    print(json.dumps({"producer": side == "tap", "consumer": side == "target", "event": event}), flush=True)
"""
"""How Meltano passes on what taps and targets count."""


def a_script(python: str) -> str:
    """Return a script that runs these lines of Python."""
    return f"#!/usr/bin/env python3\n{METRIC}\n{python}"


def shown(namespace: Namespace) -> dict[str, str]:
    """Return the columns of the namespace's only Job as kubectl prints them."""
    head, row = kubectl("get", "eltjobs", f"--namespace={namespace.name}").splitlines()
    starts = {name: head.index(name) for name in head.split()}
    ends = [*sorted(starts.values())[1:], None]
    return {name: row[start:end].strip() for (name, start), end in zip(starts.items(), ends, strict=True)}


def result(job: Any) -> Any:
    return job["status"]["result"]


def test_a_program_reports_what_it_did(namespace: Namespace) -> None:
    report = {"rows": {"orders": 12, "users": 3}, "checks": {"passed": 4, "warned": 1}, "warnings": ["source is old"]}
    namespace.pipeline(script=f"echo hello\necho 'ELT-RESULT {json.dumps(report)}'\necho 'ELT-RESULT [1]'")

    job = namespace.run()

    assert job["status"]["phase"] == "COMPLETE"
    assert result(job) == {
        "rows": 15,
        "rowsFrom": "Reported",
        "complete": True,
        "streams": [{"name": "orders", "rows": 12}, {"name": "users", "rows": 3}],
        "checks": {"passed": 4, "warned": 1, "failed": 0, "skipped": 0},
    }
    *others, ignored = [(one["reason"], one["message"]) for one in job["status"]["warnings"]]
    assert ignored[0] == "ResultIgnored"
    assert 'An ELT-RESULT line was ignored: "[1]" is not a JSON object; print ELT-RESULT, a space and' in ignored[1]
    assert others == [
        ("ChecksWarned", "1 of 5 checks warned. The log says which."),
        ("Reported", "source is old"),
    ]
    assert (shown(namespace)["ROWS"], shown(namespace)["WARN"]) == ("15", "3")


def test_a_thousand_parents_are_added_up_and_rows_that_were_lost_are_told(namespace: Namespace) -> None:
    namespace.pipeline(
        script=a_script(
            "for parent in range(1000):\n    metric('tap', 'lines', 2, pid=1, context={'order_id': parent})\n"
            "metric('tap', 'orders', 1000)\nmetric('target', 'orders', 999)\nmetric('target', 'lines', 2000)"
        )
    )

    job = namespace.run()

    assert result(job)["streams"] == [
        {"name": "lines", "rows": 2000, "read": 2000},
        {"name": "orders", "rows": 999, "read": 1000},
    ]
    assert (result(job)["rows"], result(job)["rowsFrom"], result(job)["complete"]) == (2999, "Loader", True)
    (warning,) = job["status"]["warnings"]
    assert warning["reason"] == "RowsDiffer"
    assert "(orders: 1,000 read, 999 loaded)" in warning["message"]


def test_beside_a_sidecar_that_goes_on_the_log_is_known_to_be_whole(namespace: Namespace) -> None:
    sidecar = {"name": "proxy", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "300"]}
    namespace.pipeline(script=a_script("metric('tap', 'orders', 5)\nmetric('target', 'orders', 3)"), sidecars=[sidecar])

    job = namespace.run()

    assert result(job)["complete"]
    assert [one["reason"] for one in job["status"]["warnings"]] == ["RowsDiffer"]


def test_a_pipeline_may_say_that_rows_differ_on_purpose(namespace: Namespace) -> None:
    namespace.pipeline(
        script=a_script("metric('tap', 'orders', 2)\nmetric('target', 'orders', 1)"), expect={"rowsDiffer": "Ignore"}
    )

    assert "warnings" not in namespace.run()["status"]


def test_a_retry_that_helped_is_told(namespace: Namespace) -> None:
    namespace.apply(CLAIM)
    namespace.pipeline(script=FAILS_ONCE, maxRetries=1, **ON_CLAIM)

    job = namespace.run(timeout=120)

    assert job["status"]["phase"] == "COMPLETE"
    assert [one["reason"] for one in job["status"]["warnings"]] == ["Retried"]
    assert job["status"]["warnings"][0]["message"].endswith("the last one: ApplicationError, exit code 9.")


def test_of_twenty_megabytes_of_log_the_rows_at_the_end_count_and_nobody_says_that_it_is_complete(
    namespace: Namespace,
) -> None:
    """The kubelet looks every ten seconds whether a log is too large, and then begins another one."""
    namespace.pipeline(
        script=a_script(
            "import time\nmetric('target', 't', 5)\n"
            "for _ in range(20):\n    print(('x' * 1023 + '\\n') * 1024, end='', flush=True)\n"
            "time.sleep(12)\nmetric('target', 't', 7)"
        )
    )

    job = namespace.run(timeout=120)

    assert job["status"]["phase"] == "COMPLETE"
    assert (result(job)["rows"], result(job)["complete"]) == (7, False)
    assert "record_count" in job["status"]["logTail"]


def test_what_programs_write_cannot_do_harm(namespace: Namespace) -> None:
    namespace.pipeline(
        script=a_script(
            "import sys\nwrite = sys.stdout.buffer.write\n"
            "write(b'METRIC: \\xff\\xfe {' + b'[' * 1000 + b'\\n' + b'y' * 2**20 + b'\\n')\n"
            "for number in range(10_000):\n    metric('target', f'stream {number}', 1)\n"
            "for odd in (-1, 1.5, float('nan'), None, 'x', 2**70):\n    metric('target', 'odd', odd)\n"
            'print(\'METRIC: {"type":"counter","metric":"record_count","value":1}\')'
        )
    )

    job = namespace.run(timeout=120)

    assert job["status"]["phase"] == "COMPLETE"
    assert result(job)["rows"] == 10_000
    assert len(result(job)["streams"]) + result(job)["omittedStreams"] > 1_000
    assert len(json.dumps(job["status"])) < 12 * 1024


def data_healthy(pipeline: Any) -> tuple[str, str] | None:
    """Return status and reason of a Pipeline's condition DataHealthy."""
    found = [one for one in pipeline.get("status", {}).get("conditions", []) if one["type"] == "DataHealthy"]
    return (found[0]["status"], found[0]["reason"]) if found else None


def pipeline_events(namespace: Namespace) -> list[tuple[str, str]]:
    """Return type and reason of what was told about the Pipeline."""
    return [(event["type"], event["reason"]) for event in namespace.events("weather", "Pipeline")]


def report(rows: int) -> str:
    """Return a script that loads so many rows."""
    return f"""echo 'ELT-RESULT {{"rows": {{"orders": {rows}}}}}'"""


def test_too_few_rows_are_told_until_there_are_enough_and_no_job_fails(namespace: Namespace) -> None:
    namespace.pipeline(script=report(3), expect={"minRows": 5})
    assert namespace.run()["status"]["phase"] == "COMPLETE"
    namespace.wait("weather", lambda body: data_healthy(body) == ("False", "FewRows"), plural="eltpipelines")
    namespace.until(lambda: ("Warning", "FewRows") in pipeline_events(namespace))

    namespace.pipeline(script=report(5), expect={"minRows": 5})
    namespace.run("job-2")

    pipeline = namespace.wait("weather", lambda body: data_healthy(body) == ("True", "Fresh"), plural="eltpipelines")
    namespace.until(lambda: ("Normal", "Fresh") in pipeline_events(namespace))
    recent = [(entry["name"], entry["phase"], entry["rows"]) for entry in pipeline["status"]["recentJobs"]]
    assert recent == [("job-2", "COMPLETE", 5), ("job-1", "COMPLETE", 3)]
    assert {one["type"]: one["status"] for one in pipeline["status"]["conditions"]}["Ready"] == "True"


def test_data_that_gets_too_old_is_told_within_seconds(namespace: Namespace) -> None:
    namespace.pipeline(script=report(1), expect={"maxAgeSeconds": 60})
    job = namespace.run()
    namespace.wait("weather", lambda body: data_healthy(body) == ("True", "Fresh"), plural="eltpipelines")

    pipeline = namespace.wait(
        "weather", lambda body: data_healthy(body) == ("False", "Late"), timeout=90, plural="eltpipelines"
    )

    (condition,) = [one for one in pipeline["status"]["conditions"] if one["type"] == "DataHealthy"]
    told = datetime.fromisoformat(condition["lastTransitionTime"])
    due = datetime.fromisoformat(job["status"]["endTime"]) + timedelta(seconds=60)
    assert timedelta() <= told - due <= timedelta(seconds=5)
