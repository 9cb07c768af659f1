"""The API, called as the person of a token."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx2

from interlock.errors import InvalidInput, Refused, Unreachable

_TIMEOUT_S: Final = 60.0
_MOST: Final = 16 * 1024 * 1024
"""Bytes of an answer."""
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class ApiClient:
    """Calls `/v1`."""

    http: httpx2.AsyncClient

    @classmethod
    def opened(cls, url: str, token: str) -> ApiClient:
        """A client for the API at `url`.

        Raises:
            InvalidInput: the token would go out unencrypted, or is none.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise InvalidInput(
                f"the API's address {url!r} is not https, and the token would go there in the clear",
                next_step="give --url https://…, or set INTERLOCK_PUBLIC_URL",
            )
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise InvalidInput(
                "INTERLOCK_API_TOKEN holds no token", next_step="interlock accounts token new NAME --as user:NAME"
            )
        return cls(
            httpx2.AsyncClient(
                base_url=url,
                headers={"authorization": f"Bearer {token}", "accept": "application/json"},
                timeout=_TIMEOUT_S,
                # Wherever an answer or the environment points, the token goes to this address alone.
                follow_redirects=False,
                trust_env=False,
                verify=ssl.create_default_context(),
            )
        )

    async def get(self, *path: str, **query: Any) -> dict[str, Any]:
        """GET.

        Raises:
            Refused: the API says no; the message is its own.
            Unreachable: it does not answer, or not with JSON.
        """
        given = {name: value for name, value in query.items() if value not in ("", None)}
        return await self._asked("GET", path, params=given)

    async def post(self, *path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        """POST under an idempotency key; raises as `get`."""
        return await self._asked("POST", path, json=body, headers={"idempotency-key": key})

    async def _asked(self, method: str, path: tuple[str, ...], **options: Any) -> dict[str, Any]:
        where = "/v1/" + "/".join(quote(step, safe=":") for step in path)
        try:
            async with self.http.stream(method, where, **options) as response:
                data = bytearray()
                async for piece in response.aiter_bytes():
                    data += piece
                    if len(data) > _MOST:
                        raise Unreachable(f"the API's answer is longer than {_MOST} bytes")
        except httpx2.HTTPError as error:
            raise Unreachable(
                f"the API at {self.http.base_url} does not answer: {type(error).__name__}",
                next_step="interlock serve",
            ) from error
        body = _json(bytes(data))
        if response.status_code // 100 != 2:
            raise _refused(response.status_code, body)
        return body


def _json(data: bytes) -> dict[str, Any]:
    import json

    try:
        value = json.loads(data) if data else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Unreachable("what answers there is not Interlock's API", next_step="check --url")
    return value


def _refused(status: int, problem: dict[str, Any]) -> Refused:
    detail = str(problem.get("detail") or problem.get("title") or "no reason given")
    return Refused(f"{status}: {detail}", next_step=str(problem.get("next_step") or ""))
