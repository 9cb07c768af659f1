"""`/v1/openapi.json`: the API's own description. Public: it is the same for everybody, and the source is open."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from interlock.api.document import PATH, document
from interlock.api.etag import Route

router = APIRouter(route_class=Route, include_in_schema=False)


@router.get(PATH)
async def openapi(request: Request) -> JSONResponse:
    """The OpenAPI 3.1 document."""
    return JSONResponse(document(request.app))
