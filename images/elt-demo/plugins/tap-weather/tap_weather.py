"""A Singer tap without dependencies: a CSV file becomes one stream, incremental on one of its columns.

It can be told to fail, to dawdle or to eat memory, so that a demo and tests can show what happens then. The protocol is
described at https://hub.meltano.com/singer/spec.
"""

import argparse
import csv
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

Json = dict[str, Any]

READERS: Mapping[str, Callable[[str], object]] = {"integer": lambda text: int(float(text)), "number": float}
NO_VALUE = {"", "NA"}
TROUBLE_EVERY = 1000
"""After so many rows each, the tap dawdles and eats."""


class ConfigError(Exception):
    """The tap's settings cannot be used; the message says which, and why."""


@dataclass(frozen=True)
class Config:
    """The tap's settings, named as in meltano.yml."""

    path: str
    stream: str = "weather"
    replication_key: str = "time_hour"
    key_properties: list[str] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    """JSON types of columns: integer or number; all others are strings."""
    end_date: str | None = None
    """Rows from this time on are left out."""
    state_every: int = 5000
    """Write the state after so many rows."""
    fail_after: int | None = None
    """Fail on purpose after so many rows …"""
    fail_code: int = 1
    """… with this exit code."""
    sleep_ms: int = 0
    """Wait so long after each 1,000 rows."""
    eat_memory_mb: int = 0
    """Take so much more memory after each 1,000 rows."""

    @classmethod
    def read(cls, values: Json) -> "Config":
        """Return the settings in ``values``; raises ``ConfigError``."""
        if not values.get("path"):
            raise ConfigError("the setting `path` is missing: the CSV file to read")
        known = {setting.name for setting in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known and value is not None})


def log(level: str, message: str) -> None:
    """Write a line to standard error; standard output belongs to the protocol."""
    print(json.dumps({"level": level, "name": "tap-weather", "message": message}), file=sys.stderr, flush=True)


def write(message: Json) -> None:
    """Write one message of the protocol, or the catalog."""
    sys.stdout.write(json.dumps(message) + "\n")


def columns_of(config: Config) -> list[str]:
    """Return the names in the file's first line; raises ``ConfigError`` when the settings do not fit the file."""
    try:
        with Path(config.path).open(newline="", encoding="utf-8") as file:
            columns = next(csv.reader(file), [])
    except OSError as error:
        raise ConfigError(f"the setting `path`: {config.path}: {error.strerror}") from None
    for name in (config.replication_key, *config.key_properties, *config.types):
        if name not in columns:
            raise ConfigError(f"{config.path} has no column {name}; it has {', '.join(columns)}")
    return columns


def catalog(config: Config) -> Json:
    """Return what there is to read: one stream with a column for each of the file's."""
    columns = columns_of(config)
    properties: Json = {column: {"type": ["null", config.types.get(column, "string")]} for column in columns}
    properties[config.replication_key] = {"type": ["null", "string"], "format": "date-time"}
    metadata = {
        "inclusion": "available",
        "selected": True,
        "table-key-properties": config.key_properties,
        "replication-method": "INCREMENTAL",
        "replication-key": config.replication_key,
    }
    stream = {
        "tap_stream_id": config.stream,
        "stream": config.stream,
        "schema": {"type": "object", "properties": properties},
        "key_properties": config.key_properties,
        "metadata": [{"breadcrumb": [], "metadata": metadata}],
    }
    return {"streams": [stream]}


def bookmark(state: Json, config: Config) -> str | None:
    """Return how far an earlier run came; ``None``: there was none."""
    bookmarks = state.get("value", state).get("bookmarks", {})
    found = bookmarks.get(config.stream, {}).get(config.replication_key)
    return found if isinstance(found, str) else None


def typed(row: Mapping[str, str], types: Mapping[str, str]) -> Json:
    """Return a row with numbers as numbers; empty and NA become null."""
    return {
        column: None if text in NO_VALUE else READERS.get(types.get(column, ""), str)(text)
        for column, text in row.items()
    }


def rows(config: Config, after: str | None) -> Iterator[Json]:
    """Yield the rows after the bookmark and before the end date, in the order of the replication key."""
    key = config.replication_key
    with Path(config.path).open(newline="", encoding="utf-8") as file:
        ordered = sorted(csv.DictReader(file), key=lambda row: row[key])
    for row in ordered:
        if config.end_date and row[key] >= config.end_date:
            return
        if after is None or row[key] > after:
            yield typed(row, config.types)


def state(config: Config, reached: str) -> Json:
    """Return the message that says how far we are."""
    return {"type": "STATE", "value": {"bookmarks": {config.stream: {config.replication_key: reached}}}}


def misbehave(config: Config, count: int, eaten: list[bytearray]) -> None:
    """Do, after ``count`` rows, what the settings ask for to show trouble."""
    if config.fail_after and count >= config.fail_after:
        sys.stdout.flush()
        log("critical", f"source went away after {count} records")
        sys.exit(config.fail_code)
    if count % TROUBLE_EVERY:
        return
    if config.sleep_ms:
        sys.stdout.flush()
        time.sleep(config.sleep_ms / 1000)
    if config.eat_memory_mb:
        eaten.append(bytearray(config.eat_memory_mb * 1024 * 1024))
        log("info", f"{len(eaten) * config.eat_memory_mb} MiB eaten")


def sync(config: Config, described: Json, after: str | None) -> None:
    """Write the stream. State is written only between two values of the replication key, so that none is cut in two."""
    stream = described["streams"][0]
    write(
        {
            "type": "SCHEMA",
            "stream": stream["stream"],
            "schema": stream["schema"],
            "key_properties": stream["key_properties"],
            "bookmark_properties": [config.replication_key],
        }
    )
    log("info", f"start: bookmark={after}")
    count, since_state, reached = 0, 0, after
    eaten: list[bytearray] = []
    for row in rows(config, after):
        if reached and since_state >= config.state_every and row[config.replication_key] != reached:
            write(state(config, reached))
            since_state = 0
        write({"type": "RECORD", "stream": stream["stream"], "record": row})
        count, since_state, reached = count + 1, since_state + 1, row[config.replication_key]
        misbehave(config, count, eaten)
    if reached:
        write(state(config, reached))
    log("info", f"done: {count} records")


def _json_file(path: str | None) -> Json:
    """Return a file's JSON object; an empty or absent file is an empty one."""
    text = Path(path).read_text(encoding="utf-8") if path else ""
    value = json.loads(text) if text.strip() else {}
    return value if isinstance(value, dict) else {}


def main() -> None:
    """Run the tap as Singer's runners call it; exits with 2 when its settings cannot be used."""
    parser = argparse.ArgumentParser(prog="tap-weather", description=__doc__)
    parser.add_argument("--config", "-c", help="file with the settings")
    parser.add_argument("--catalog", "--properties", "-p", help="file with the selected streams")
    parser.add_argument("--state", "-s", help="file with the state of the run before")
    parser.add_argument("--discover", "-d", action="store_true", help="write the catalog and end")
    arguments = parser.parse_args()
    try:
        config = Config.read(_json_file(arguments.config))
        found = catalog(config)
    except ConfigError as error:
        log("critical", str(error))
        sys.exit(2)
    if arguments.discover:
        write(found)
        return
    sync(config, _json_file(arguments.catalog) or found, bookmark(_json_file(arguments.state), config))


if __name__ == "__main__":
    main()
