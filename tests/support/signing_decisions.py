"""Decisions that a person's authenticator signs, as the API hands them on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from support.authenticator import Authenticator
from webauthn.helpers import bytes_to_base64url as text
from webauthn.helpers.cose import COSEAlgorithmIdentifier

from interlock.approval.passkeys import PasskeyClaims, challenge_of
from interlock.signing import Signer
from interlock.types.signature import DecisionSignature

ORIGIN = "http://localhost:8400"


def registered(authenticator: Authenticator, api: Signer, person: str, tenant: str = "default") -> str:
    """The API's statement that the authenticator's key is this person's."""
    import cbor2

    point = authenticator.key.public_key().public_numbers()
    key = {
        1: 2,
        3: int(COSEAlgorithmIdentifier.ECDSA_SHA_256),
        -1: 1,
        -2: point.x.to_bytes(32, "big"),
        -3: point.y.to_bytes(32, "big"),
    }
    now = datetime.now(UTC)
    claims = PasskeyClaims(
        tenant=tenant,
        sub=person,
        credential=authenticator.id,
        public_key=text(cbor2.dumps(key)),
        rp_id=authenticator.rp_id,
        origin=authenticator.origin,
        iat=int(now.timestamp()),
        exp=int((now + timedelta(days=365)).timestamp()),
    )
    return claims.signed(api)


def signed(authenticator: Authenticator, passkey: str, **decision: Any) -> DecisionSignature:
    """What the authenticator signs of a decision; `decision` is what `challenge_of` takes."""
    answer = authenticator.get({"challenge": text(challenge_of(**decision))})["response"]
    return DecisionSignature(
        passkey=passkey,
        client_data=answer["clientDataJSON"],
        authenticator_data=answer["authenticatorData"],
        signature=answer["signature"],
    )
