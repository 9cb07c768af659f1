"""The policies that a command names: a folder, a git revision, or a bundle that was in force."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from tarfile import TarFile, TarInfo

    from interlock.policy import Bundle
    from interlock.settings import Settings

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_REVISION: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@{}^~-]{0,199}")
_GIT: Final = "git:"


def bundle_named(own: Settings, name: str) -> Bundle:
    """The policy of this name.

    Raises:
        InvalidInput: no such folder, revision or bundle on record.
        PolicyError: its files do not load, or it is of other semantics than this engine's.
        LedgerUnavailable: the record cannot be read.
    """
    from interlock.policy import Bundle, load_bundle

    if _DIGEST.fullmatch(name):
        from interlock.cli.session import opened

        with opened(own) as (_, blobs):
            return Bundle.from_bytes(blobs.get(name))
    if name.startswith(_GIT):
        return _of_revision(own, name.removeprefix(_GIT))
    if not Path(name).is_dir():
        raise InvalidInput(
            f"{name!r} is no folder", next_step="name a folder, git:REV, or sha256:… of a bundle that was in force"
        )
    return load_bundle(Path(name))


def _of_revision(own: Settings, revision: str) -> Bundle:
    """permissions/ as git has it at a revision, unpacked where nothing else is."""
    import io
    import subprocess
    import tarfile
    import tempfile

    from interlock.policy import load_bundle

    if not _REVISION.fullmatch(revision):
        raise InvalidInput(f"git:{revision}: not a revision's name", next_step="git:HEAD, git:main, git:HEAD~3")
    done = subprocess.run(
        ["git", "archive", "--format=tar", f"{revision}:./permissions"],
        cwd=own.root,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise InvalidInput(
            f"git:{revision}: {said[-1] if said else 'git failed'}", next_step="git log permissions/"
        )
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for member in archive:
            _unpack(archive, member, Path(scratch, "permissions"))
        return load_bundle(Path(scratch, "permissions"))


def _unpack(archive: TarFile, member: TarInfo, folder: Path) -> None:
    """Write one file; git gives no path that leaves the folder, and links are refused rather than followed."""
    data = archive.extractfile(member) if member.isfile() else None
    place = folder / member.name
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
    elif data is None or ".." in place.parts:
        raise InvalidInput(f"permissions/{member.name} is a link: not read", next_step="put the file itself there")
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data.read())
