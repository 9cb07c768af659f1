"""One POST to one webhook: signed, to an address that was judged, without following where it points.

Source: the Standard Webhooks specification, https://www.standardwebhooks.com.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import anyio
import httpcore2
from standardwebhooks import Webhook as Signature

from interlock.errors import InterlockError, Refused
from interlock.network import Pinned, Resolver, SystemResolver, permitted
from interlock.notifications.bodies import body
from interlock.notifications.channels import Webhook, check_url
from interlock.notifications.delivery import TIMEOUT_S, DeliveryFailed
from interlock.notifications.notification import Message
from interlock.notifications.secret_files import read_secret, read_signing_secrets

_MOST: Final = 64 * 1024
"""Bytes of an answer that are read; what more there is does not matter."""
_GONE: Final = 410
_Headers = dict[bytes | str, bytes | str]
# At this level the library logs headers.
for _name in ("httpcore2.http11", "httpcore2.connection"):
    logging.getLogger(_name).setLevel(logging.INFO)


@dataclass
class WebhookSender:
    """Posts messages."""

    root: Path
    """The project's folder: what the names of secret files begin at."""
    resolver: Resolver = field(default_factory=SystemResolver)
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    async def send(self, hook: Webhook, message: Message, *, now: datetime) -> None:
        """Post one message; any 2xx is taken.

        Raises:
            DeliveryFailed: it was not taken, and whether to try again. The answer's text is not repeated.
        """
        try:
            url = self._url(hook)
            content = body(hook.format, message)
            headers: _Headers = {
                "content-type": "application/json",
                "user-agent": "interlock",
                "accept": "*/*",
            }
            headers |= self._signed(hook, message.notification.event_id, content, now)
            with anyio.fail_after(TIMEOUT_S):
                status, after_s = await self._posted(hook, url, content, headers)
        except TimeoutError as error:
            raise DeliveryFailed(f"no answer within {TIMEOUT_S:.0f} s") from error
        except InterlockError as error:
            raise DeliveryFailed(error.reason, next_step=error.next_step) from error
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError, OSError) as error:
            # The text of a failed handshake says which name the certificate has; nothing else is in it.
            raise DeliveryFailed(f"the connection failed: {type(error).__name__} {str(error)[:200]}") from error
        if not 200 <= status < 300:
            raise _refused(status, after_s)

    def _url(self, hook: Webhook) -> str:
        url = hook.url or read_secret(self.root, hook.url_file)
        try:
            check_url(url)
        except ValueError as error:
            raise Refused(f"{hook.url_file}: {error}", next_step=f"correct {hook.url_file}") from error
        return url

    def _signed(self, hook: Webhook, event_id: str, content: bytes, now: datetime) -> _Headers:
        if not hook.secret_file:
            return {}
        keys = read_signing_secrets(self.root, hook.secret_file)
        # The time of this attempt: receivers refuse what was signed long ago.
        signed = [Signature(key).sign(msg_id=event_id, timestamp=now, data=content.decode("ascii")) for key in keys]
        stamp = str(int(now.timestamp()))
        return {"webhook-id": event_id, "webhook-timestamp": stamp, "webhook-signature": " ".join(signed)}

    async def _posted(self, hook: Webhook, url: str, content: bytes, headers: _Headers) -> tuple[int, float]:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        addresses = await permitted(self.resolver, host, port, private=hook.private, timeout_s=TIMEOUT_S)
        pool = httpcore2.AsyncConnectionPool(ssl_context=self.trust, network_backend=Pinned(addresses))
        async with pool, pool.stream("POST", url, headers=headers, content=content) as response:
            read = 0
            async for piece in response.aiter_stream():
                read += len(piece)
                if read > _MOST:
                    break
            return response.status, _after(response.headers)


def _after(headers: list[tuple[bytes, bytes]]) -> float:
    said = next((value for name, value in headers if name.lower() == b"retry-after"), b"")
    return float(said) if said.isdigit() and len(said) < 9 else 0.0


def _refused(status: int, after_s: float) -> DeliveryFailed:
    if 300 <= status < 400:
        return DeliveryFailed(f"it answered {status}; redirects are not followed", next_step="correct the URL")
    return DeliveryFailed(f"it answered {status}", final=status == _GONE, after_s=after_s)
