"""A real dlt pipeline, which reports its rows."""

import json
from collections.abc import Iterable
from typing import Any

import dlt


@dlt.resource(primary_key="id", write_disposition="merge")
def orders() -> Iterable[dict[str, Any]]:
    """Orders with two lines each."""
    for number in range(120):
        yield {"id": number, "lines": [{"line": 1}, {"line": 2}]}


@dlt.resource(write_disposition="replace")
def users() -> Iterable[list[dict[str, Any]]]:
    """Users."""
    yield [{"id": number} for number in range(40)]


pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
pipeline.run([orders(), users()])

counts = pipeline.last_trace.last_normalize_info.row_counts
rows = {table: count for table, count in counts.items() if not table.startswith("_dlt_")}
print("ELT-RESULT " + json.dumps({"rows": rows}), flush=True)
