"""One email to one person: what happened, in names and ids, and the link. No decision is taken from an email."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import aiosmtplib
import anyio
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from interlock.digest import digest_bytes
from interlock.errors import InterlockError
from interlock.notifications.channels import Email
from interlock.notifications.delivery import TIMEOUT_S, DeliveryFailed
from interlock.notifications.notification import Message
from interlock.notifications.secret_files import read_secret

_REJECTED: Final = range(500, 600)
_CREDENTIALS: Final = (530, 534, 535, 538)
"""Answers that a corrected file mends."""


@dataclass
class MailSender:
    """Sends messages through one mail server."""

    root: Path
    """The project's folder: what the names of secret files begin at."""
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    async def send(self, email: Email, person: str, message: Message, *, now: datetime) -> None:
        """Send one message to one person.

        Raises:
            DeliveryFailed: the server did not take it, and whether to try again.
        """
        address = email.to.get(person)
        if address is None:
            raise DeliveryFailed(f"{person} has no address any more", final=True, next_step="email.to")
        try:
            made = written(email, address, message, now=now)
            given: dict[str, Any] = {
                "hostname": email.host,
                "port": email.port,
                "timeout": TIMEOUT_S,
                "use_tls": email.tls == "implicit",
                # Never by chance: with None the library would go on in the clear where the server offers no TLS.
                "start_tls": email.tls == "starttls",
                "tls_context": self.trust if email.tls != "none" else None,
            }
            if email.user:
                given |= {"username": email.user, "password": read_secret(self.root, email.password_file)}
            with anyio.fail_after(TIMEOUT_S):
                await aiosmtplib.send(made, sender=email.sender, recipients=[address], **given)
        except TimeoutError as error:
            raise DeliveryFailed(f"no answer from {email.host} within {TIMEOUT_S:.0f} s") from error
        except InterlockError as error:
            raise DeliveryFailed(error.reason, next_step=error.next_step) from error
        except aiosmtplib.SMTPException as error:
            raise _failed(error) from error
        except OSError as error:
            raise DeliveryFailed(f"{email.host} cannot be reached: {type(error).__name__}") from error


def written(email: Email, address: str, message: Message, *, now: datetime) -> EmailMessage:
    """The email. Its headers cannot be continued by what is in the message: the library refuses line ends there."""
    told = message.notification
    made = EmailMessage()
    made["From"] = Address("Interlock", addr_spec=email.sender)
    made["To"] = Address(addr_spec=address)
    made["Subject"] = f"[Interlock] {_one_line(told.headline)}"
    made["Date"] = format_datetime(now)
    # The same for each attempt, so that a mailbox which got it twice shows it once.
    made["Message-ID"] = f"<{told.event_id}.{digest_bytes(address.encode())[7:23]}@interlock.invalid>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    values = {"told": told, "link": message.link, "details": message.details}
    made.set_content(_templates().get_template("email.txt.j2").render(values))
    made.add_alternative(_templates().get_template("email.html.j2").render(values), subtype="html")
    return made


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)[
        :200
    ]


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("interlock.notifications", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _failed(error: aiosmtplib.SMTPException) -> DeliveryFailed:
    """Only codes are repeated: a server's text may hold what was sent to it."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        codes = [one.code for one in error.recipients]
        final = all(code in _REJECTED for code in codes)
        return DeliveryFailed(f"the mail server refused the recipient ({', '.join(map(str, codes))})", final=final)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        final = error.code in _REJECTED and error.code not in _CREDENTIALS
        return DeliveryFailed(f"the mail server refused it ({error.code})", final=final)
    return DeliveryFailed(f"the mail server did not take it: {type(error).__name__}")
