"""Passkeys of people (WebAuthn, by py_webauthn): registering one, and asking one to sign a decision."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    UserVerificationRequirement,
)

from interlock.accounts.passkeys import Passkey
from interlock.approval.passkeys import PasskeyClaims
from interlock.errors import InvalidInput, TokenRejected
from interlock.settings import Settings
from interlock.signing import Signer
from interlock.types.signature import DecisionSignature

LIFE: Final = timedelta(days=3650)
"""Of the API's statement about a key: what it signed is verified for as long as the record is kept."""


@dataclass(frozen=True)
class RelyingParty:
    """This server, as authenticators know it."""

    rp_id: str
    """Its domain."""
    origin: str
    name: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The server of the settings.

        Raises:
            InvalidInput: its address has no domain, which a passkey is bound to.
        """
        parts = urlsplit(settings.effective_public_url)
        host = parts.hostname or ""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return cls(host, settings.effective_public_url, f"Interlock {settings.name}")
        raise InvalidInput(
            f"public_url: passkeys are bound to a domain, and {host} is an address",
            next_step="set public_url, for this machine to http://localhost:PORT",
        )

    def registration(self, person: str, known: list[Passkey]) -> tuple[dict[str, Any], str]:
        """Options for `navigator.credentials.create`, and the challenge in them."""
        options = generate_registration_options(
            rp_id=self.rp_id,
            rp_name=self.name,
            user_name=person,
            user_id=person.encode(),
            user_display_name=person.removeprefix("user:"),
            authenticator_selection=AuthenticatorSelectionCriteria(
                user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=[_descriptor(one) for one in known],
        )
        told: dict[str, Any] = json.loads(options_to_json(options))
        return told, bytes_to_base64url(options.challenge)

    def registered(
        self, credential: dict[str, Any], challenge: str, *, person: str, tenant: str, api: Signer
    ) -> tuple[PasskeyClaims, str, int]:
        """Check what an authenticator answered; the API's statement about its key, signed, and its count.

        Raises:
            TokenRejected: it does not hold.
        """
        try:
            found = verify_registration_response(
                credential=credential,
                expected_challenge=base64url_to_bytes(challenge),
                expected_rp_id=self.rp_id,
                expected_origin=self.origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError, AttributeError) as error:
            raise TokenRejected(f"the passkey's registration does not hold: {error}") from error
        now = datetime.now(UTC)
        claims = PasskeyClaims(
            tenant=tenant,
            sub=person,
            credential=bytes_to_base64url(found.credential_id),
            public_key=bytes_to_base64url(found.credential_public_key),
            rp_id=self.rp_id,
            origin=self.origin,
            iat=int(now.timestamp()),
            exp=int((now + LIFE).timestamp()),
        )
        return claims, claims.signed(api), found.sign_count

    def request(self, challenge: bytes, known: list[Passkey]) -> dict[str, Any]:
        """Options for `navigator.credentials.get` over a decision.

        Raises:
            InvalidInput: this person has no passkey.
        """
        if not known:
            raise InvalidInput("you have no passkey", next_step="POST /v1/me/passkeys/options")
        options = generate_authentication_options(
            rp_id=self.rp_id,
            challenge=challenge,
            allow_credentials=[_descriptor(one) for one in known],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        told: dict[str, Any] = json.loads(options_to_json(options))
        return told


def signature_of(credential: dict[str, Any], known: list[Passkey]) -> tuple[DecisionSignature, int]:
    """What a browser sent for a decision, as it is kept, and the authenticator's count; nothing is verified yet.

    Raises:
        TokenRejected: it is of a key that this person does not have, or is malformed.
    """
    own = next((one for one in known if one.credential == credential.get("id")), None)
    if own is None:
        raise TokenRejected("this passkey is not registered for you", next_step="GET /v1/me/passkeys")
    answer: Any = credential.get("response")
    try:
        found = DecisionSignature(
            passkey=own.statement,
            client_data=answer["clientDataJSON"],
            authenticator_data=answer["authenticatorData"],
            signature=answer["signature"],
        )
        data = base64url_to_bytes(found.authenticator_data)
    except (KeyError, TypeError, ValueError) as error:
        raise TokenRejected(f"the passkey's answer is malformed: {type(error).__name__}") from error
    return found, int.from_bytes(data[33:37], "big")


def _descriptor(one: Passkey) -> PublicKeyCredentialDescriptor:
    return PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.credential))
