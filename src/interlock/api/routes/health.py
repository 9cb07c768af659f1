"""`/v1/health`: whether the server serves."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

router = APIRouter(prefix="/v1/health", tags=["health"])


class Health(BaseModel):
    """That it serves; nothing about what it serves, since anybody may ask."""

    status: str


@router.get("")
async def health() -> Health:
    """Whether the server serves. Needs no sign-in."""
    return Health(status="ok")
