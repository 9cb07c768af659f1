"""Shapes that several routes share, and what each route may answer besides."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from interlock.api.problems import MEDIA_TYPE


class Problem(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:interlock:problem:conflict",
                    "title": "Conflict",
                    "status": 409,
                    "detail": "fix-issue-1:a1 was decided: approve by user:carol at 2026-11-30T10:00:00+00:00",
                    "instance": "/v1/approvals/fix-issue-1:a1/decisions",
                }
            ]
        }
    )

    type: str = Field(description="A URN, `urn:interlock:problem:KIND`.")
    title: str = Field(description="The HTTP status in words.")
    status: int
    detail: str = Field(description="What is wrong.")
    instance: str = Field(description="The path that was asked for.")
    next_step: str = Field(default="", description="What to do about it.")


class Shape(BaseModel):
    """An answer that is made from a value of the engine: of its attributes, those that are named here."""

    model_config = ConfigDict(from_attributes=True)


class Body(BaseModel):
    """The body of a request: a field that is not known is an error, and not ignored."""

    model_config = ConfigDict(extra="forbid")


Limit = Annotated[int, Query(ge=1, le=200, description="At most so many.")]
Cursor = Annotated[str, Query(max_length=300, description="`next` of the page before.")]


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: these, and those that every route has."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": _SAID[status], "content": content}
        for status in sorted({400, 401, 403, 422, 429, 503, *statuses})
    }


_SAID: Final = {
    400: "The request cannot be read.",
    401: "Nobody is signed in, or the token does not hold.",
    403: "The policy does not let this person do it.",
    404: "There is no such thing, or none that this person may know of.",
    409: "Somebody was first, or the state does not allow it.",
    410: "The content was erased on purpose.",
    412: "If-Match names another state than the one that is there.",
    422: "The request does not fit; the answer names the field.",
    429: "Too many attempts; Retry-After says when to try again.",
    500: "The record does not hold: nothing of it is shown.",
    503: "A part that this needs does not answer.",
}
