"""What an authenticator signed of one decision (WebAuthn level 2, W3C)."""

from __future__ import annotations

from interlock.types.closed import Closed


class DecisionSignature(Closed):
    """What an authenticator signed, with the registration of its key: all that it takes to verify it again."""

    passkey: str
    """The API's statement about the key."""
    client_data: str
    """clientDataJSON, base64url: holds challenge and origin."""
    authenticator_data: str
    """Base64url: holds the domain's hash and whether the person was verified."""
    signature: str
    """Base64url, over the two before."""
