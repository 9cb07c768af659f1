"""An approver names somebody who decides for them while they are away, where the route lets that one stand in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from interlock.accounts import Accounts, Deputy
from interlock.approval import DeputyClaims
from interlock.errors import InvalidInput
from interlock.policy import Bundle
from interlock.signing import Signer

LONGEST: Final = timedelta(days=92)


def name_deputy(
    accounts: Accounts,
    bundle: Bundle,
    api: Signer,
    *,
    person: str,
    tenant: str,
    to: str,
    ends: datetime,
    begins: datetime | None = None,
    reason: str = "",
) -> Deputy:
    """Sign and keep the statement of an authenticated person.

    Raises:
        InvalidInput: the policy does not know the stand-in here, it is the person themselves, or the time does not
            fit.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    begins = max(begins.astimezone(UTC).replace(microsecond=0), now) if begins else now
    ends = ends.astimezone(UTC).replace(microsecond=0)
    if to == person:
        raise InvalidInput("to: you cannot stand in for yourself")
    if not bundle.people.is_known(to, tenant):
        raise InvalidInput(f"to: the policy knows no person {to!r} in tenant {tenant!r}")
    if not begins < ends <= begins + LONGEST:
        raise InvalidInput(f"ends: it must be behind the beginning, and at most {LONGEST.days} days")
    claims = DeputyClaims(
        tenant=tenant,
        sub=person,
        to=to,
        iat=int(now.timestamp()),
        begins=int(begins.timestamp()),
        exp=int(ends.timestamp()),
        reason=reason,
    )
    return accounts.deputies.add(
        person, tenant, to, begins=begins, ends=ends, reason=reason, statement=claims.signed(api)
    )


def statement_for(accounts: Accounts, tenant: str, *, seat: str, stand_in: str) -> str:
    """The statement by which a person may decide for another now; empty where there is none: that one decision may
    have been handed to them."""
    found = accounts.deputies.of_stand_in(stand_in, tenant, now=datetime.now(UTC))
    return next((one.statement for one in found if one.person == seat), "")
