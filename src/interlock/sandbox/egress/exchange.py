"""One request: checked on its own, put on record, sent as it was checked, answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import anyio
import h11
import httpcore2
from anyio import to_thread
from pydantic import SecretStr

from interlock.errors import InterlockError, Refused, Unreachable
from interlock.network import permitted
from interlock.sandbox.egress.client import Client, ConnectionOver
from interlock.sandbox.egress.credentials import chosen
from interlock.sandbox.egress.headers import (
    Headers,
    check_length,
    compressed,
    plain_name,
    request_headers,
    response_headers,
    with_own,
    without,
)
from interlock.sandbox.egress.journal import Asked, Entry
from interlock.sandbox.egress.matching import fitting
from interlock.sandbox.egress.scrubber import Scrubber
from interlock.sandbox.egress.target import Authority, Target, read_target
from interlock.types.egress import Credential, EgressVerdict

if TYPE_CHECKING:
    from interlock.sandbox.egress.way import Way

_NEVER: Final = ("CONNECT", "TRACE", "TRACK")
_CAPTURED: Final = {
    "captured": "this request was recorded and not sent: the call is a preview of its effects",
    "next_step": "nothing is to be done; its answer is not known",
}


@dataclass(frozen=True)
class Plan:
    """A request that may go out."""

    target: Target
    headers: Headers = field(repr=False)
    addresses: tuple[str, ...]
    credential: Credential | None


class Exchange:
    """One request and its answer."""

    def __init__(self, way: Way, client: Client, request: h11.Request, tunnel: Authority | None) -> None:
        self._way, self._client, self._request, self._tunnel = way, client, request, tunnel
        self._method = request.method.decode("ascii")
        self._asked = Asked(self._method, tunnel)
        self._sent = self._received = self._status = 0
        self._answering = False

    async def run(self) -> None:
        """Answer the request, whatever comes of it.

        Raises:
            ConnectionOver: its answer broke off, so nothing can follow on this connection.
        """
        try:
            plan = await self._planned()
        except Refused as refusal:
            await self._refuse(refusal)
        except Unreachable as failure:
            await self._tell(HTTPStatus.BAD_GATEWAY, failure, await self._noted("failed", failure))
        else:
            await self._carry_out(plan)

    async def _planned(self) -> Plan:
        way = self._way
        target = read_target(self._request.target.decode("ascii"), self._tunnel)
        self._asked.takes(target)
        headers = request_headers(list(self._request.headers.raw_items()), target)
        if self._method in _NEVER:
            raise Refused(f"{self._method} is never allowed")
        rules = fitting(way.rules, target, self._method)
        check_length(headers, way.caps.request_bytes)
        credential = chosen(way.credentials, target)
        if way.capture:
            return Plan(target, headers, (), credential)
        private = any(rule.private for rule in rules)
        async with way.lookups:
            addresses = await permitted(
                way.resolver, target.host, target.port, private=private, timeout_s=way.caps.connect_s
            )
        return Plan(target, await self._with_secret(headers, credential), addresses, credential)

    async def _with_secret(self, headers: Headers, credential: Credential | None) -> Headers:
        """The request as it goes out. Where secrets are about, answers come whole and uncompressed."""
        if self._way.credentials:
            headers = without(headers, "range", "if-range")
            headers = with_own(headers, "Accept-Encoding", "identity")
        if credential is None:
            return headers
        secret = (await self._secret(credential)).get_secret_value()
        value = credential.template.replace("{secret}", secret)
        self._way.guard.learn(secret, value)
        return with_own(headers, credential.header, value)

    async def _secret(self, credential: Credential) -> SecretStr:
        if kept := self._way.secrets.kept(credential):
            return kept
        async with self._way.lookups:
            return await to_thread.run_sync(self._way.secrets.read, credential, abandon_on_cancel=True)

    async def _refuse(self, refusal: Refused) -> None:
        await self._tell(HTTPStatus.FORBIDDEN, refusal, await self._noted("refused", refusal))

    async def _noted(self, verdict: EgressVerdict, why: InterlockError) -> InterlockError | None:
        """Put it on record; why it could not be."""
        try:
            await self._way.journal.note(self._asked, verdict, reason=self._way.guard.text(why.reason))
        except Refused as refusal:
            return refusal
        return None

    async def _tell(self, status: HTTPStatus, why: InterlockError, instead: InterlockError | None = None) -> None:
        why, kind = instead or why, "refused" if status == HTTPStatus.FORBIDDEN else "failed"
        content = {kind: self._way.guard.text(why.reason), "next_step": why.next_step}
        await self._client.answer(status, content, head=self._method == "HEAD")

    async def _carry_out(self, plan: Plan) -> None:
        name = plan.credential.name if plan.credential else ""
        try:
            entry = await self._way.journal.note(
                self._asked, "captured" if self._way.capture else "sent", credential=name
            )
        except Refused as refusal:
            await self._tell(HTTPStatus.FORBIDDEN, refusal)
            return
        try:
            await (self._capture() if self._way.capture else self._send(plan))
        except Unreachable as failure:
            self._fails(entry, failure.reason)
            if self._answering:
                raise ConnectionOver from failure
            await self._tell(HTTPStatus.BAD_GATEWAY, failure)
        except anyio.get_cancelled_exc_class():
            self._fails(entry, "the call ended first")
            raise
        except Exception as error:
            self._fails(entry, f"the connection to the sandbox broke off ({type(error).__name__})")
            raise ConnectionOver from error
        else:
            entry.becomes(status=self._status, sent=self._sent, received=self._received)

    def _fails(self, entry: Entry, reason: str) -> None:
        told = {"status": self._status, "sent": self._sent, "received": self._received}
        entry.becomes(verdict="failed", reason=self._way.guard.text(reason), **told)

    async def _capture(self) -> None:
        async for _ in self._body():
            pass
        await self._client.answer(HTTPStatus.ACCEPTED, _CAPTURED, head=self._method == "HEAD")

    async def _body(self) -> AsyncIterator[bytes]:
        """The request's body, counted."""
        async for piece in self._client.body():
            self._sent += len(piece)
            if self._sent > self._way.caps.request_bytes:
                raise Unreachable(f"the body has more than {self._way.caps.request_bytes} bytes, which is the most")
            yield piece

    async def _send(self, plan: Plan) -> None:
        framed = {plain_name(name) for name, _ in plan.headers} & {"content-length", "transfer-encoding"}
        if not framed:
            # No body: what is left to read is its end.
            async for _ in self._body():
                pass
        content = self._body() if framed else None
        given = (self._method, plan.target, plan.addresses, plan.headers, content)
        async with self._way.upstream.send(*given) as response:
            await self._return(response)

    async def _return(self, response: httpcore2.Response) -> None:
        guard = self._way.guard
        self._status = response.status
        if response.status < HTTPStatus.OK:
            raise Unreachable("the server switched to another protocol, unasked")
        if guard and compressed(response.headers):
            raise Unreachable("the answer is compressed, unasked, so no secret can be kept from coming back in it")
        kept = response_headers(response.headers)
        headers = [(guard.scrub(name), guard.scrub(value)) for name, value in kept]
        self._answering = True
        await self._client.begin(response.status, headers)
        scrubber = Scrubber(guard)
        async for piece in response.aiter_stream():
            self._received += len(piece)
            if self._received > self._way.caps.response_bytes:
                raise Unreachable(f"the answer has more than {self._way.caps.response_bytes} bytes")
            await self._client.piece(scrubber.feed(piece))
        await self._client.piece(scrubber.end())
        await self._client.end()
