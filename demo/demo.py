"""The demo: a real ELT run on a real Kubernetes, from nothing to rows in PostgreSQL.

Sets up a cluster where none is at hand, the images and the operator; then carries out three Jobs of one Pipeline:
a first load, a second one that finds nothing new, and a third that fails on purpose. What it claims, it has counted.

With DEMO_LOADS_IN it carries out only the Jobs: on the cluster that KUBECONFIG names, by the operator that is installed
there, in the namespace of this name, which exists and is not emptied.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LOADS_IN = os.environ.get("DEMO_LOADS_IN", "")
NAMESPACE = LOADS_IN or "elt-demo"
IMAGES = ("elt-operator", "elt-postgres", "elt-demo")

WEATHER_ROWS = 26_115
DAILY_ROWS = 1_092  # 3 airports x 364 days
JOB_SECONDS = 300
TERMINAL = {"COMPLETE", "ERROR", "STOPPED", "UNKNOWN"}


class DemoError(Exception):
    """The demo did not go as it should; the message says where."""


def say(words: str = "") -> None:
    """Tell the person who watches."""
    print(words, flush=True)


def heading(words: str) -> None:
    """Begin a part of the demo."""
    say(f"\n\033[1m== {words}\033[0m")


def run(*command: str | Path, environment: dict[str, str] | None = None, stdin: str | None = None) -> str:
    """Return what ``command`` prints; its complaints go to the screen. Raises ``DemoError`` when it fails."""
    ended = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=False, env=environment, input=stdin, cwd=ROOT
    )
    if ended.returncode:
        raise DemoError(f"{' '.join(map(str, command))} failed with exit code {ended.returncode}\n{ended.stdout}")
    return ended.stdout


def cluster(*verb: str) -> str:
    """Return what the cluster tool prints; see tests/cluster."""
    return run(sys.executable, "-m", "cluster", *verb, environment={**os.environ, "PYTHONPATH": str(ROOT / "tests")})


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    """Return what kubectl prints."""
    return run("kubectl", *arguments, stdin=stdin)


def in_demo(*arguments: str) -> str:
    """Return what kubectl prints, asked about the demo's namespace."""
    return kubectl("--namespace", NAMESPACE, *arguments)


def apply(file: str) -> str:
    """Apply one of the demo's manifests, its images taken from where the cluster finds them; return kubectl's words."""
    manifest = (HERE / file).read_text().replace("localhost/", f"{os.environ.get('IMAGES_FROM', 'localhost')}/")
    return kubectl("--namespace", NAMESPACE, "apply", "-f", "-", stdin=manifest).rstrip()


def set_up_cluster() -> None:
    """Have a cluster, its kubectl and its kubeconfig."""
    heading("1/5  A cluster")
    say(cluster("up").rstrip())
    os.environ["PATH"] = f"{cluster('bin').strip()}:{os.environ['PATH']}"
    os.environ["KUBECONFIG"] = cluster("kubeconfig").strip()
    say(kubectl("get", "nodes").rstrip())


def set_up_operator() -> None:
    """Have the images in the cluster, and the operator running."""
    heading("2/5  The images and the operator")
    for step in (("images", f"IMAGES={' '.join(IMAGES)}"), ("install",)):
        say(run("make", "--no-print-directory", *step).rstrip())


def set_up_namespace() -> None:
    """Have an empty namespace that admits only restricted pods."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    kubectl("create", "namespace", NAMESPACE)
    kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")


def set_up_warehouse() -> None:
    """Have an empty warehouse."""
    heading("3/5  A warehouse and a Pipeline")
    apply("warehouse.yaml")
    in_demo("rollout", "status", "deployment/warehouse", "--timeout=180s")
    say("PostgreSQL is ready")
    say(apply("pipeline.yaml"))


def status_of(job: str) -> dict[str, Any]:
    """Return a Job's status."""
    status: dict[str, Any] = json.loads(in_demo("get", "eltjob", job, "-o", "json"))["status"]
    return status


def carry_out(file: str, job: str) -> dict[str, Any]:
    """Create a Job, tell how it goes, and return its last status."""
    say(f"$ kubectl apply -f demo/{file}")
    say(apply(file))
    started, told = time.monotonic(), ""
    while time.monotonic() - started < JOB_SECONDS:
        status = status_of(job)
        if (now := f"{status['phase']}, {status['reason']}") != told:
            say(f"  [{time.monotonic() - started:5.1f} s] {now}")
            told = now
        if status["phase"] in TERMINAL:
            return status
        time.sleep(0.5)
    raise DemoError(f"Job {job} has not ended after {JOB_SECONDS} s; see kubectl -n {NAMESPACE} describe eltjob {job}")


def rows(table: str) -> int:
    """Return the rows of a table, as PostgreSQL counts them."""
    query = ["psql", "-h", "/tmp", "-U", "elt", "-d", "warehouse", "-tAc", f"select count(*) from {table}"]  # noqa: S108, S608 - the pod's, ours
    script = f'PGPASSWORD="$POSTGRES_PASSWORD" {" ".join(query[:-1])} "{query[-1]}"'
    return int(in_demo("exec", "deployment/warehouse", "--", "bash", "-c", script))


def expect(what: str, found: object, wanted: object) -> None:
    """Tell what was found; raise ``DemoError`` when it is not what was wanted."""
    if found != wanted:
        raise DemoError(f"{what}: {found}, expected {wanted}")
    say(f"  {what}: {found}")


def show(job: str, fields: Sequence[str]) -> None:
    """Print some fields of a Job's status."""
    status = status_of(job)
    for name in fields:
        text = str(status.get(name, "-"))
        say(
            f"  {name}: {text}"
            if "\n" not in text
            else f"  {name}:\n" + "\n".join(f"    {t}" for t in text.split("\n"))
        )


def last_lines(text: str, count: int) -> str:
    """Return the last lines of a text, cut to the width of a screen."""
    return "\n".join(f"    {line[:150]}" for line in text.splitlines()[-count:])


def first_load() -> None:
    """Load everything, and build and test the daily table."""
    heading("4/5  Three Jobs")
    status = carry_out("job-first.yaml", "weather-1")
    show("weather-1", ("phase", "exitCode", "startTime", "endTime", "taskName"))
    say("  logTail, its end:\n" + last_lines(status.get("logTail", ""), 4))
    if status["phase"] != "COMPLETE":
        raise DemoError(f"Job weather-1 should be COMPLETE: {status.get('errorMessage')}")
    expect("rows in tap_weather.weather", rows("tap_weather.weather"), WEATHER_ROWS)
    expect("rows in mart.daily (3 airports x 364 days)", rows("mart.daily"), DAILY_ROWS)
    log = in_demo("logs", f"job/{status['taskName']}")
    expect("dbt tests passed", sum("PASS not_null" in line for line in log.splitlines()), 2)
    check_result(status.get("result", {}))


def check_result(result: dict[str, Any]) -> None:
    """Tell what the Job's own status says of its work."""
    say("  The Job's status.result says the same:")
    expect("rows loaded, as the loader counts them", result.get("rows"), WEATHER_ROWS)
    expect("whole log read", result.get("complete"), True)
    counts = result.get("checks", {})
    checks = ", ".join(f"{counts.get(what)} {what}" for what in ("passed", "warned", "failed", "skipped"))
    expect("dbt (one model, two tests)", checks, "3 passed, 0 warned, 0 failed, 0 skipped")
    for stage in result.get("stages", []):
        say(f"  {stage['name']}: exit code {stage.get('exitCode')} after {stage.get('seconds')} s")


def second_load() -> None:
    """Find nothing new: the state of the first load was kept."""
    say()
    status = carry_out("job-second.yaml", "weather-2")
    log = in_demo("logs", f"job/{status['taskName']}")
    expect("phase", status["phase"], "COMPLETE")
    expect("new rows", 0 if "done: 0 records" in log else "some", 0)
    expect("rows in tap_weather.weather", rows("tap_weather.weather"), WEATHER_ROWS)


def failing_load() -> None:
    """Fail, and say why."""
    say()
    status = carry_out("job-failing.yaml", "weather-3")
    show("weather-3", ("phase", "reason", "exitCode", "errorMessage"))
    expect("phase, exit code", (status["phase"], status.get("exitCode")), ("ERROR", 1))
    if "source went away after 12000 records" not in status.get("errorMessage", ""):
        raise DemoError(f"the error message should explain the failure: {status.get('errorMessage')}")


def loads() -> None:
    """Carry out the three Jobs."""
    set_up_warehouse()
    first_load()
    second_load()
    failing_load()


def over_http() -> None:
    """Remove the first run with its pod; then list the Jobs and read its log over HTTP, as a user who may only look."""
    say()
    say("Over HTTP, with the token of a service account that may only look:")
    in_demo("wait", "eltjob/weather-1", "--for=jsonpath={.status.log.state}=Kept", "--timeout=60s")
    job = json.loads(in_demo("get", "eltjob", "weather-1", "-o", "json"))
    in_demo("delete", "job", job["status"]["taskName"])
    in_demo("create", "serviceaccount", "reader")
    in_demo("create", "rolebinding", "reader", "--clusterrole=view", f"--serviceaccount={NAMESPACE}:reader")
    with the_api(in_demo("create", "token", "reader").strip()) as get:
        listed = json.loads(get(f"/workspaces/{NAMESPACE}/jobs?sort=created,asc"))["_embedded"]["jobs"]
        for one in listed:
            say(f"  {one['id']}  {one['name']}  {one['status']}")
        expect("Jobs", [one["status"] for one in listed], ["COMPLETE", "COMPLETE", "ERROR"])
        log = get(f"/jobs/{job['metadata']['uid']}/logs")
    say("  the log of weather-1, although its run is gone:\n" + last_lines(log, 2))
    expect("lines kept", len(log.splitlines()), job["status"]["log"]["lines"])


@contextmanager
def the_api(token: str) -> Iterator[Callable[[str], str]]:
    """Give what gets something from the API, with a token; see docs/api.md."""
    forward = ("kubectl", "--namespace", "elt-operator", "port-forward", "service/elt-operator-api", ":80")
    with subprocess.Popen(forward, stdout=subprocess.PIPE, text=True) as forwarding:
        found = re.search(r"127\.0\.0\.1:\d+", forwarding.stdout.readline() if forwarding.stdout else "")
        if not found:
            raise DemoError("kubectl port-forward to service/elt-operator-api does not work")

        def get(path: str) -> str:
            request = urllib.request.Request(f"http://{found[0]}/api{path}")
            request.add_header("Authorization", f"Bearer {token}")
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - http
                text: str = answer.read().decode()
                return text

        try:
            yield get
        finally:
            forwarding.terminate()


def what_is_there() -> None:
    """Show the resources as kubectl does, and what to type next."""
    heading("5/5  The result")
    say(f"$ kubectl -n {NAMESPACE} get eltpipelines,eltjobs")
    say(in_demo("get", "eltpipelines,eltjobs").rstrip())
    heading("What to try next")
    say(f"  export PATH={cluster('bin').strip()}:$PATH KUBECONFIG={os.environ['KUBECONFIG']}")
    say(f"  kubectl -n {NAMESPACE} describe eltjob weather-3     # why it failed")
    say(f"  kubectl -n {NAMESPACE} logs job/weather-r3           # its full log, as long as the run is there")
    say("  docs/api.md                                      # how to read it later, and all else over HTTP")
    say("  kubectl explain eltpipelines.spec                # every field")
    say(f"  sed 's/weather-1/weather-4/' demo/job-first.yaml | kubectl -n {NAMESPACE} apply -f -   # run it again")
    say("  make cluster-down                                # remove the cluster")


def main() -> None:
    """Run the demo; exit with 1 when something is not as it should be."""
    started = time.monotonic()
    try:
        if LOADS_IN:
            loads()
        else:
            set_up_cluster()
            set_up_operator()
            set_up_namespace()
            loads()
            over_http()
            what_is_there()
    except DemoError as error:
        sys.exit(f"\ndemo: {error}")
    say(f"\nDone in {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
