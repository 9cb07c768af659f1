"""A compiled project in one file: whole, or refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.runtime import copy_project, settings_for

from interlock.audit import SqlBlobs
from interlock.digest import digest_bytes
from interlock.errors import IntegrityError, InvalidInput
from interlock.run.compilation import compiled
from interlock.run.release import load_release, release
from interlock.settings import Settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = copy_project(tmp_path_factory.mktemp("release") / "project")
    return settings_for(root, "127.0.0.1:1", name="release")


@pytest.fixture(scope="module")
def written(settings: Settings) -> bytes:
    return release(settings)


@pytest.fixture
def blobs(tmp_path: Path) -> SqlBlobs:
    return SqlBlobs(f"sqlite:///{tmp_path}/blobs.db")


def test_release_is_the_compiled_project(settings: Settings, written: bytes, blobs: SqlBlobs) -> None:
    manifest = load_release(written, blobs)
    direct = SqlBlobs(f"sqlite:///{settings.state_folder}/direct.db")
    assert manifest == compiled(settings, direct)
    assert release(settings) == written
    for digest in (manifest.digest, manifest.policy, *(tool.source for tool in manifest.tools.values())):
        assert blobs.get(digest) == direct.get(digest)


def _alter_blob(value: dict[str, Any]) -> None:
    value["blobs"][value["manifest"]] = base64.b64encode(b"{}").decode()


def _lose_policy(value: dict[str, Any]) -> None:
    manifest = json.loads(base64.b64decode(value["blobs"][value["manifest"]]))
    del value["blobs"][manifest["policy"]]


def _lose_manifest(value: dict[str, Any]) -> None:
    del value["blobs"][value["manifest"]]


def _put_nonsense(value: dict[str, Any]) -> None:
    value["blobs"][value["manifest"]] = "not base64!"


def _put_another(value: dict[str, Any]) -> None:
    other = b'{"project":"other"}'
    value["manifest"] = digest_bytes(other)
    value["blobs"][value["manifest"]] = base64.b64encode(other).decode()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (_alter_blob, IntegrityError, "was altered"),
        (_lose_policy, IntegrityError, "lacks blob"),
        (_lose_manifest, IntegrityError, "lacks its own manifest"),
        (_put_nonsense, InvalidInput, "not base64"),
        (_put_another, InvalidInput, "manifest"),
    ],
)
def test_altered_release_is_refused_whole(
    written: bytes, blobs: SqlBlobs, change: Callable[[dict[str, Any]], None], error: type[Exception], message: str
) -> None:
    value = json.loads(written)
    kept = [digest for digest in value["blobs"] if digest != value["manifest"]]
    change(value)
    with pytest.raises(error, match=message):
        load_release(json.dumps(value).encode(), blobs)
    assert not any(blobs.has(digest) for digest in kept)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"format": "interlock-release-1", "blobs": 3}'])
def test_other_file_is_no_release(data: bytes, blobs: SqlBlobs) -> None:
    with pytest.raises(InvalidInput):
        load_release(data, blobs)
