"""A passkey's signature over one decision (WebAuthn, W3C): the approver was there, with their authenticator, and
meant this verdict on this call.

The challenge is no random number but the digest of the decision. So the signature can be verified again from what
is kept of it, years later and without asking anybody, and it fits no other decision.
"""

from __future__ import annotations

import hashlib
from typing import Final

from webauthn import verify_authentication_response
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException

from interlock.approval.tokens import PasskeyClaims
from interlock.digest import canonical
from interlock.errors import TokenRejected
from interlock.signing import Verifier
from interlock.types.approval import ApprovalVerdict
from interlock.types.names import OptionalDigest, RunId
from interlock.types.signature import DecisionSignature

__all__ = ["DecisionSignature", "PasskeyClaims", "challenge_of", "check_signature"]

_PURPOSE: Final = "interlock-decision-1"


def challenge_of(
    *, run: RunId, request: str, call: OptionalDigest, verdict: ApprovalVerdict, edited: str = ""
) -> bytes:
    """What an authenticator signs for one decision.

    Args:
        run: the run.
        request: the approval request's id.
        call: digest of the call, or of the question.
        verdict: what is decided.
        edited: digest of the arguments that take the place of the call's.
    """
    said = {"for": _PURPOSE, "run": run, "request": request, "call": call, "verdict": verdict, "edited": edited}
    return hashlib.sha256(canonical(said)).digest()


def check_signature(found: DecisionSignature, api: Verifier, *, person: str, tenant: str, challenge: bytes) -> str:
    """Verify a passkey's signature over a decision; returns the credential's id.

    Raises:
        TokenRejected: the key is not this person's, or did not sign this decision, with the person verified.
    """
    claims = PasskeyClaims.read(api, found.passkey, now=None)
    if (claims.sub, claims.tenant) != (person, tenant):
        raise TokenRejected(f"the passkey is {claims.sub}'s in tenant {claims.tenant!r}, not {person}'s")
    credential = {
        "id": claims.credential,
        "rawId": claims.credential,
        "type": "public-key",
        "response": {
            "clientDataJSON": found.client_data,
            "authenticatorData": found.authenticator_data,
            "signature": found.signature,
        },
    }
    try:
        verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=claims.rp_id,
            expected_origin=claims.origin,
            credential_public_key=base64url_to_bytes(claims.public_key),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError) as error:
        raise TokenRejected(f"the passkey did not sign this decision: {error}") from error
    return claims.credential
