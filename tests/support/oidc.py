"""An OpenID provider as a process would be: HTTP on loopback, discovery, keys, codes that work once, PKCE checked.

It signs what a test tells it to sign, so that it can also be one that lies.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT, SECRET = "interlock-test", "a secret of the client"


@dataclass
class Provider:
    """The provider, and what it says."""

    issuer: str
    algorithm: str = "RS256"
    claims: dict[str, Any] = field(default_factory=dict)
    """What ID tokens say; None leaves a claim out."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What discovery says otherwise."""
    sign_with: Any = None
    """Another key than the published one."""
    give_id_token: bool = True
    answer: dict[str, str] = field(default_factory=dict)
    """More parameters of the redirect back."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    """Parameters of each request to /authorize."""

    def __post_init__(self) -> None:
        self.keys = {
            "RS256": RSAKey.generate_key(2048, {"kid": "rsa"}, private=True),
            "ES256": ECKey.generate_key("P-256", {"kid": "ec"}, private=True),
        }

    def reset(self) -> None:
        """Be honest again."""
        self.algorithm, self.sign_with, self.give_id_token = "RS256", None, True
        self.claims, self.metadata, self.answer = {}, {}, {}

    async def discovery(self, request: Request) -> Response:
        found = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"],
            "code_challenge_methods_supported": ["S256"],
        }
        return JSONResponse({**found, **self.metadata})

    async def jwks(self, request: Request) -> Response:
        return JSONResponse(KeySet(list(self.keys.values())).as_dict(private=False))

    async def authorize(self, request: Request) -> Response:
        """Whoever asks is signed in already, as `claims` says."""
        asked = dict(request.query_params)
        self.asked.append(asked)
        if asked.get("client_id") != CLIENT or asked.get("code_challenge_method") != "S256":
            return JSONResponse({"error": "invalid_request"}, 400)
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        answer = {"code": code, "state": asked["state"], **self.answer}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", 302)

    async def token(self, request: Request) -> Response:
        given = dict(parse_qsl((await request.body()).decode()))
        asked = self.codes.pop(given.get("code", ""), None)
        basic = base64.b64decode(request.headers.get("authorization", "Basic ").removeprefix("Basic ")).decode()
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or basic != f"{CLIENT}:{SECRET}"
            or given.get("redirect_uri") != asked["redirect_uri"]
            or challenge != asked["code_challenge"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        answer: dict[str, Any] = {"access_token": "at", "token_type": "Bearer", "expires_in": 60}
        if self.give_id_token:
            answer["id_token"] = self._id_token(asked)
        return JSONResponse(answer)

    def _id_token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "1234",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 60,
            "nonce": asked["nonce"],
            "preferred_username": "alice",
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.algorithm == "none":
            parts = [base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in _unsigned(claims)]
            return f"{parts[0]}.{parts[1]}."
        if self.algorithm == "HS256":
            return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET), algorithms=["HS256"])
        key = self.sign_with or self.keys[self.algorithm]
        header = {"alg": self.algorithm, "kid": self.keys[self.algorithm].kid}
        return jwt.encode(header, claims, key, algorithms=[self.algorithm])


def _unsigned(claims: dict[str, Any]) -> tuple[bytes, bytes]:
    import json

    return json.dumps({"alg": "none", "typ": "JWT"}).encode(), json.dumps(claims).encode()


@contextmanager
def provider() -> Iterator[Provider]:
    """Serve one until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    found = Provider(f"http://127.0.0.1:{listener.getsockname()[1]}")
    app = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", found.discovery),
            Route("/jwks", found.jwks),
            Route("/authorize", found.authorize),
            Route("/token", found.token, methods=["POST"]),
        ]
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
