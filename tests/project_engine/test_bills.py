"""What images are made of is pinned with them, where it was found out when they were built."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.small import call, small_project

from interlock.run.compilation import compiled
from interlock.sandbox import build_image, sbom_of
from interlock.scratch import ScratchBlobs
from interlock.settings import Settings

pytestmark = pytest.mark.docker


async def test_bill_of_materials_is_pinned(tmp_path: Path) -> None:
    root = small_project(tmp_path / "project", [{"calls": [call("note", text="x")]}])
    settings, blobs = Settings(root=root), ScratchBlobs()
    await asyncio.to_thread(build_image, settings)
    assert compiled(settings, blobs).boms == {}
    document = sbom_of(settings)
    assert {name: blobs.get(digest) for name, digest in compiled(settings, blobs).boms.items()} == {
        "default": document
    }
