"""Secrets of channels: read when they are used, never kept, never said."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from interlock.errors import InvalidInput, Unreachable


def read_secret(root: Path, name: str) -> str:
    """What a file of the project holds, without the line's end.

    Raises:
        Unreachable: it cannot be read.
        InvalidInput: other users may read it, or it is empty or no text.
    """
    path = root / name
    try:
        data = path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        raise Unreachable(
            f"{name} cannot be read: {error.strerror}", next_step=f"write the secret to {path}"
        ) from error
    if mode & 0o077:
        raise InvalidInput(f"{name}: other users may read this secret", next_step=f"chmod 600 {path}")
    try:
        text = data.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name}: not ASCII text", next_step=f"write the secret to {path}") from error
    if not text:
        raise InvalidInput(f"{name}: is empty", next_step=f"write the secret to {path}")
    return text


def read_signing_secrets(root: Path, name: str) -> list[bytes]:
    """The keys of a Standard Webhook, each a line: `whsec_` and 24 to 64 bytes in base64. Two while one is
    replaced: a message is signed by each.

    Raises:
        Unreachable: the file cannot be read. InvalidInput: it holds no such key, or others may read it.
    """
    return [_signing_key(line, name) for line in read_secret(root, name).split()]


def _signing_key(text: str, name: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
        make = "printf 'whsec_%s\\n' \"$(openssl rand -base64 32)\""
        raise InvalidInput(
            f"{name}: not a secret of a Standard Webhook: `whsec_` and 24 to 64 bytes in base64",
            next_step=f"{make} > {name}",
        )
    return key
