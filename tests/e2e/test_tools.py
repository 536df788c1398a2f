"""What Jobs say of the work of real, released tools: rows as PostgreSQL counts them, checks as dbt counts them."""

from pathlib import Path
from typing import Any

import pytest

from e2e.world import IMAGE, Body, Namespace, ended, kubectl

HERE = Path(__file__).resolve().parent
DEMO = HERE.parents[1] / "demo"
REGISTRY = IMAGE.removesuffix("/elt-test:dev")
MELTANO, TOOLS, POSTGRES = (f"{REGISTRY}/{name}:dev" for name in ("elt-demo", "elt-tools", "elt-postgres"))

TARGET = "/project/.meltano/loaders/target-postgres/venv/bin"
DBT = "/project/.meltano/utilities/dbt/venv/bin/dbt"
FILES: Body = {"volumes": [{"name": "tools", "mountPath": "/tools", "configMap": {"name": "tools"}}]}
PASSWORD: Body = {"secretKeyRef": {"name": "warehouse", "key": "password"}}

PROJECT = f"""
mkdir /tmp/project && cd /tmp/project
cp /tools/meltano.yml .
printf '#!/bin/sh\\nexec {TARGET}/python /tools/tap_shop.py "$@"\\n' > tap-shop && chmod +x tap-shop
"""
"""Has a Meltano project with the tap that is mounted and the loader of the image."""
PIPE = f"""
echo '{{"orders": 1000}}' > /tmp/tap.json
echo '{{"host": "warehouse", "user": "elt", "database": "warehouse", "default_target_schema": "piped"}}' > /tmp/to.json
{TARGET}/python /tools/tap_shop.py --config /tmp/tap.json |
  {TARGET}/target-postgres --config /tmp/to.json --config ENV
"""
STRUCTURED = """
cat > /tmp/log.json <<'END'
{"version": 1, "disable_existing_loggers": false, "root": {"level": "INFO", "handlers": ["all"]},
 "formatters": {"all": {"()": "singer_sdk.logging.StructuredFormatter"}},
 "handlers": {"all": {"class": "logging.StreamHandler", "formatter": "all", "stream": "ext://sys.stderr"}}}
END
export SINGER_SDK_LOG_CONFIG=/tmp/log.json
"""


@pytest.fixture
def tools(namespace: Namespace) -> Namespace:
    """A namespace with what the Pipelines mount."""
    data = {path.name: path.read_text() for path in sorted((HERE / "tools").iterdir()) if path.is_file()}
    namespace.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tools"}, "data": data})
    return namespace


@pytest.fixture
def warehouse(tools: Namespace) -> Namespace:
    """The same with an empty PostgreSQL."""
    tools.apply((DEMO / "warehouse.yaml").read_text().replace("localhost/", f"{REGISTRY}/"))
    kubectl("rollout", "status", f"--namespace={tools.name}", "deployment/warehouse", "--timeout=120s")
    return tools


def pipeline(namespace: Namespace, image: str, script: str, name: str = "weather", **spec: Any) -> None:
    """Create a Pipeline that runs a script in an image, with the files and the warehouse's password."""
    env = [{"name": "TARGET_POSTGRES_PASSWORD", "valueFrom": PASSWORD}] if image != TOOLS or "dlt" in name else []
    script = f"echo starting\n{script}"  # so that the log is known to be whole, however long a tool takes to start
    namespace.pipeline(name, image=image, script=script, env=[*env, *spec.pop("env", [])], **FILES, **spec)


def count(namespace: Namespace, table: str) -> int:
    """Return how many rows PostgreSQL has in a table."""
    query = f'PGPASSWORD="$POSTGRES_PASSWORD" psql -h /tmp -U elt -d warehouse -tAc "select count(*) from {table}"'  # noqa: S608 - a test's own table
    return int(kubectl("exec", f"--namespace={namespace.name}", "deployment/warehouse", "--", "bash", "-c", query))


def result(job: Body) -> Any:
    """Return what a Job says of its work; it has to be complete."""
    assert job["status"]["result"]["complete"], job["status"]
    return job["status"]["result"]


def rows(job: Body) -> dict[str, tuple[int | None, int | None]]:
    """Return rows loaded and read by stream."""
    return {one["name"]: (one.get("rows"), one.get("read")) for one in result(job)["streams"]}


@pytest.mark.long(1)
@pytest.mark.timeout(300)
def test_a_thousand_parents_count_the_same_however_they_are_run(warehouse: Namespace) -> None:
    pipeline(warehouse, MELTANO, f"{PROJECT}meltano run tap-shop target-postgres", "meltano",
             properties={"tap-shop.orders": 1000, "target-postgres.default-target-schema": "shop"})  # fmt: skip
    pipeline(warehouse, MELTANO, PIPE, "piped")
    pipeline(warehouse, MELTANO, STRUCTURED + PIPE.replace("piped", "structured"), "structured")
    pipeline(warehouse, MELTANO, f"{PROJECT}meltano invoke tap-shop", "alone", properties={"tap-shop.orders": 100})
    names = ("meltano", "piped", "structured", "alone")
    for name in names:
        warehouse.job(name, name)

    jobs = {name: warehouse.wait(name, ended, 200) for name in names}

    assert {job["status"]["phase"] for job in jobs.values()} == {"COMPLETE"}
    for name, schema in (("meltano", "shop"), ("piped", "piped"), ("structured", "structured")):
        assert (count(warehouse, f"{schema}.orders"), count(warehouse, f"{schema}.lines")) == (1000, 2000)
        assert rows(jobs[name]) == {"lines": (2000, 2000), "orders": (1000, 1000)}, name
        assert (result(jobs[name])["rows"], result(jobs[name])["rowsFrom"]) == (3000, "Loader")
        assert "warnings" not in jobs[name]["status"]
    assert rows(jobs["alone"]) == {"lines": (None, 200), "orders": (None, 100)}
    assert (result(jobs["alone"])["rows"], result(jobs["alone"])["rowsFrom"]) == (300, "Extractor")
    (stage,) = result(jobs["meltano"])["stages"]
    assert stage["exitCode"] == 0
    assert stage["seconds"] > 0


@pytest.mark.long(3.5)
@pytest.mark.timeout(400)
def test_a_run_of_three_minutes_reports_its_rows_in_parts_and_they_are_added(warehouse: Namespace) -> None:
    pipeline(warehouse, MELTANO, f"{PROJECT}meltano run tap-shop target-postgres",
             properties={"tap-shop.visits": 900, "target-postgres.default-target-schema": "shop"})  # fmt: skip

    job = warehouse.run(timeout=300)

    assert job["status"]["phase"] == "COMPLETE"
    assert warehouse.log(job).count("record_count") >= 4, "parts"
    assert rows(job) == {"visits": (900, 900)}
    assert count(warehouse, "shop.visits") == 900
    (stream,) = result(job)["streams"]
    assert stream["seconds"] > 170


def test_dbt_warns_and_then_fails(warehouse: Namespace) -> None:
    script = f"""
mkdir -p /tmp/shop/models /tmp/shop/tests && cd /tmp/shop
cp /tools/dbt_project.yml /tools/profiles.yml .
cp /tools/numbers.sql models && cp /tools/few.sql /tools/small.sql tests
{DBT} build --vars "{{largest: $1}}"
"""
    pipeline(warehouse, MELTANO, script)

    warned = warehouse.run("warned", arguments=["9"], timeout=120)
    failed = warehouse.run("failed", arguments=["4"], timeout=120)

    assert (warned["status"]["phase"], failed["status"]["phase"]) == ("COMPLETE", "ERROR")
    # dbt counts the model, too.
    assert result(warned)["checks"] == {"passed": 2, "warned": 1, "failed": 0, "skipped": 0}
    assert result(failed)["checks"] == {"passed": 1, "warned": 1, "failed": 1, "skipped": 0}
    assert [(one["name"], one["exitCode"]) for one in result(failed)["stages"]] == [("dbt", 1)]
    assert [one["reason"] for one in warned["status"]["warnings"]] == ["ChecksWarned"]
    assert "warnings" not in failed["status"]


def test_dlt_reports_the_rows_that_are_in_the_destination(warehouse: Namespace) -> None:
    credentials = "postgresql://elt:$(TARGET_POSTGRES_PASSWORD)@warehouse:5432/warehouse"
    pipeline(warehouse, TOOLS, "cd /tmp && python /tools/shop.py", "dlt",
             env=[{"name": "DESTINATION__POSTGRES__CREDENTIALS", "value": credentials}])  # fmt: skip

    job = warehouse.run(pipeline="dlt", timeout=120)

    assert job["status"]["phase"] == "COMPLETE"
    tables = {"orders": 120, "orders__lines": 240, "users": 40}
    assert {table: count(warehouse, f"shop.{table}") for table in tables} == tables
    assert rows(job) == {table: (number, None) for table, number in tables.items()}
    assert (result(job)["rows"], result(job)["rowsFrom"]) == (400, "Reported")


def test_psql_reports_what_it_inserted(warehouse: Namespace) -> None:
    script = """
export PGHOST=warehouse PGUSER=elt PGDATABASE=warehouse PGPASSWORD=$TARGET_POSTGRES_PASSWORD
psql -X -v ON_ERROR_STOP=1 -c "create table orders as select generate_series(1, 12) as id where false"
tag=$(psql -X -v ON_ERROR_STOP=1 -c "insert into orders select generate_series(1, 12)")
echo "ELT-RESULT {\\"rows\\": {\\"orders\\": ${tag##* }}}"
"""
    pipeline(warehouse, POSTGRES, script)

    job = warehouse.run()

    assert job["status"]["phase"] == "COMPLETE"
    assert (rows(job), count(warehouse, "orders")) == ({"orders": (12, None)}, 12)


def test_a_released_target_loses_a_row_and_the_job_that_completed_says_so(tools: Namespace) -> None:
    """target-duckdb 0.8.0 takes the first row of a table of texts for a header, and ends with exit code 0."""
    script = """
cd /tmp
echo '{"customers": 3000}' > tap.json
echo '{"filepath": "/tmp/shop.duckdb", "default_target_schema": "main"}' > to.json
python /tools/tap_shop.py --config tap.json | target-duckdb --config to.json
python /tools/count_rows.py shop.duckdb
"""
    pipeline(tools, TOOLS, script)

    job = tools.run(timeout=120)

    assert (job["status"]["phase"], job["status"]["exitCode"]) == ("COMPLETE", 0)
    assert rows(job) == {"customers": (2999, 3000)}
    (warning,) = job["status"]["warnings"]
    assert warning["reason"] == "RowsDiffer"
    assert "customers: 3,000 read, 2,999 reported" in warning["message"]
