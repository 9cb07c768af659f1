"""The executor's receipt: a signed statement of what ran, under which decision, with which effect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

from pydantic import ValidationError

from interlock.digest import digest_of
from interlock.errors import TokenRejected
from interlock.events import Time
from interlock.signing import Signer, Verifier
from interlock.types.blobs import Blobs
from interlock.types.call import Artifact, CallStatus, ChildRun, Usage
from interlock.types.closed import Closed
from interlock.types.egress import EgressRecord
from interlock.types.names import Digest, OptionalDigest, RunId

RECEIPT: Final = "interlock-receipt"


class Receipt(Closed):
    """What the executor signs after each call. *Approved is executed*: the call digest here is the one in the
    approval tokens whose nonces are listed."""

    run: RunId
    call_id: str
    call: Digest
    """The call digest, derived again by the executor."""
    rule: str
    """The rule that its own decision names."""
    bundle: Digest
    request: Digest
    """The access request that it decided itself."""
    approvals: tuple[str, ...]
    """Nonces of the approval tokens that this call consumed."""
    status: CallStatus
    output: OptionalDigest
    workspace_before: OptionalDigest
    workspace: OptionalDigest
    artifacts: tuple[Artifact, ...] = ()
    egress: OptionalDigest = ""
    """Digest over its requests to the outside world, in order; empty: it made none."""
    start: str = ""
    usage: Usage = Usage()
    child: ChildRun | None = None
    """The run to which it handed work on."""
    profile: str
    image: str
    executor: str
    attempt: int
    started_at: Time
    ended_at: Time

    @staticmethod
    def egress_digest(requests: Sequence[EgressRecord]) -> OptionalDigest:
        """What `egress` must be for these requests."""
        return digest_of([one.model_dump(mode="json") for one in requests]) if requests else ""

    def signed(self, signer: Signer) -> str:
        """The receipt as a compact JWS under the executor's key."""
        return signer.sign(RECEIPT, self.model_dump(mode="json"))

    def kept(self, signer: Signer, blobs: Blobs) -> Digest:
        """Sign it and keep the statement; its digest is what travels and what the run's event names."""
        return blobs.put(self.signed(signer).encode())

    @classmethod
    def found(cls, verifier: Verifier, blobs: Blobs, digest: Digest) -> Self:
        """Read the receipt that an event names.

        Raises:
            IntegrityError: it is absent or altered.
            TokenRejected: the signature or the shape does not hold.
        """
        return cls.read(verifier, blobs.get(digest).decode("ascii", "replace"))

    @classmethod
    def read(cls, verifier: Verifier, token: str) -> Self:
        """Verify and read a receipt.

        Raises:
            TokenRejected: the signature or the shape does not hold.
        """
        raw = verifier.verify(RECEIPT, token)
        raw.pop("iss", None)
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise TokenRejected(f"{RECEIPT}: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from error
