"""Health: whether every part is there and as it must be, and what mends it."""

from __future__ import annotations

import threading
import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from interlock.api.caller import Caller
from interlock.api.permission import may
from interlock.api.services import Services, services
from interlock.console.pages import fragment, page
from interlock.run.examine import examine
from interlock.sandbox import Check
from interlock.settings import Settings

router = APIRouter(prefix="/health", include_in_schema=False)
Reader = Annotated[Caller, Depends(may("health", "read"))]
Held = Annotated[Services, Depends(services)]
_FRESH_S: Final = 10.0
_PARTS: Final = frozenset(
    (
        "Python",
        "temporal binary",
        "Docker engine",
        "sandbox",
        "sandbox image",
        "data keys",
        "ledger",
        "alarms",
        "blobs",
        "policy",
        "project",
        "notifications",
    )
)
"""What is told one by one; the rest is the sandbox, tried out from inside."""


class _Examined:
    """One examination at a time, and not again for a while: it starts processes and asks every part."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at = 0.0
        self._checks: list[Check] = []

    def checks(self, settings: Settings) -> list[Check]:
        """What was found, at most a few seconds ago."""
        with self._lock:
            if not self._checks or time.monotonic() - self._at > _FRESH_S:
                self._checks = list(examine(settings))
                self._at = time.monotonic()
            return self._checks


@router.get("")
def health(request: Request, who: Reader) -> Response:
    """The page, which fetches the checks."""
    return page(request, "health.html", who, here="Health")


@router.get("/checks")
def checks(request: Request, who: Reader, held: Held) -> Response:
    """Every check."""
    examined: _Examined = getattr(request.app.state, "examined", None) or _Examined()
    request.app.state.examined = examined
    found = examined.checks(held.settings)
    given: dict[str, Any] = {
        "checks": found,
        "parts": [c for c in found if _told(c)],
        "tried": [c for c in found if not _told(c)],
    }
    if request.headers.get("hx-request"):
        return fragment("checks.html", who, **given)
    return page(request, "checks_page.html", who, here="Health", **given)


def _told(check: Check) -> bool:
    named = check.name in _PARTS or check.name.startswith(("key ", "Temporal")) or check.name.endswith("worker")
    return named or not check.ok
