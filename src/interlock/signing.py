"""Ed25519 keys of the roles, and signed statements as JSON Web Signatures (RFC 7515, RFC 8037).

The API's key says who a person is, the executor's what it ran, the ledger's which head a chain has; the policy's,
which a setup may have besides, says which bundle was released. A private key is read only by the process of its
role; everyone may read the public ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from interlock.errors import InvalidInput, TokenRejected, Unreachable

Role = Literal["api", "executor", "ledger", "policy"]
ALL_ROLES: Final[tuple[Role, ...]] = get_args(Role)
ROLES: Final[tuple[Role, ...]] = tuple(role for role in ALL_ROLES if role != "policy")
"""Roles whose keys every setup has. The policy's is made by whoever releases bundles, since its public key among
the others means that an unsigned policy is refused."""
ALGORITHM: Final = "EdDSA"
MAKE: Final = "interlock dev makes the keys of an embedded setup on its first start"


@dataclass(frozen=True)
class Signer:
    """Signs statements for one role."""

    role: Role
    private_key: Ed25519PrivateKey

    def sign(self, typ: str, claims: Mapping[str, Any]) -> str:
        """A compact JWS over `claims`; `typ` keeps one kind of statement from passing as another."""
        return jwt.encode({**claims, "iss": self.role}, self.private_key, ALGORITHM, headers={"typ": typ})


@dataclass(frozen=True)
class Verifier:
    """Checks statements of one role."""

    role: Role
    public_key: Ed25519PublicKey

    def verify(self, typ: str, token: str) -> dict[str, Any]:
        """The claims of `token`. Expiry is not checked here: callers compare `exp` with their own clock,
        which in a workflow is the workflow's.

        Raises:
            TokenRejected: not a JWS of this role and kind, or the signature does not hold.
        """
        try:
            header = jwt.get_unverified_header(token)
            claims: dict[str, Any] = jwt.decode(
                token,
                self.public_key,
                algorithms=[ALGORITHM],
                issuer=self.role,
                options={"verify_exp": False, "verify_iat": False, "verify_aud": False, "require": ["iss"]},
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise TokenRejected(f"{typ}: {error}") from error
        if header.get("typ") != typ:
            raise TokenRejected(f"a {header.get('typ')!r} statement was given where {typ!r} is needed")
        return claims


def unverified(token: str) -> dict[str, Any]:
    """The claims of a token whose signature was checked before, or is about to be."""
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError) as error:
        raise TokenRejected(f"not a signed statement: {error}") from error
    return claims


def kind_of(token: str) -> str:
    """Which kind of statement a token says that it is; its signature is checked when it is read as one."""
    try:
        return str(jwt.get_unverified_header(token).get("typ", ""))
    except (jwt.PyJWTError, ValueError) as error:
        raise TokenRejected(f"not a signed statement: {error}") from error


def create_keys(folder: Path, roles: tuple[Role, ...] = ROLES) -> list[Path]:
    """Make the key pairs that `folder` lacks; existing keys are never touched. Returns what was written."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = []
    for role in roles:
        private_path, public_path = folder / f"{role}.key", folder / f"{role}.pub"
        if private_path.exists() or public_path.exists():
            continue
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        descriptor = os.open(private_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(private)
        public_path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        written += [private_path, public_path]
    return written


def load_signer(folder: Path, role: Role, *, make: str = MAKE) -> Signer:
    """Read the private key of `role`; `make` says how it is made, if it is not there.

    Raises:
        Unreachable: the file is not there or may not be read.
        InvalidInput: it is not an Ed25519 key, or others may read it.
    """
    path = folder / f"{role}.key"
    data = _read(path, make)
    if path.stat().st_mode & 0o077:
        raise InvalidInput(f"{path}: other users may read this private key", next_step=f"chmod 600 {path}")
    key = load_pem_private_key(data, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInput(f"{path}: not an Ed25519 private key")
    return Signer(role, key)


def load_verifier(folder: Path, role: Role) -> Verifier:
    """Read the public key of `role`.

    Raises:
        Unreachable: the file is not there or may not be read.
        InvalidInput: it is not an Ed25519 key.
    """
    path = folder / f"{role}.pub"
    return Verifier(role, read_public_key(_read(path), source=str(path)))


def read_public_key(pem: bytes, *, source: str) -> Ed25519PublicKey:
    """An Ed25519 public key from PEM bytes.

    Raises:
        InvalidInput: it is none; the message names `source`.
    """
    try:
        key = load_pem_public_key(pem)
    except ValueError as error:
        raise InvalidInput(f"{source}: not a public key: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInput(f"{source}: not an Ed25519 public key")
    return key


def _read(path: Path, make: str = MAKE) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unreachable(
            f"key {path} cannot be read: {error.strerror}",
            next_step=make,
        ) from error
