"""The software bill of materials of an image: CycloneDX, kept beside the state by the image's digest."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from interlock.errors import SandboxUnavailable
from interlock.sandbox.engine import connect
from interlock.sandbox.images import build_command, image_id, tag_of
from interlock.settings import Settings


def sbom_of(settings: Settings, name: str = "default") -> bytes:
    """The bill of materials of an image as it is built now, CycloneDX JSON: the same bytes for the same image.

    Args:
        settings: where images and state are.
        name: which image.

    Raises:
        InvalidInput: no such image.
        SandboxUnavailable: no engine, or the image is not built.
    """
    identity = image_id(settings, name)
    if identity is None:
        raise SandboxUnavailable(f"sandbox image {name!r} is not built", next_step=f"run `{build_command(name)}`")
    kept = _path(settings, identity)
    if not kept.is_file():
        # CycloneDX is a fifth of a second, and a document is made once for an image.
        from interlock.sandbox.sbom_document import document

        with closing(connect()) as api:
            _keep(kept, document(api, identity, tag_of(settings, name)))
    return kept.read_bytes()


def kept_sbom(settings: Settings, identity: str) -> bytes | None:
    """The bill of materials that was made of an image before, by the engine's id; None if none was."""
    path = _path(settings, identity)
    return path.read_bytes() if path.is_file() else None


def _path(settings: Settings, identity: str) -> Path:
    return settings.state_folder / "sbom" / f"{identity.removeprefix('sha256:')}.cdx.json"


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)
