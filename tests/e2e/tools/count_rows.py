"""Reports how many rows each table of a DuckDB file has."""

import json
import sys

import duckdb

database = duckdb.connect(sys.argv[1])
tables = database.execute("select table_schema || '.' || table_name, table_name from information_schema.tables")
rows = {
    name: database.execute(f"select count(*) from {table}").fetchone()[0]  # noqa: S608 - our own tables
    for table, name in tables.fetchall()
}
print("ELT-RESULT " + json.dumps({"rows": rows}), flush=True)
