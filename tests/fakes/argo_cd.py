"""Argo CD's Lua: version 5.1, with nothing of its libraries but base, table, os.time and os.date.

What it opens stands in util/lua/lua.go and util/lua/oslib_safe.go of github.com/argoproj/argo-cd.
"""

from datetime import datetime
from typing import Any

from lupa import lua51

PREPARATION = """
local seconds = ...
getmetatable("").__index = nil
package.loaded.os = {time = function() return seconds end}
for _, name in ipairs({"os", "io", "string", "math", "debug", "coroutine", "dofile", "loadfile"}) do
  _G[name] = nil
end
"""


def run(script: str, body: dict[str, Any], now: datetime) -> Any:
    """Return what ``script`` makes of the object ``body``; an empty table is an empty list, as it is to Argo CD."""
    lua = lua51.LuaRuntime(unpack_returned_tuples=True, register_builtins=False, register_eval=False)
    lua.execute(PREPARATION, int(now.timestamp()))
    lua.globals().obj = lua.table_from(body, recursive=True)
    return _plain(lua.execute(script))


def _plain(value: Any) -> Any:
    if lua51.lua_type(value) != "table":
        return value
    keys = list(value.keys())
    if keys == list(range(1, len(keys) + 1)):
        return [_plain(value[key]) for key in keys]
    return {key: _plain(value[key]) for key in keys}
