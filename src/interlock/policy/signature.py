"""Signed bundles: a statement by the policy's key about which bundle was released, and as which one in the row.

The statement names the bundle's digest, and that covers every file. So it does not matter who carries the files,
and a set of files that is half old and half new is refused. Its serial number only ever grows: an older bundle
that was signed once cannot be put back.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol

from pydantic import AwareDatetime, Field, StringConstraints, ValidationError

from interlock.errors import PolicyError, TokenRejected, Unreachable
from interlock.policy.loader import SIGNATURE
from interlock.settings import Settings
from interlock.signing import Signer, Verifier, load_verifier
from interlock.types.closed import Closed
from interlock.types.names import Digest

TYP: Final = "interlock-policy"
MAX_SERIAL: Final = 2**53 - 1
_MAX_BYTES: Final = 16 * 1024
_SIGN: Final = "interlock policy sign"

Serial = Annotated[int, Field(strict=True, ge=1, le=MAX_SERIAL)]


class Release(Closed):
    """What the policy's key states about a bundle."""

    bundle: Digest
    """Digest of the bundle's canonical bytes."""
    serial: Serial
    """Which release this is: larger than every one before."""
    signer: Annotated[str, StringConstraints(pattern=r"^user:[a-z0-9][a-z0-9._@-]{0,127}$")]
    """Who used the key, as they said themselves."""
    signed_at: AwareDatetime
    """When, by the signer's clock. Told to people; nothing depends on it."""
    iss: Literal["policy"] = "policy"


def sign_bundle(bundle: Digest, signer: Signer, *, serial: int, user: str, time: datetime) -> str:
    """The statement that releases a bundle.

    Raises:
        pydantic.ValidationError: the serial number or the user does not fit.
    """
    release = Release(bundle=bundle, serial=serial, signer=user, signed_at=time.astimezone(UTC))
    return signer.sign(TYP, release.model_dump(mode="json", exclude={"iss"}))


def read_release(statement: str, verifier: Verifier) -> Release:
    """What a statement says, if the policy's key signed it.

    Raises:
        PolicyError: the signature, kind or shape does not hold.
    """
    try:
        return Release.model_validate(verifier.verify(TYP, statement))
    except (TokenRejected, ValidationError) as error:
        wrong = error.reason if isinstance(error, TokenRejected) else "it is malformed"
        raise PolicyError(
            f"{SIGNATURE} is not signed by the policy's key: {wrong}", next_step=f"{_SIGN}, with that key"
        ) from error


def read_statement(folder: Path) -> str:
    """The statement that lies beside the policy files; empty if there is none.

    Raises:
        PolicyError: the file cannot be read, or is too large to be one.
    """
    try:
        with (folder / SIGNATURE).open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise PolicyError(f"{folder / SIGNATURE} cannot be read: {error.strerror}") from error
    if len(data) > _MAX_BYTES or not data.isascii():
        raise PolicyError(f"{folder / SIGNATURE} is no signature", next_step=_SIGN)
    return data.decode("ascii").strip()


def write_statement(folder: Path, statement: str) -> Path:
    """Put the statement beside the policy files, whole or not at all."""
    return _write(folder / SIGNATURE, statement + "\n")


class Releases(Protocol):
    """Remembers releases longer than a process lives: the ledger does."""

    def newest_release(self) -> tuple[int, Digest] | None:
        """Serial number and bundle of the newest release that ever was in force."""
        ...

    def remember_release(self, serial: int, bundle: Digest) -> None:
        """Note a release before it is in force."""
        ...


@dataclass
class SignedOnly:
    """The rule that only a signed bundle comes into force, and never an older one.

    Attributes:
        verifier: of the policy's key. Read once: another key needs a new process.
        releases: remembers the newest release beyond this process, where there is a place for it.
        newest: the newest release that this process knows.
    """

    verifier: Verifier
    releases: Releases | None = None
    newest: tuple[int, Digest] | None = field(default=None, init=False)

    def check(self, folder: Path, bundle: Digest) -> Release:
        """The release that the folder's signature makes of this bundle.

        Raises:
            PolicyError: it is unsigned, signed by another key, or for another bundle; or there is a newer release.
        """
        statement = read_statement(folder)
        if not statement:
            raise PolicyError(f"the policy in {folder} is not signed: {SIGNATURE} is missing", next_step=_SIGN)
        release = read_release(statement, self.verifier)
        if release.bundle != bundle:
            raise PolicyError(
                f"{folder / SIGNATURE} is for bundle {release.bundle[:19]}, the files are {bundle[:19]}",
                next_step=f"review the files, then {_SIGN}",
            )
        for serial, known in self._known():
            if (release.serial, release.bundle) != (serial, known) and release.serial <= serial:
                raise PolicyError(
                    f"{folder / SIGNATURE} is release {release.serial}; release {serial} was in force already",
                    next_step=f"to go back to these files: {_SIGN} --serial {serial + 1}",
                )
        return release

    def accept(self, release: Release) -> None:
        """Take note of a checked release, before it is in force.

        Raises:
            InterlockError: it cannot be remembered, so it must not come into force.
        """
        if self.releases is not None:
            self.releases.remember_release(release.serial, release.bundle)
        self.newest = (release.serial, release.bundle)

    def _known(self) -> list[tuple[int, Digest]]:
        remembered = self.releases.newest_release() if self.releases is not None else None
        return [known for known in (self.newest, remembered) if known is not None]


def signed_only(settings: Settings, releases: Releases | None = None) -> SignedOnly | None:
    """What the settings demand of a bundle; None if an unsigned one will do.

    Raises:
        Unreachable: signed bundles are demanded, and the policy's public key cannot be read.
        InvalidInput: that file is no public key.
    """
    path = settings.keys_folder / "policy.pub"
    if not (settings.policy_signed or os.path.lexists(path)):
        return None
    try:
        return SignedOnly(load_verifier(settings.keys_folder, "policy"), releases)
    except Unreachable as error:
        raise Unreachable(
            f"only a signed policy may be in force, and its public key {path} cannot be read",
            next_step="put policy.pub there; whoever releases policies has it, or makes it with "
            "interlock keys create --role policy",
        ) from error


def next_serial(folder: Path, signer: Signer) -> int:
    """The serial number after that of the folder's statement; 1 if there is none by this key."""
    try:
        return read_release(read_statement(folder), Verifier("policy", signer.private_key.public_key())).serial + 1
    except PolicyError:
        return 1


def _write(path: Path, text: str) -> Path:
    """Replace a file at one stroke, so that no reader sees half of it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
            os.fchmod(descriptor, 0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path
