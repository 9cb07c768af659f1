"""Sandbox images: built from images/, known by a tag that names everything they are made of."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import docker
import docker.errors

from interlock.digest import digest_bytes, digest_of
from interlock.errors import InvalidInput, SandboxUnavailable
from interlock.sandbox.base import build_base, codename
from interlock.sandbox.engine import connect, engine_errors
from interlock.sandbox.guest_code import guest_code
from interlock.settings import Settings

_HERE: Final = Path(__file__).parent
_BUILD_S: Final = 600


def _quiet(line: str) -> None:
    """Says nothing."""


def folder_of(settings: Settings, name: str) -> Path:
    """The folder of an image: images/sandbox for `default`, else images/sandbox-NAME; the project's, then ours.

    Raises:
        InvalidInput: there is none.
    """
    leaf = "sandbox" if name == "default" else f"sandbox-{name}"
    # In the wheel images/ lies beside this file; in the repository at its root.
    roots = (settings.root / "images", _HERE / "images", _HERE.parents[2] / "images")
    for root in roots:
        if (root / leaf / "Dockerfile").is_file():
            return root / leaf
    raise InvalidInput(f"no image {name!r}: {roots[0] / leaf / 'Dockerfile'} does not exist", next_step="write it")


def _context(folder: Path) -> dict[str, bytes]:
    """What the build sees: the image's own files and our code."""
    own = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    return {**own, **{f"interlock/{path}": content for path, content in guest_code().items()}}


def _packages(folder: Path) -> list[str]:
    lines = (folder / "packages.txt").read_text("utf-8").splitlines() if (folder / "packages.txt").is_file() else []
    return sorted({line.strip() for line in lines if line.strip() and not line.startswith("#")})


def tag_of(settings: Settings, name: str) -> str:
    """`PREFIX:NAME-DIGEST` over Dockerfile, packages, base and our code: another content is another image."""
    context = {path: digest_bytes(content) for path, content in _context(folder_of(settings, name)).items()}
    made_of = {"base": settings.base_image or codename(), "files": [list(row) for row in sorted(context.items())]}
    return f"{settings.image_prefix}:{name}-{digest_of(made_of).removeprefix('sha256:')[:16]}"


def image_id(settings: Settings, name: str = "default") -> str | None:
    """The engine's id of the image as it would be built now; None if it is not built.

    Raises:
        SandboxUnavailable: no engine answers.
    """
    with closing(connect()) as api:
        return _id(api, tag_of(settings, name))


def _id(api: docker.APIClient, tag: str) -> str | None:
    with engine_errors():
        try:
            return str(api.inspect_image(tag)["Id"])  # type: ignore[no-untyped-call]
        except docker.errors.ImageNotFound:
            return None


def build_image(
    settings: Settings, name: str = "default", progress: Callable[[str], None] = _quiet, *, force: bool = False
) -> str:
    """Build the image unless it is there; returns the engine's id.

    Args:
        settings: prefix and base.
        name: which image.
        progress: gets a line now and then.
        force: build again, the base too.

    Raises:
        InvalidInput: no such image.
        SandboxUnavailable: no engine, or the build failed; the end of its output is quoted.
    """
    tag = tag_of(settings, name)
    with closing(connect()) as api:
        found = None if force else _id(api, tag)
        if found is None:
            base = settings.base_image or _base(api, settings, folder_of(settings, name), progress, force=force)
            progress(f"building {tag} from {base}")
            _build(api, folder_of(settings, name), tag, base)
            found = _id(api, tag)
    if found is None:
        raise SandboxUnavailable(f"the engine built {tag} and does not know it")
    return found


def _base(
    api: docker.APIClient, settings: Settings, folder: Path, progress: Callable[[str], None], *, force: bool
) -> str:
    packages = _packages(folder)
    digest = digest_of({"codename": codename(), "packages": packages}).removeprefix("sha256:")[:16]
    repository, tag = f"{settings.image_prefix}-base", f"{codename()}-{digest}"
    if force or _id(api, f"{repository}:{tag}") is None:
        build_base(api, repository, tag, packages, progress)
    return f"{repository}:{tag}"


def _build(api: docker.APIClient, folder: Path, tag: str, base: str) -> None:
    with engine_errors():
        lines = api.build(
            fileobj=_tar(_context(folder)),
            custom_context=True,
            tag=tag,
            buildargs={"BASE": base},
            rm=True,
            forcerm=True,
            network_mode="none",
            use_config_proxy=False,
            decode=True,
            timeout=_BUILD_S,
        )
        _follow(lines, tag)


def _follow(lines: Any, tag: str) -> None:
    said: list[str] = []
    for line in lines:
        said.append(str(line.get("stream", "")))
        if "error" in line:
            raise SandboxUnavailable(f"building {tag} failed: {line['error']}: {''.join(said)[-1000:].strip()}")


def _tar(files: dict[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    buffer.seek(0)
    return buffer
