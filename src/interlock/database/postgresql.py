"""PostgreSQL through pg8000: its connections, their time limits and TLS, and what the server's errors mean."""

from __future__ import annotations

import socket
import ssl
from typing import Any, Final

from pg8000 import dbapi
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL

from interlock.errors import InvalidInput

CONNECT_S: Final = 5
STATEMENT_S: Final = 60
LOCK_S: Final = 30
ANSWER_S: Final = STATEMENT_S + 5
OPTIONS: Final = ("sslmode", "sslrootcert")
"""What may follow the `?` of a URL; both mean what they mean to libpq."""
SSL_MODES: Final = ("disable", "prefer", "require", "verify-ca", "verify-full")
_CONSTRAINT: Final = "23"
"""SQLSTATE class of violated constraints. pg8000 has one exception for all that the server refuses."""


def check_options(url: URL, setting: str) -> None:
    """Refuse options that would be ignored: whoever asked for TLS must not go without it.

    Raises:
        InvalidInput: an unknown or repeated option, an unknown mode, or a certificate that is not used or cannot
            be read; the message names `setting`.
    """
    for name, value in url.query.items():
        if name not in OPTIONS or not isinstance(value, str):
            reason = "is given twice" if name in OPTIONS else "is not known"
            raise InvalidInput(f"{setting}: option {name!r} {reason}", next_step=f"known: {', '.join(OPTIONS)}")
    mode = _mode(url)
    if mode not in SSL_MODES:
        raise InvalidInput(f"{setting}: sslmode={mode!r} is not known", next_step=f"known: {', '.join(SSL_MODES)}")
    if "sslrootcert" in url.query and not mode.startswith("verify-"):
        raise InvalidInput(f"{setting}: sslrootcert is used by sslmode=verify-ca and verify-full alone")
    try:
        tls(url)
    except OSError as error:  # ssl.SSLError is one
        file = url.query.get("sslrootcert")
        raise InvalidInput(f"{setting}: sslrootcert {file!r} cannot be read: {error}") from error


def _mode(url: URL) -> str:
    return str(url.query.get("sslmode", "prefer"))


def tls(url: URL) -> ssl.SSLContext | bool | None:
    """What pg8000 takes: False for none, None where the server may choose, else what to check."""
    mode = _mode(url)
    if mode in ("disable", "prefer", "require"):
        return {"disable": False, "prefer": None, "require": True}[mode]
    certificate = url.query.get("sslrootcert")
    context = ssl.create_default_context(cafile=str(certificate) if certificate else None)
    context.check_hostname = mode != "verify-ca"
    return context


def connected_engine(url: URL, *, name: str, read_only: bool) -> Engine:
    """An engine whose connections are named, limited in time and, where asked, only read."""
    startup = {
        "statement_timeout": f"{STATEMENT_S}s",
        "lock_timeout": f"{LOCK_S}s",
        "default_transaction_read_only": "on" if read_only else "off",
    }
    engine = create_engine(
        url.set(query={}),
        module=dbapi,
        connect_args={"application_name": name, "startup_params": startup, "ssl_context": tls(url)},
        pool_size=8,
        max_overflow=24,
        pool_pre_ping=True,
        hide_parameters=True,
    )

    @event.listens_for(engine, "do_connect")
    def _give_socket(_dialect: object, _record: object, _arguments: object, given: dict[str, Any]) -> None:
        given["sock"] = _connected(given["host"], given.get("port", 5432))

    return engine


def _connected(host: str, port: int) -> socket.socket:
    """A socket with two limits, where pg8000 has one for both: a short one for the connection, and for each
    answer one that is a little longer than the server's own."""
    try:
        found = socket.create_connection((host, port), CONNECT_S)
    except OSError as error:
        raise dbapi.InterfaceError(f"no connection to {host}:{port}: {error}") from error
    found.settimeout(ANSWER_S)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return found


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
