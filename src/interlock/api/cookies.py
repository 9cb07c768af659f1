"""The session's cookie: signed, for this host, out of reach of scripts; and the token that its forms carry."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from fastapi import Request
from fastapi.responses import Response
from itsdangerous import BadSignature, Signer, URLSafeTimedSerializer

from interlock.settings import Settings
from interlock.signing import Signer as ApiSigner

_INFO: Final = b"interlock cookies 1"


@dataclass(frozen=True)
class Cookies:
    """Makes and reads cookies."""

    key: bytes
    secure: bool
    """Whether they are sent over TLS alone."""

    @classmethod
    def of(cls, settings: Settings, api: ApiSigner) -> Cookies:
        """Under a key that is derived from the API's, so that there is none besides to keep (RFC 5869)."""
        material = api.private_key.private_bytes_raw()
        key = HKDF(SHA256(), 32, salt=None, info=_INFO).derive(material)
        return cls(key, settings.effective_public_url.startswith("https:"))

    @property
    def name(self) -> str:
        """With TLS, a name that browsers bind to this host and to TLS (RFC 6265bis, 4.1.3.2)."""
        return "__Host-interlock" if self.secure else "interlock"

    def session(self, request: Request) -> str | None:
        """The session id in a request's cookie; None where there is none, or its signature does not hold."""
        try:
            return self._signer("session").unsign(request.cookies.get(self.name, "")).decode()
        except (BadSignature, UnicodeError):
            return None

    def keep(self, response: Response, session: str, *, seconds: int) -> None:
        """Give a browser its session."""
        value = self._signer("session").sign(session).decode()
        self.set(response, self.name, value, seconds)

    def forget(self, response: Response) -> None:
        """Have a browser drop it."""
        response.delete_cookie(self.name, path="/", secure=self.secure, httponly=True, samesite="lax")

    def set(self, response: Response, name: str, value: str, seconds: int) -> None:
        """Set any cookie of ours. Lax, so that a link in a message opens the page that it names."""
        response.set_cookie(
            name, value, max_age=seconds, path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def csrf(self, session: str) -> str:
        """What a form of this session carries: nobody who does not hold the session can make it."""
        return self._signer("csrf").get_signature(session).decode()

    def is_csrf(self, session: str, given: str) -> bool:
        """Whether `given` is that."""
        return hmac.compare_digest(self.csrf(session).encode(), given.encode())

    def serializer(self, purpose: str) -> URLSafeTimedSerializer:
        """For values that a browser keeps for us for a while."""
        return URLSafeTimedSerializer(self.key, salt=f"interlock.{purpose}")

    def _signer(self, purpose: str) -> Signer:
        return Signer(self.key, salt=f"interlock.{purpose}", key_derivation="hmac", digest_method=hashlib.sha256)
