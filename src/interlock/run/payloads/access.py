"""Who may have payloads shown: a person whom the policy knows, with a statement that the API signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, Literal

from interlock.approval.tokens import Claims
from interlock.errors import Refused
from interlock.policy import Bundle
from interlock.signing import Verifier
from interlock.types.names import RunId

LIFE: Final = timedelta(hours=1)
"""How long a token holds unless its maker says."""
LONGEST: Final = timedelta(hours=12)


class ReadClaims(Claims):
    """A person may have payloads of runs shown, for a while. It gives no other right."""

    TYP: ClassVar[str] = "interlock-read"

    run: RunId | Literal[""] = ""
    """The only run; empty: every run that the person may see."""


@dataclass(frozen=True)
class Readers:
    """Decides who reads. The policy is asked at each request: whoever leaves it reads no more."""

    verifier: Verifier
    """Of the API's public key."""
    tenant: str
    policy: Callable[[], Bundle]
    """The policy in force."""

    def admit(self, token: str) -> ReadClaims:
        """The statement of a token that holds now.

        Raises:
            TokenRejected: not signed by the API, another kind of statement, or expired.
            Refused: of another tenant, or of a person whom the policy does not know.
        """
        claims = ReadClaims.read(self.verifier, token, now=datetime.now(UTC))
        if claims.tenant != self.tenant:
            raise Refused(f"the token is for tenant {claims.tenant!r}")
        if not self.policy().people.is_known(claims.sub, self.tenant):
            raise Refused(f"the policy knows no person {claims.sub!r}")
        return claims


def may_see(claims: ReadClaims, run: str) -> None:
    """Check that a token covers a run.

    Raises:
        Refused: it does not.
    """
    if claims.run not in ("", run):
        raise Refused(f"the token of {claims.sub} is for run {claims.run!r}")
