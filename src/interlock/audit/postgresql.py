"""PostgreSQL through pg8000: its connections, their time limits and TLS, and what the server's errors mean."""

from __future__ import annotations

import ssl
from typing import Final

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL

from interlock.errors import InvalidInput

STATEMENT_S: Final = 60
LOCK_S: Final = 30
ANSWER_S: Final = STATEMENT_S + 5
OPTIONS: Final = ("sslmode", "sslrootcert")
"""What may follow the `?` of a URL; both mean what they mean to libpq."""
SSL_MODES: Final = ("disable", "prefer", "require", "verify-ca", "verify-full")
_CONSTRAINT: Final = "23"
"""SQLSTATE class of violated constraints. pg8000 has one exception for all that the server refuses."""


def check_options(url: URL) -> None:
    """Refuse what would else be ignored, or be an argument of the driver.

    Raises:
        InvalidInput: an unknown option or mode, or a certificate that is not used or cannot be read.
    """
    if unknown := sorted(set(url.query) - set(OPTIONS)):
        raise InvalidInput(f"option {unknown[0]!r} is not known", next_step=f"known: {', '.join(OPTIONS)}")
    mode = url.query.get("sslmode", "prefer")
    if mode not in SSL_MODES:
        raise InvalidInput(f"sslmode={mode!r} is not known", next_step=f"known: {', '.join(SSL_MODES)}")
    if "sslrootcert" in url.query and mode not in ("verify-ca", "verify-full"):
        raise InvalidInput("sslrootcert is used by sslmode=verify-ca and verify-full alone")
    try:
        tls(url)
    except OSError as error:  # ssl.SSLError is one
        raise InvalidInput(f"sslrootcert {url.query['sslrootcert']!r} cannot be read: {error}") from error


def tls(url: URL) -> ssl.SSLContext | bool | None:
    """What pg8000 takes: False for none, None where the server may choose, else what to check."""
    mode = url.query.get("sslmode", "prefer")
    if mode in ("disable", "prefer", "require"):
        return {"disable": False, "prefer": None, "require": True}[mode]
    certificate = url.query.get("sslrootcert")
    context = ssl.create_default_context(cafile=str(certificate) if certificate else None)
    context.check_hostname = mode == "verify-full"
    return context


def connected_engine(url: URL, *, name: str, read_only: bool) -> Engine:
    """An engine whose connections are named, limited in time and, where asked, only read."""
    startup = {
        "statement_timeout": f"{STATEMENT_S}s",
        "lock_timeout": f"{LOCK_S}s",
        "default_transaction_read_only": "on" if read_only else "off",
    }
    # One limit of the driver's for connecting and for each answer: a little longer than the server's own.
    arguments = {"application_name": name, "startup_params": startup, "ssl_context": tls(url), "timeout": ANSWER_S}
    return create_engine(
        url.set(query={}),
        connect_args=arguments,
        pool_size=8,
        max_overflow=24,
        pool_pre_ping=True,
        hide_parameters=True,
    )


def said(error: BaseException) -> str:
    """The server's own words, or the driver's."""
    fields = _fields(error)
    return str(fields.get("M") or error)


def violates_constraint(error: BaseException | None) -> bool:
    """Whether the server refused a row that a constraint forbids."""
    return str(_fields(error).get("C", "")).startswith(_CONSTRAINT)


def _fields(error: BaseException | None) -> dict[str, str]:
    told = error.args[0] if error is not None and error.args else None
    return told if isinstance(told, dict) else {}
