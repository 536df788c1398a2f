"""The application: all requests, and how errors are answered."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from elt_operator.api import changes, models, reads, refusals, streams
from elt_operator.api.asked import HalResponse
from elt_operator.api.bodies import SmallBodies
from elt_operator.api.hal import BASE
from elt_operator.api.parts import Parts
from elt_operator.api.refusals import BUG, NOT_FOUND, FieldError, Refusal
from elt_operator.resources import names

_EXAMPLES: Final = orjson.loads(files("elt_operator.api").joinpath("examples.json").read_bytes())
"""Answers of a real API, by request, code and media type; `make record-api` records them."""
_MOST_ERRORS: Final = 20
_MOST_CHARACTERS: Final = 128
_DESCRIPTION: Final = (
    "Lists, shows, creates, stops and deletes Jobs, and sends their logs, with the rights of whoever asks."
)
_TYPES: Final = frozenset({"str", "int"})
"""How pydantic calls the types of a property's value, and ends the place of an error with."""
_WORDS: Final = {
    "extra_forbidden": "there is no such field",
    "too_long": "must have at most {max_length} entries",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "int_parsing": "must be a whole number",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "missing": "is missing",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
}
"""By pydantic's type of an error (https://docs.pydantic.dev/latest/errors/validation_errors/)."""
_TOLD_IN_HEADERS: Final = (
    "Age", "ETag", "Location", "Retry-After", "X-As-Of", "X-Log-Gaps", "X-Log-State", "X-Next-Sequence",
)  # fmt: skip
_ROUTERS: Final = (reads.ROUTER, changes.ROUTER, streams.ROUTER)
_MESSAGES: Final = {404: NOT_FOUND.message, 405: "This cannot be done with that method."}


def app(parts: Parts, origins: Sequence[str]) -> FastAPI:
    """Return the application; pages of ``origins`` may use it from a browser."""
    made = FastAPI(
        title="elt-operator Jobs API", version=names.VERSION, description=_DESCRIPTION, docs_url=None, redoc_url=None,
        openapi_url=f"{BASE}/openapi.json", default_response_class=HalResponse, redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )  # fmt: skip
    made.state.parts = parts
    for router in _ROUTERS:
        made.include_router(router, prefix=BASE)
    made.add_exception_handler(RequestValidationError, _invalid)
    made.add_exception_handler(HTTPException, _without_route)
    made.add_exception_handler(Exception, _bug)
    for error in refusals.KNOWN:
        made.add_exception_handler(error, _refused)
    made.add_middleware(SmallBodies)
    made.openapi = lambda: _described(made)  # type: ignore[method-assign]  # as FastAPI's own documentation does it
    if origins:
        made.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"],
                            expose_headers=_TOLD_IN_HEADERS)  # fmt: skip
    return made


def _operation_id(route: APIRoute) -> str:
    """Return what clients that are made of the description call a request: its function's name."""
    first, *words = route.name.split("_")
    return first + "".join(word.title() for word in words) + ("Singular" if "/pipeline/" in route.path else "")


def _described(made: FastAPI) -> dict[str, Any]:
    """Return the description of all requests; errors are ours, not FastAPI's."""
    if not made.openapi_schema:
        found = get_openapi(title=made.title, version=made.version, description=made.description, routes=made.routes)
        schemas = found["components"]["schemas"]
        for model in (models.Error, models.NewJob):
            made_of = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= {**made_of.pop("$defs", {}), model.__name__: made_of}
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for path, operations in found["paths"].items():
            for method, operation in operations.items():
                operation["responses"].pop("422", None)
                for code, shown in _EXAMPLES.get(f"{method.upper()} {path}", {}).items():
                    content = operation["responses"][code].setdefault("content", {})
                    for kind, example in shown.items():
                        content.setdefault(kind, {})["example"] = example
        made.openapi_schema = _without_titles(found)
    return made.openapi_schema


def _without_titles(schema: Any) -> Any:
    """Return a part of the description without the titles that pydantic makes of names."""
    if isinstance(schema, list):
        return [_without_titles(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    left = {
        name: one for name, one in schema.items() if name != "title" or not isinstance(one, str) or "info" in schema
    }
    return {
        name: one if name in {"example", "examples", "info"} else _without_titles(one) for name, one in left.items()
    }


def _answer(request: Request, refusal: Refusal) -> Response:
    body = orjson.dumps(refusal.body(request.url.path, request.app.state.parts.now()))
    return Response(body, refusal.status, dict(refusal.headers), "application/json")


async def _refused(request: Request, error: Exception) -> Response:
    return _answer(request, refusals.of_error(error))


async def _bug(request: Request, _error: Exception) -> Response:
    """Answer what is a fault of ours; its traceback is logged."""
    return _answer(request, BUG)


async def _invalid(request: Request, error: Exception) -> Response:
    """Answer a request of which a part cannot be used; an id that cannot be is one that is not there."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    if any(one["loc"][0] == "path" for one in found):
        return _answer(request, NOT_FOUND)
    wrong = list(dict.fromkeys(FieldError(_field(one), _words(one)) for one in found[:_MOST_ERRORS]))
    return _answer(request, Refusal(400, "; ".join(f"{field}: {words}" for field, words in wrong), wrong))


def _field(error: Mapping[str, Any]) -> str:
    """Return the field as the API server calls one: `arguments[0]`, `properties.tap-x.start_date`."""
    if error["type"] == "json_invalid":
        return "body"
    where, *steps = error["loc"]
    if where == "body" and len(steps) > 1 and steps[-1] in _TYPES:  # of one that may be of several
        steps.pop()
    told = "".join(f"[{one}]" if isinstance(one, int) else f".{one[:_MOST_CHARACTERS]}" for one in steps)
    return told.removeprefix(".") or "body"


def _words(error: Mapping[str, Any]) -> str:
    """Return what is wrong with it."""
    if error["type"] in {"string_type", "int_type"} and error["loc"][-1] in _TYPES:
        return "must be a text or an integer"
    known, said = _WORDS.get(error["type"]), str(error["msg"])
    return known.format(**error.get("ctx", {})) if known else said


async def _without_route(request: Request, error: Exception) -> Response:
    """Answer what no request of ours is."""
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers or {})
    if "allow" in {name.lower() for name in headers}:  # of one route; the same path may have others
        headers = {"Allow": ", ".join(sorted(_methods(request)))}
    return _answer(request, Refusal(error.status_code, _MESSAGES.get(error.status_code, error.detail), (), headers))


def _methods(request: Request) -> set[str]:
    """Return the methods with which there is something at the path of a request."""
    path = request.url.path.removeprefix(BASE)
    routes = [route for router in _ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    found = {method for route in routes if route.path_regex.match(path) for method in route.methods or ()}
    return found or {"GET"}  # the description
