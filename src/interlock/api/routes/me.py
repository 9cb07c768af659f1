"""`/v1/me`: who the caller is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from interlock.api.caller import Caller
from interlock.api.permission import may
from interlock.api.services import Services, services

router = APIRouter(prefix="/v1/me", tags=["accounts"])


class Me(BaseModel):
    """The caller."""

    person: str
    tenant: str
    via: str
    names: list[str]
    """Groups and roles, sorted."""


@router.get("")
async def me(
    who: Annotated[Caller, Depends(may("accounts", "read"))], held: Annotated[Services, Depends(services)]
) -> Me:
    """Who you are to the policy."""
    names = sorted(held.bundle.people.names_of(who.person) - {who.person})
    return Me(person=who.person, tenant=who.tenant, via=who.via, names=names)
