"""Signing in through an identity provider: OpenID Connect, the authorization code flow, with PKCE (RFC 7636).

Authlib speaks the protocol. What is ours: that the provider is the one that the settings name, that only signatures
by public keys count, and whom its answer means to the policy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from itsdangerous import BadSignature
from joserfc.errors import JoseError

from interlock.api.cookies import Cookies
from interlock.errors import InvalidInput, Refused, TokenRejected, Unreachable
from interlock.settings import Settings
from interlock.types.names import SUBJECT_PATTERN

START: Final = "/sign-in/oidc"
CALLBACK: Final = "/sign-in/oidc/callback"
FLOW_S: Final = 600
"""A sign-in that takes longer starts anew."""
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by public keys: neither `none` nor one that a client's secret would make."""
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_AGAIN: Final = "sign in again"


@dataclass
class IdentityProvider:
    """The provider that the settings name."""

    settings: Settings
    cookies: Cookies
    _client: Any = field(init=False)

    def __post_init__(self) -> None:
        """Raises InvalidInput where the settings do not fit."""
        own = self.settings
        parts = urlsplit(own.oidc_issuer)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise InvalidInput(f"oidc_issuer: {own.oidc_issuer!r} is not https", next_step="correct oidc_issuer")
        if not own.oidc_client_id:
            raise InvalidInput("oidc_client_id: empty", next_step="register this server with the provider")
        self._client = OAuth().register(
            "interlock",
            client_id=own.oidc_client_id,
            client_secret=_secret(own),
            server_metadata_url=own.oidc_issuer.rstrip("/") + "/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid profile email",
                "code_challenge_method": "S256",
                "timeout": 10.0,
                **({} if own.oidc_client_secret_file else {"token_endpoint_auth_method": "none"}),
            },
        )

    async def start(self, request: Request, next_: str) -> Response:
        """Send a browser to the provider; what the answer must match, it keeps in a signed cookie.

        Raises:
            Unreachable: the provider does not answer, or is another than the settings name.
        """
        request.scope["session"] = flow = {"next": next_}
        try:
            await self._check_provider()
            callback = self.settings.effective_public_url + CALLBACK
            answer: RedirectResponse = await self._client.authorize_redirect(request, callback)
        except (httpx.HTTPError, AuthlibBaseError, RuntimeError, ValueError) as error:
            raise self._unreachable(error) from error
        self.cookies.set(answer, self._cookie, str(self.cookies.serializer("oidc").dumps(flow)), FLOW_S)
        return answer

    async def finish(self, request: Request) -> tuple[str, str]:
        """The person of the provider's answer, and where they wanted to go.

        Raises:
            TokenRejected: the answer is to no question of this browser, or does not hold.
            Refused: it names nobody.
            Unreachable: the provider does not answer.
        """
        flow = self._flow(request)
        try:
            metadata = await self._check_provider()
            self._check_issuer(request, metadata)
            token = await self._client.authorize_access_token(
                request,
                claims_options={
                    "iss": {"essential": True, "values": [self.settings.oidc_issuer]},
                    "aud": {"essential": True, "values": [self.settings.oidc_client_id]},
                    "nonce": {"essential": True},
                },
            )
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        except (AuthlibBaseError, JoseError, RuntimeError, ValueError, KeyError, TypeError) as error:
            said = f"the identity provider's answer does not hold: {_said(error)}"
            raise TokenRejected(said, next_step=_AGAIN) from error
        claims = token.get("userinfo")
        if not claims:
            raise TokenRejected("the identity provider gave no ID token", next_step="does it do OpenID Connect?")
        return self._person(claims), str(flow.get("next", "/"))

    def forget(self, answer: Response) -> None:
        """Have the browser drop what it kept for the answer."""
        secure = self.cookies.secure
        answer.delete_cookie(self._cookie, path="/", secure=secure, httponly=True, samesite="lax")

    @property
    def _cookie(self) -> str:
        return f"{self.cookies.name}-oidc"

    def _flow(self, request: Request) -> dict[str, Any]:
        kept = request.cookies.get(self._cookie, "")
        try:
            flow: dict[str, Any] = self.cookies.serializer("oidc").loads(kept, max_age=FLOW_S)
        except BadSignature as error:
            said = "this browser did not begin this sign-in here, or it took too long"
            raise TokenRejected(said, next_step=_AGAIN) from error
        request.scope["session"] = flow
        return flow

    async def _check_provider(self) -> dict[str, Any]:
        metadata: dict[str, Any] = await self._client.load_server_metadata()
        issuer = metadata.get("issuer")
        if issuer != self.settings.oidc_issuer:
            raise ValueError(f"it says that it is {issuer!r}")
        told = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [one for one in told if one in ALGORITHMS] or ["RS256"]
        return metadata

    def _check_issuer(self, request: Request, metadata: dict[str, Any]) -> None:
        """RFC 9207: an answer of another provider is not taken for this one's."""
        named = request.query_params.get("iss")
        wanted = metadata.get("authorization_response_iss_parameter_supported") is True
        if (named is not None or wanted) and named != self.settings.oidc_issuer:
            raise ValueError(f"it is of issuer {named!r}")

    def _person(self, claims: dict[str, Any]) -> str:
        claim = self.settings.oidc_claim
        name = claims.get(claim)
        if claim == "email" and claims.get("email_verified") is not True:
            raise Refused("the identity provider did not verify the email address", next_step="verify it there")
        person = f"user:{name}"
        if not isinstance(name, str) or not re.fullmatch(SUBJECT_PATTERN, person):
            raise Refused(
                f"the identity provider's claim {claim!r} names no person that a policy could know",
                next_step="set oidc_claim to a claim of lower-case names",
            )
        return person

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(
            f"the identity provider {self.settings.oidc_issuer} cannot be used: {_said(error)}",
            next_step="is oidc_issuer right, and does it answer from here?",
        )


def _said(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0][:300]


def _secret(settings: Settings) -> str | None:
    if not settings.oidc_client_secret_file:
        return None
    path = Path(settings.root, settings.oidc_client_secret_file)
    try:
        return path.read_text().strip()
    except OSError as error:
        raise InvalidInput(f"oidc_client_secret_file: {str(path)!r} cannot be read: {error.strerror}") from error
