"""A compiled project as one file: the manifest and every blob that it pins.

Compiling needs a sandbox and imports team code. Where the one who starts runs holds the API's key, it should do
neither: the project is compiled where it is built, and the file is handed over. Nothing in it is believed:
every digest is computed again, and the policy and the executor judge as always.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from pydantic import ValidationError

from interlock.definitions import Manifest
from interlock.digest import canonical, digest_bytes, parse
from interlock.errors import IntegrityError, InvalidInput
from interlock.run.compilation import compiled
from interlock.scratch import ScratchBlobs
from interlock.settings import Settings
from interlock.types.blobs import Blobs

MAX_BYTES: Final = 64 * 1024 * 1024
_FORMAT: Final = "interlock-release-1"


def release(settings: Settings) -> bytes:
    """Compile the project; the file's bytes, the same for the same project.

    Raises:
        ProjectError, PolicyError, SandboxUnavailable: see `compiled`.
    """
    kept = ScratchBlobs()
    manifest = compiled(settings, kept)
    blobs = {digest: base64.b64encode(data).decode() for digest, data in kept.content.items()}
    return canonical({"format": _FORMAT, "manifest": manifest.digest, "blobs": blobs}, max_bytes=MAX_BYTES)


def load_release(data: bytes, blobs: Blobs) -> Manifest:
    """Keep a file's blobs, and return its manifest.

    Raises:
        InvalidInput: not such a file.
        IntegrityError: a blob is not what its digest says, or one that the manifest pins is missing.
    """
    value = parse(data)
    if not isinstance(value, dict) or value.get("format") != _FORMAT or not isinstance(value.get("blobs"), dict):
        raise InvalidInput(f"not a compiled project ({_FORMAT})", next_step="interlock compile --out FILE")
    content = {digest: _decoded(digest, text) for digest, text in value["blobs"].items()}
    if value.get("manifest") not in content:
        raise IntegrityError("the compiled project lacks its own manifest")
    try:
        manifest = Manifest.model_validate(parse(content[value["manifest"]]))
    except ValidationError as error:
        raise InvalidInput(f"manifest: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from error
    if missing := sorted(_pinned(manifest) - set(content)):
        raise IntegrityError(f"the compiled project lacks blob {missing[0]}")
    for one in content.values():
        blobs.put(one)
    return manifest


def _decoded(digest: str, text: Any) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"blob {digest}: not base64") from error
    if digest_bytes(data) != digest:
        raise IntegrityError(f"blob {digest} was altered: its bytes have another digest")
    return data


def _pinned(manifest: Manifest) -> set[str]:
    found = {manifest.policy}
    found |= {tool.source for tool in manifest.tools.values()}
    found |= {workflow.source for workflow in manifest.workflows.values()}
    for agent in manifest.agents.values():
        found |= {agent.source, agent.prompt, agent.graph, agent.playbook} - {""}
    return found
