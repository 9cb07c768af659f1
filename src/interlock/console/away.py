"""Who is away and has named the one who looks their deputy."""

from __future__ import annotations

from datetime import UTC, datetime

from interlock.api.caller import Caller
from interlock.api.services import Services


def away(held: Services, who: Caller) -> frozenset[str]:
    """The people for whom somebody may decide now, where the route lets them."""
    found = held.accounts.deputies.of_stand_in(who.person, who.tenant, now=datetime.now(UTC))
    return frozenset(one.person for one in found)
