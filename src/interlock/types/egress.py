"""What may leave a sandbox, and what did: rules of the way out, credentials that the way out adds, its record."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, StringConstraints

from interlock.types.closed import Closed
from interlock.types.names import Name

HOST_PATTERN: Final = r"^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
METHOD_PATTERN: Final = r"^[A-Z]{3,16}$"
PATH_PATTERN: Final = r"^/[!-~]*$"

HostName = Annotated[str, StringConstraints(pattern=HOST_PATTERN, max_length=253)]
"""A lower-case DNS name, `*.` before it for every name below (not the name itself)."""
Method = Annotated[str, StringConstraints(pattern=METHOD_PATTERN)]
PathGlob = Annotated[str, StringConstraints(pattern=PATH_PATTERN, max_length=1024)]
"""A path without query: `*` within one segment, `**` over any number of them."""


def _several(value: Any) -> Any:
    """One alone stands for a list of one; a list is taken for the tuple that it stands for."""
    return (value,) if isinstance(value, (str, dict)) else tuple(value) if isinstance(value, list) else value


def _rule(value: Any) -> Any:
    """A host alone may be read from by HTTPS."""
    return {"host": value} if isinstance(value, str) else value


Scheme = Literal["http", "https"]


class EgressRule(Closed):
    """One thing that a call may reach. A request passes if one rule fits it whole."""

    host: HostName
    port: int = Field(default=443, ge=1, le=65535)
    scheme: Scheme = "https"
    methods: Annotated[tuple[Method, ...], BeforeValidator(_several)] = ("GET", "HEAD")
    """HTTP methods; only reading unless a rule says more."""
    paths: Annotated[tuple[PathGlob, ...], BeforeValidator(_several)] = ("/**",)
    private: bool = False
    """Whether the name may lead to a private, loopback or link-local address: a service of your own network."""

    @property
    def text(self) -> str:
        """In one line: `GET HEAD https://api.example.org:443 /**`."""
        where = f"{self.scheme}://{self.host}:{self.port}{' (private)' if self.private else ''}"
        return f"{' '.join(self.methods)} {where} {' '.join(self.paths)}"


WrittenRule = Annotated[EgressRule, BeforeValidator(_rule, json_schema_input_type=str | EgressRule)]
"""A rule as people write it: whole, or its host alone."""
WrittenRules = Annotated[tuple[WrittenRule, ...], BeforeValidator(_several)]


class Credential(Closed):
    """A secret that the way out adds to an allowed request. The sandbox never sees it."""

    name: Name
    source: str
    """Where the executor reads it: `file:PATH`, `env:NAME`, `vault:PATH#FIELD`."""
    hosts: Annotated[tuple[HostName, ...], BeforeValidator(_several), Field(min_length=1)]
    """The only hosts that it is ever sent to; one may stand alone."""
    header: str = Field(default="Authorization", pattern=r"^[A-Za-z0-9-]{1,64}$")
    template: str = Field(default="Bearer {secret}", max_length=256)
    """The header's value; `{secret}` stands for the secret."""
    http: bool = False
    """Whether it may also be sent over plain HTTP."""


class WayOut(Closed):
    """All that one call may send out, and with what."""

    rules: tuple[EgressRule, ...] = Field(min_length=1)
    credentials: tuple[Credential, ...] = ()
    capture: bool = False
    """Record requests and send none of them: the effect preview."""


EgressVerdict = Literal["sent", "refused", "captured", "failed"]
"""sent: an answer came back. refused: no rule, or an address that must not be reached. captured: recorded and not
sent. failed: allowed and tried, and no answer came."""


LONGEST: Final = {"scheme": 16, "host": 255, "method": 32, "path": 512, "reason": 300}
"""Characters of a record's texts. All records of a call go through a workflow's history: at most 2 MB at once."""


class EgressRecord(Closed):
    """One request that a sandbox made, as the way out saw it."""

    attempt: int = Field(default=1, ge=1)
    """Which attempt at the call."""
    number: int = Field(ge=1)
    """Counts the requests of one attempt."""
    verdict: EgressVerdict
    scheme: str = Field(max_length=LONGEST["scheme"])
    host: str = Field(max_length=LONGEST["host"])
    port: int
    method: str = Field(max_length=LONGEST["method"])
    path: str = Field(max_length=LONGEST["path"])
    """Without the query, which may hold what nobody should read; the start of a longer one."""
    status: int = 0
    """HTTP status that came back; 0 where none did."""
    sent: int = 0
    """Bytes of the request's body."""
    received: int = 0
    """Bytes of the response's body."""
    credential: Name | Literal[""] = ""
    """Which credential was added."""
    reason: str = Field(default="", max_length=LONGEST["reason"])
    """Why it was refused or failed."""
    at: AwareDatetime

    @property
    def asked(self) -> str:
        """What was asked for, in one line: `GET https://api.example.org:443/issues`."""
        return f"{self.method} {self.scheme}://{self.host}:{self.port}{self.path}"
