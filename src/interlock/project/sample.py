"""Real work for agent `fixer`: the workspace of a released package with a known bug.

A sample is a folder with `source.json` (package, version, digest), `issue.md` and a regression test. None of the
package's code is kept: it is downloaded, and refused where its digest is another.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import Final

from pydantic import Field, ValidationError

from interlock.errors import Conflict, IntegrityError, InvalidInput, Unreachable
from interlock.types.closed import Closed

REGRESSION_TEST: Final = "regression_test.py"
LARGEST_SDIST: Final = 2 * 1024 * 1024
_WHEN: Final = "2024-01-01T00:00:00Z"
_DOWNLOAD_S: Final = 120


class Source(Closed):
    """`source.json`: which released source distribution has the bug."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = Field(pattern=r"^[0-9][0-9A-Za-z.!+_-]*$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    test: str = Field(pattern=r"^[A-Za-z0-9_./-]+\.py$")
    """Where the regression test goes in the source tree."""


def prepare_sample(folder: Path, into: Path, cache: Path) -> Source:
    """Make the workspace of a sample: `into/source`, and `into/origin.git` that it came from.

    Args:
        folder: the sample.
        into: the workspace folder to make; it must be absent or empty.
        cache: keeps the downloaded source distribution.

    Raises:
        InvalidInput: the sample is not well formed.
        Conflict: `into` has something in it.
        IntegrityError: the source distribution is not the one that the sample names.
        Unreachable: it cannot be downloaded, or git is missing.
    """
    try:
        source = Source.model_validate_json((folder / "source.json").read_bytes())
        test = (folder / REGRESSION_TEST).read_bytes()
    except (OSError, ValidationError) as error:
        raise InvalidInput(f"sample {str(folder)!r}: {error}") from error
    if into.exists() and any(into.iterdir()):
        raise Conflict(f"{str(into)!r} is not empty; nothing was changed", next_step="name another folder")
    archive = fetch_sdist(source, cache)
    into = into.resolve()  # git is called from another folder
    into.mkdir(parents=True, exist_ok=True)
    unpack(archive, into / "source")
    place = into / "source" / PurePosixPath(source.test)
    if not place.resolve().is_relative_to((into / "source").resolve()):
        raise InvalidInput(f"sample {str(folder)!r}: test {source.test!r} leads out of the source tree")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(test)
    make_origin(into / "source", into / "origin.git", f"{source.name} {source.version}, with a test of the issue")
    return source


def fetch_sdist(source: Source, cache: Path) -> Path:
    """The source distribution from the cache, else from the package index."""
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / f"{source.name}-{source.version}-{source.sha256[:12]}.tar.gz"
    if not kept.is_file():
        _download(source, kept)
    found = hashlib.sha256(kept.read_bytes()).hexdigest()
    if found != source.sha256:
        raise IntegrityError(
            f"{kept} has sha256 {found}, the sample names {source.sha256}", next_step=f"delete {kept} and try again"
        )
    return kept


def _download(source: Source, kept: Path) -> None:
    """Have pip fetch the file. With a required hash, pip refuses another file before it builds its metadata."""
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        wanted = Path(scratch, "requirements.txt")
        wanted.write_text(f"{source.name}=={source.version} --hash=sha256:{source.sha256}\n")
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-input",
            "--no-deps",
            "--require-hashes",
        ]
        command += ["--disable-pip-version-check", "--no-binary", source.name, "--dest", scratch, "-r", str(wanted)]
        said = _run(command, what="pip", timeout_s=_DOWNLOAD_S)
        found = sorted(Path(scratch).glob("*.tar.gz"))
        if not found:
            last = [line for line in said.splitlines() if "ERROR" in line or "error" in line][-3:]
            reason = f"the source distribution of {source.name} {source.version} could not be downloaded"
            raise Unreachable(
                f"{reason}: {' '.join(last) or said.strip()[-500:]}",
                next_step=f"make a package index reachable for pip, or put the file at {kept}",
            )
        os.replace(found[0], kept)


def unpack(archive: Path, into: Path) -> None:
    """Unpack a source distribution without its one top folder. Links and paths that lead outside are refused."""
    with tempfile.TemporaryDirectory(dir=into.parent) as scratch:
        try:
            with tarfile.open(archive, "r:gz") as tar:
                members = tar.getmembers()
                if sum(member.size for member in members) > 10 * LARGEST_SDIST:
                    raise InvalidInput(f"{archive.name} unpacks to more than {10 * LARGEST_SDIST} bytes")
                if odd := [member.name for member in members if not (member.isfile() or member.isdir())]:
                    raise InvalidInput(f"{archive.name} holds {odd[0]!r}, which is neither file nor folder")
                for member in members:
                    _write(tar, member, Path(scratch))
        except (tarfile.TarError, EOFError, OSError) as error:
            raise InvalidInput(f"{archive.name} cannot be unpacked: {error}") from error
        top = list(Path(scratch).iterdir())
        if len(top) != 1 or not top[0].is_dir():
            raise InvalidInput(f"{archive.name} is no source distribution: it must hold one top folder")
        shutil.move(top[0], into)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    """Write one file or folder. tarfile's own filters are younger than the oldest Python that runs this."""
    inside = PurePosixPath(member.name)
    if inside.is_absolute() or ".." in inside.parts:
        raise InvalidInput(f"path {member.name!r} leads out of the archive")
    target = into / inside
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    assert content is not None, "it is a file"
    with content, target.open("xb") as file:
        shutil.copyfileobj(content, file)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)


def make_origin(source: Path, origin: Path, message: str) -> str:
    """Make a bare repository whose branch `main` holds `source`; the commit is the same wherever it is made.

    Nothing in it is a link or an empty folder that matters, so that it survives as a tree of plain files.
    """
    _git("init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(origin))
    with tempfile.TemporaryDirectory() as scratch:
        place = {
            "GIT_DIR": str(origin),
            "GIT_WORK_TREE": str(source),
            "GIT_INDEX_FILE": str(Path(scratch, "index")),
        }
        _git("add", "--all", "--force", ".", cwd=source, **place)
        tree = _git("write-tree", cwd=source, **place)
        commit = _git("commit-tree", tree, "-m", message, cwd=source, **place)
        _git("update-ref", "refs/heads/main", commit, cwd=source, **place)
    return commit


def _git(*arguments: str, cwd: Path | None = None, **variables: str) -> str:
    quiet = {"PATH": os.environ.get("PATH", os.defpath), "HOME": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = {f"GIT_{role}_{field}": value for role in ("AUTHOR", "COMMITTER") for field, value in _PERSON.items()}
    environment = {**quiet, "GIT_CONFIG_GLOBAL": os.devnull, **who, **variables}
    settings = (
        "safe.directory=*",
        "core.autocrlf=false",
        "core.hooksPath=/dev/null",
        "core.logAllRefUpdates=false",
    )
    command = ["git", *(word for setting in settings for word in ("-c", setting)), *arguments]
    return _run(command, what="git", environment=environment, cwd=cwd, must_succeed=True)


_PERSON: Final = {"NAME": "Interlock sample", "EMAIL": "sample@interlock.invalid", "DATE": _WHEN}


def _run(
    command: list[str],
    *,
    what: str,
    timeout_s: int = 60,
    environment: dict[str, str] | None = None,
    cwd: Path | None = None,
    must_succeed: bool = False,
) -> str:
    """Run a program; what it wrote."""
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError:
        raise Unreachable(f"{what} is not installed", next_step=f"apt-get install {what}") from None
    except subprocess.TimeoutExpired:
        raise Unreachable(f"{what} did not answer within {timeout_s} seconds", next_step="try again") from None
    said = (done.stdout + (b"" if must_succeed and done.returncode == 0 else done.stderr)).decode(errors="replace")
    if must_succeed and done.returncode != 0:
        raise Unreachable(f"{what} failed: {said.strip()[-500:]}")
    return said.strip()
