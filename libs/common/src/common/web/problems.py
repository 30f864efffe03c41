"""Problem documents (RFC 9457) for everything that can go wrong.

`code` is stable and `params` carry the values of the message, so that front ends can translate it.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import asyncpg
import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from common.db.pool import TRANSIENT
from common.errors import BadRequest, BaridError, Invalid, NotFound, TooLarge, Unauthorized, Unavailable
from common.telemetry import current_trace_id

TYPES = "https://barid.dev/problems/"
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
_MEND = {
    404: "Look the address up in /v1/openapi.json",
    405: "Use one of the methods in the header Allow; /v1/openapi.json lists them",
    413: TooLarge.remedy,
    415: "Send it with the Content-Type that /v1/openapi.json names",
}

_log = structlog.get_logger("barid.http")


class FieldError(BaseModel):
    """One thing that is wrong with the request. `where` is a JSON pointer into the body, or a parameter's name."""

    where: str
    code: str
    detail: str


class Problem(BaseModel):
    """A problem document."""

    type: str = Field(description="stable URI of the kind of problem")
    title: str
    status: int
    detail: str
    code: str = Field(description="stable, machine-readable")
    params: dict[str, Any] = Field({}, description="values of the message, for translation")
    mend: str | None = Field(None, description="how to put it right")
    trace_id: str | None = None
    errors: list[FieldError] = []


def problems(*errors: type[BaridError]) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: the errors it may answer with, beside those every route has."""
    found: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        line = f"`{error.code}`: {_title(error)}"
        if error.status in found:
            line = f"{found[error.status]['description']}; {line}"
        found[error.status] = {"description": line, "content": {MEDIA_TYPE: {"schema": PROBLEM_REF}}}
    return found


PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}


def _title(error: type[BaridError]) -> str:
    return (error.__doc__ or error.__name__).strip().split("\n")[0]


def answer(
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    params: Mapping[str, Any] | None = None,
    mend: str | None = None,
    errors: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document as a response."""
    body: dict[str, Any] = {
        "type": TYPES + code,
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "params": dict(params or {}),
        "mend": mend,
        "trace_id": current_trace_id(),
        "errors": list(errors),
    }
    return Response(orjson.dumps(body, default=str), status, dict(headers or {}), MEDIA_TYPE)


def answer_error(error: BaridError) -> Response:
    """The problem document of an error of ours. An error may carry `errors`, a list of {where, code, detail}."""
    headers: dict[str, str] = {}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="barid"'
    if error.status in (429, 503):
        headers["Retry-After"] = str(int(error.params.get("retry_after_s", RETRY_AFTER_S)))
    return answer(
        error.status,
        error.code,
        _title(type(error)),
        error.message,
        params=error.params,
        mend=error.mend,
        errors=getattr(error, "errors", ()),
        headers=headers,
    )


def is_outage(error: BaseException) -> bool:
    """Whether the database is away, or had to undo the work: trying again may help."""
    # A value of the wrong type is an InterfaceError too, and no outage.
    return isinstance(error, TRANSIENT) and not isinstance(error, ValueError | asyncpg.InternalClientError)


def answer_crash(error: Exception) -> Response:
    """The answer to an error nobody foresaw. Says nothing about it; the log does, under the same trace id."""
    if is_outage(error):
        _log.warning("database not available", error=type(error).__name__)
        return answer_error(Unavailable("The database is not available now; try again"))
    _log.exception("unhandled error", exc_info=error)
    detail = "The error was logged under this trace id."
    return answer(500, "internal", "Something broke here", detail, mend="Tell an operator the trace id")


def _answer_http(error: HTTPException) -> Response:
    phrase = HTTPStatus(error.status_code).phrase
    known = {404: NotFound, 400: BadRequest}.get(error.status_code)
    code = known.code if known else re.sub(r"[^a-z]+", "_", phrase.lower()).strip("_")
    code = {413: "too_large"}.get(error.status_code, code)
    detail = "There is nothing at this address" if error.status_code == 404 else str(error.detail)
    mend = _MEND.get(error.status_code) or (known.remedy if known else None)
    return answer(error.status_code, code, phrase, detail, mend=mend, headers=error.headers)


def _answer_validation(error: RequestValidationError) -> Response:
    found = error.errors()
    places = {item["loc"][0] if item["loc"] else "body" for item in found}
    errors = [
        {"where": _where(item["loc"]), "code": str(item["type"]), "detail": str(item["msg"])} for item in found[:100]
    ]
    if "path" in places:
        return answer_error(NotFound())
    if places & {"query", "header", "cookie"}:
        return _with(BadRequest("A parameter is missing or wrong"), errors)
    if any(item["type"] == "json_invalid" for item in found):
        return _with(BadRequest("The body is not JSON"), [{**e, "where": ""} for e in errors])
    return _with(Invalid("The body is not acceptable; see `errors`"), errors)


def _with(error: BaridError, errors: list[dict[str, Any]]) -> Response:
    return answer(error.status, error.code, _title(type(error)), error.message, mend=error.mend, errors=errors)


def _where(location: Sequence[int | str]) -> str:
    place, *path = location or ("body",)
    if place != "body":
        return ".".join(map(str, path))
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error answer with a problem document."""

    async def ours(_request: Request, error: Exception) -> Response:
        assert isinstance(error, BaridError)  # noqa: S101
        if error.status >= 500 and not isinstance(error, Unavailable):
            return answer_crash(error)
        return answer_error(error)

    async def http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        return _answer_http(error)

    async def validation(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return _answer_validation(error)

    app.add_exception_handler(BaridError, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, validation)
