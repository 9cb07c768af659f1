"""Signed statements of people: who asked for a run, who decided on a request, who paused, cancelled or signalled.

The API that authenticated the person signs each with its Ed25519 key. Workflow and executor verify them
again, so that neither a forged Temporal message nor a hostile graph worker speaks for anybody.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError

from interlock.errors import TokenRejected
from interlock.signing import Signer, Verifier, unverified
from interlock.types.approval import ApprovalVerdict, RequestKind
from interlock.types.closed import Closed
from interlock.types.names import Digest, Name, OptionalDigest, RunId, SubjectName
from interlock.types.signature import DecisionSignature


def _nonce() -> str:
    return secrets.token_hex(16)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


class Statement(Closed):
    """What every statement carries. Times are POSIX seconds, as in RFC 7519."""

    TYP: ClassVar[str]

    tenant: str
    sub: SubjectName
    """The authenticated person."""
    iat: int
    exp: int
    jti: str = Field(default_factory=_nonce, min_length=16)
    """Nonce; for approvals, consumed once by the executor."""

    def signed(self, signer: Signer) -> str:
        """The statement as a compact JWS."""
        return signer.sign(self.TYP, self.model_dump(mode="json"))

    @classmethod
    def read(cls, verifier: Verifier, token: str, *, now: datetime | None) -> Self:
        """Verify `token`; `now=None` reads a historical one, whose expiry no longer matters.

        Raises:
            TokenRejected: signature, kind, shape or expiry does not hold.
        """
        claims = cls._shaped(verifier.verify(cls.TYP, token))
        claims._check_parts(verifier)
        if now is not None and _seconds(now) >= claims.exp:
            expired = datetime.fromtimestamp(claims.exp, UTC).isoformat()
            raise TokenRejected(f"{cls.TYP} of {claims.sub} expired at {expired}")
        return claims

    def _check_parts(self, verifier: Verifier) -> None:
        """Check the signatures of statements that this one quotes. Raises TokenRejected."""

    @classmethod
    def peek(cls, token: str) -> Self:
        """The claims of `token` without checking the signature: for what was checked on arrival, and for
        finding out whose signature to check. Raises TokenRejected where the shape does not fit."""
        return cls._shaped(unverified(token))

    @classmethod
    def _shaped(cls, raw: dict[str, Any]) -> Self:
        raw.pop("iss", None)
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            first = error.errors()[0]
            raise TokenRejected(f"{cls.TYP}: {first['loc']}: {first['msg']}") from error


class PasskeyClaims(Statement):
    """The API registered a passkey for a signed-in person; `exp` is far off, and the accounts can end it before."""

    TYP = "interlock-passkey"

    credential: str
    """Its id, base64url."""
    public_key: str
    """COSE key, base64url."""
    rp_id: str
    """The domain that it is for."""
    origin: str
    """The only origin whose pages it counts from."""


class Claims(Statement):
    """A statement about one run."""

    run: RunId


class RequesterClaims(Claims):
    """A person asks for one run of one workflow with one input, under one manifest."""

    TYP = "interlock-requester"

    workflow: str
    manifest: Digest
    input: Digest
    workspace: OptionalDigest


class ApprovalClaims(Claims):
    """A person decides on one request."""

    TYP = "interlock-approval"

    request: str
    about: RequestKind
    verdict: ApprovalVerdict
    call: OptionalDigest
    """The call digest (or the question's digest) that the person was shown."""
    bundle: OptionalDigest = ""
    """The policy bundle under which they were asked."""
    edited: OptionalDigest = ""
    """For `edit`: digest of the new arguments."""
    message: str = Field(default="", max_length=20_000)
    """For `reject` and `respond`: what the agent reads. For an emergency: why."""
    stage: Name | Literal[""] = ""
    """The stage of the route at which they decide."""
    seat: SubjectName | Literal[""] = ""
    """The approver for whom they decide; empty: for themselves."""
    deputy: str = ""
    """That approver's statement that this person decides for them while they are away; empty: they handed over this
    one decision, or it is their own."""
    emergency: bool = False
    """Whether they break the glass: it counts alone, and is reviewed."""
    signature: DecisionSignature | None = None
    """What their passkey signed of this decision; None: nothing."""

    def _check_parts(self, verifier: Verifier) -> None:
        if self.deputy:
            DeputyClaims.read(verifier, self.deputy, now=None)
        if self.signature is not None:
            # Here, because few decisions are signed and every part of the runtime reads this module.
            from interlock.approval.passkeys import challenge_of, check_signature

            challenge = challenge_of(
                run=self.run, request=self.request, call=self.call, verdict=self.verdict, edited=self.edited
            )
            check_signature(self.signature, verifier, person=self.sub, tenant=self.tenant, challenge=challenge)

    def is_deputy(self) -> bool:
        """Whether the approver named this person as deputy for the time of this decision. The statement's signature
        was checked with this one's."""
        if not self.deputy:
            return False
        said = DeputyClaims.peek(self.deputy)
        names = (said.sub, said.to, said.tenant) == (self.seat, self.sub, self.tenant)
        return names and said.iat <= said.begins <= self.iat < said.exp


class DeputyClaims(Statement):
    """A person names another who decides for them for some time, where a route lets that one stand in."""

    TYP = "interlock-deputy"

    to: SubjectName
    begins: int
    """POSIX seconds; `exp` is the end."""
    reason: str = Field(default="", max_length=2_000)


class ControlClaims(Claims):
    """A person pauses, resumes or cancels a run."""

    TYP = "interlock-control"

    verb: Literal["pause", "resume", "cancel"]
    reason: str = Field(default="", max_length=2_000)


class SignalClaims(Claims):
    """A person sends a value to a run, under a name that its workflow listens to."""

    TYP = "interlock-signal"

    name: Name
    value: Digest


class ErasureClaims(Claims):
    """A person has a run's content erased."""

    TYP = "interlock-erasure"

    reason: str = Field(min_length=1, max_length=2_000)


REQUESTER_LIFE = timedelta(days=30)
"""A run may act for its requester this long; then every call is refused."""

CONTROL_LIFE = timedelta(minutes=5)

SIGNAL_LIFE = timedelta(minutes=5)
"""How long a signal may be on its way to its run."""


def lifetime(now: datetime, life: timedelta) -> dict[str, int]:
    """`iat` and `exp` for a statement made now."""
    return {"iat": _seconds(now), "exp": _seconds(now + life)}


def lifetime_until(now: datetime, end: datetime) -> dict[str, int]:
    """`iat` and `exp` for a statement that holds until `end`."""
    return {"iat": _seconds(now), "exp": _seconds(end)}
