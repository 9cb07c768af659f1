"""Standing grants as they are shown and used: a row of the ledger together with what its signed statement says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from interlock.approval.grants import GrantClaims
from interlock.audit import GrantRow
from interlock.errors import TokenRejected
from interlock.signing import Verifier


@dataclass(frozen=True)
class StandingGrant:
    """A grant."""

    row: GrantRow
    claims: GrantClaims

    @property
    def made_at(self) -> datetime:
        """When it was given."""
        return datetime.fromtimestamp(self.claims.iat, UTC)

    @property
    def ends_at(self) -> datetime:
        """When it ends by itself."""
        return datetime.fromtimestamp(self.claims.exp, UTC)

    @property
    def used_up(self) -> bool:
        """Whether it was used as often as it may be."""
        return self.row.used >= self.claims.uses

    def holds(self, now: datetime) -> bool:
        """Whether it still lets a call run, as far as its own terms say."""
        return not self.row.revoked_by and not self.used_up and now < self.ends_at


def stated(row: GrantRow, api: Verifier) -> StandingGrant:
    """The grant of a row.

    Raises:
        TokenRejected: the API did not sign it, or the row is not what the statement says; it lets nothing run.
    """
    claims = GrantClaims.read(api, row.token, now=None)
    if (claims.jti, claims.sub, claims.run, claims.tenant) != (row.grant, row.by, row.run, row.tenant):
        raise TokenRejected(f"the row of grant {row.grant!r} is not what its statement says")
    return StandingGrant(row, claims)


def all_stated(rows: Iterable[GrantRow], api: Verifier) -> Iterator[StandingGrant]:
    """Those of the rows that are grants at all."""
    for row in rows:
        try:
            yield stated(row, api)
        except TokenRejected:
            continue
