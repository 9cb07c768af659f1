"""Errors as answers: Problem Details (RFC 9457) for programs, a page that says what to do for people."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from interlock.api.page import error_page
from interlock.errors import (
    Conflict,
    Erased,
    IntegrityError,
    InterlockError,
    InvalidInput,
    Refused,
    TimedOut,
    Unreachable,
)

MEDIA_TYPE: Final = "application/problem+json"
PROGRAMS: Final = "/v1/"
"""Under this path everything is for programs."""
_NAMED_AT_MOST: Final = 20
"""Fields of a request that one answer names."""


class NotFound(InterlockError):
    """There is no such thing, or none that this person may know of: the two must look alike."""


class Unauthenticated(Refused):
    """Nobody is signed in, or the token does not hold."""


class TooMany(Refused):
    """Tried too often; `after_s` seconds from now it may be tried again."""

    def __init__(self, reason: str, *, after_s: int, next_step: str = "") -> None:
        super().__init__(reason, next_step=next_step or f"try again in {after_s} seconds")
        self.after_s = after_s


class Precondition(InterlockError):
    """What If-Match names is not what is there now."""


_STATUS: Final[Sequence[tuple[type[InterlockError], int, str]]] = (
    (NotFound, 404, "not-found"),
    (Unauthenticated, 401, "unauthenticated"),
    (TooMany, 429, "too-many"),
    (Precondition, 412, "precondition-failed"),
    (InvalidInput, 422, "invalid-input"),
    (Refused, 403, "refused"),
    (Conflict, 409, "conflict"),
    (Erased, 410, "erased"),
    (TimedOut, 504, "timed-out"),
    (IntegrityError, 500, "record-does-not-hold"),
    (Unreachable, 503, "unreachable"),
)


def for_programs(request: Request) -> bool:
    """Whether the answer is read by a program."""
    return request.url.path.startswith(PROGRAMS)


def problem(request: Request, status: int, kind: str, detail: str, *, next_step: str = "", **more: Any) -> Response:
    """An error as an answer.

    Args:
        request: what failed.
        status: the HTTP status.
        kind: the last part of the problem's type.
        detail: what is wrong.
        next_step: what to do about it.
        more: further members of a problem document.
    """
    headers = {"retry-after": str(more["retry_after_s"])} if "retry_after_s" in more else {}
    if not for_programs(request):
        answer = error_page(request, status, detail, next_step)
        answer.headers.update(headers)
        return answer
    if status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    body = {
        "type": f"urn:interlock:problem:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        **({"next_step": next_step} if next_step else {}),
        **more,
    }
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def register(app: FastAPI) -> None:
    """Have the app answer errors this way."""
    app.add_exception_handler(InterlockError, _ours)
    app.add_exception_handler(RequestValidationError, _does_not_fit)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, InterlockError)
    if isinstance(error, Unauthenticated) and not for_programs(request) and request.method in ("GET", "HEAD"):
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(path, safe='')}", status_code=303)
    status, kind = status_of(error)
    more: dict[str, Any] = {"retry_after_s": error.after_s} if isinstance(error, TooMany) else {}
    return problem(request, status, kind, error.reason, next_step=error.next_step, **more)


def status_of(error: InterlockError) -> tuple[int, str]:
    """The status of an error, and the last part of its problem's type."""
    for kind, status, name in _STATUS:
        if isinstance(error, kind):
            return status, name
    return 500, "internal"


async def _does_not_fit(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [
        {"field": ".".join(map(str, one["loc"])), "reason": one["msg"]} for one in error.errors()[:_NAMED_AT_MOST]
    ]
    said = "; ".join(f"{one['field']}: {one['reason']}" for one in found)
    return problem(request, 422, "invalid-input", f"the request does not fit: {said}", errors=found)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    detail = "there is no such page" if error.status_code == 404 else str(error.detail)
    answer = problem(request, error.status_code, kind, detail)
    answer.headers.update(error.headers or {})
    return answer


async def _unexpected(request: Request, error: Exception) -> Response:
    """A bug of ours: the log has it, the answer says nothing of it."""
    return problem(request, 500, "internal", "something unexpected failed", next_step="the server's log says what")
