"""Every page of the console, for the app."""

from __future__ import annotations

from fastapi import APIRouter

from interlock.console import (
    account,
    agents,
    amending,
    audit,
    card,
    deciding,
    grants,
    health,
    inbox,
    policy,
    run_page,
    runs,
    together,
    tools,
)


def routers() -> list[APIRouter]:
    """One router for each part."""
    parts = (
        inbox,
        card,
        deciding,
        amending,
        together,
        runs,
        run_page,
        agents,
        tools,
        policy,
        audit,
        health,
        account,
        grants,
    )
    return [part.router for part in parts]
