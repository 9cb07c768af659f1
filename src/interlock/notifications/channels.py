"""`notifications.yaml`: who is told of what, and by which way."""

from __future__ import annotations

from email.headerregistry import Address
from ipaddress import ip_address
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from interlock.notifications.kinds import SUBSCRIBED
from interlock.types.closed import Closed
from interlock.types.names import Name

Format = Literal["standard", "slack", "teams", "discord"]
"""standard: signed JSON (standardwebhooks.com). The others: what an incoming webhook of that chat tool takes."""

UserName = Annotated[str, StringConstraints(pattern=r"^user:[a-z0-9][a-z0-9._@-]{0,127}$")]

EMAIL: Final = "email"
"""Name of the channel that is email; no webhook may have it."""


def _event(kind: str) -> str:
    if kind not in SUBSCRIBED:
        from interlock.definitions.placed import did_you_mean

        raise ValueError(f"{kind!r} is none of {', '.join(SUBSCRIBED)}{did_you_mean(kind, SUBSCRIBED)}")
    return kind


def _address(text: str) -> str:
    """One plain address: what could be read as a list, a name or another header is none."""
    try:
        read = Address(addr_spec=text)
    except Exception as error:  # the parser of the standard library raises whatever comes
        raise ValueError(f"{text!r} is no email address: NAME@HOST") from error
    if not text.isascii() or not text.isprintable() or " " in text or not read.domain or str(read) != text:
        raise ValueError(f"{text!r} is no plain email address: NAME@HOST")
    return text


EventKind = Annotated[str, AfterValidator(_event)]
EmailAddress = Annotated[str, StringConstraints(max_length=254), AfterValidator(_address)]
Events = Annotated[tuple[EventKind, ...], Field(min_length=1)]


class Webhook(Closed):
    """One address that gets a POST for each notification."""

    name: Name
    url: str = ""
    url_file: str = ""
    """File that holds the URL: that of a chat tool is a secret by itself. Relative to the project's root."""
    secret_file: str = ""
    """File that holds the signing secret, `whsec_…`. Relative to the project's root."""
    format: Format = "standard"
    events: Events = SUBSCRIBED
    private: bool = False
    """Whether it may be in a private network, or on this machine."""
    details: bool = False
    """Whether it also gets the sentence, the arguments and the reason. Whoever reads the channel reads them."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.name == EMAIL:
            raise ValueError(f"name: {EMAIL!r} is the section of that name; call it otherwise")
        if bool(self.url) == bool(self.url_file):
            raise ValueError("give either `url` or `url_file`")
        if self.url:
            check_url(self.url)
        if self.format == "standard" and not self.secret_file:
            raise ValueError("secret_file: is missing; without a signature a receiver believes anybody")
        if self.format != "standard" and self.secret_file:
            raise ValueError(f"secret_file: {self.format} checks no signature; leave it out, and use `url_file`")
        return self


class Email(Closed):
    """A mail server, and who has which address."""

    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
    port: int = Field(default=587, ge=1, le=65535)
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    user: str = ""
    password_file: str = ""
    """Relative to the project's root."""
    sender: EmailAddress = Field(alias="from")
    to: dict[UserName, EmailAddress]
    """Each person's address. Who is not here gets no email."""
    events: Events = SUBSCRIBED
    details: bool = False
    """As for a webhook."""
    hourly: int = Field(default=60, ge=1, le=10_000)
    """Most emails to one person within an hour; what is more waits. Who gets a thousand reads none of them, and an
    agent could want that."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if bool(self.user) != bool(self.password_file):
            raise ValueError("give both `user` and `password_file`, or neither")
        if self.tls == "none" and not is_loopback(self.host):
            raise ValueError("tls: `none` is for a server on this machine only: use `starttls` or `implicit`")
        return self


class Channels(Closed):
    """The whole file."""

    webhooks: tuple[Webhook, ...] = ()
    email: Email | None = None

    @model_validator(mode="after")
    def _unique(self) -> Self:
        names = [hook.name for hook in self.webhooks]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"webhooks: two are called {name!r}")
        return self

    def webhook(self, name: str) -> Webhook | None:
        """The webhook of this name, if there is one."""
        return next((hook for hook in self.webhooks if hook.name == name), None)


def check_url(url: str) -> None:
    """Raises ValueError unless `url` is https, or http to this machine, without credentials or fragment."""
    parts = urlsplit(url)
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("url: has characters that a URL does not have")
    try:
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValueError(f"url: {error}") from error
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("url: write https://HOST/PATH, without user, password or fragment")
    if parts.scheme == "http" and is_loopback(host):
        return
    if parts.scheme != "https":
        raise ValueError("url: must be https; http is for this machine only")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its very name."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
