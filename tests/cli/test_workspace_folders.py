"""Folders become workspaces and back: regular files only, plain paths only, nothing overwritten."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from interlock.digest import canonical
from interlock.errors import IntegrityError, InvalidInput
from interlock.run import files
from interlock.run.files import export_workspace, import_workspace, load_tree
from interlock.scratch import ScratchBlobs
from interlock.types import FileEntry, Tree


@pytest.fixture
def blobs() -> ScratchBlobs:
    return ScratchBlobs()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    (made / ".git" / "refs").mkdir(parents=True)
    (made / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (made / "run.sh").write_text("#!/bin/sh\n")
    (made / "run.sh").chmod(0o755)
    (made / "größe.bin").write_bytes(bytes(range(256)))
    return made


def test_folder_survives_the_round_trip(folder: Path, blobs, tmp_path: Path) -> None:
    digest = import_workspace(folder, blobs)
    written = export_workspace(digest, blobs, tmp_path / "out")
    assert written == [".git/HEAD", "größe.bin", "run.sh"]
    assert (tmp_path / "out" / "größe.bin").read_bytes() == bytes(range(256))
    assert os.access(tmp_path / "out" / "run.sh", os.X_OK)
    assert not os.access(tmp_path / "out" / ".git" / "HEAD", os.X_OK)
    assert import_workspace(tmp_path / "out", blobs) == digest


def test_equal_folders_have_equal_digests(folder: Path, blobs) -> None:
    digest = import_workspace(folder, blobs)
    (folder / "empty").mkdir()
    assert import_workspace(folder, blobs) == digest
    (folder / "run.sh").chmod(0o644)
    assert import_workspace(folder, blobs) != digest


@pytest.mark.parametrize("kind", ["file link", "folder link", "dangling link", "pipe", "socket"])
def test_what_is_no_file_is_refused(folder: Path, blobs, kind: str) -> None:
    odd = folder / ".git" / "odd"
    match kind:
        case "file link":
            odd.symlink_to("/etc/passwd")
        case "folder link":
            odd.symlink_to("/etc")
        case "dangling link":
            odd.symlink_to("nowhere")
        case "pipe":
            os.mkfifo(odd)
        case "socket":
            socket.socket(socket.AF_UNIX).bind(str(odd))
    with pytest.raises(InvalidInput, match=r"\.git/odd"):
        import_workspace(folder, blobs)


def test_linked_folder_is_refused(folder: Path, blobs, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(InvalidInput, match="is not a folder"):
        import_workspace(tmp_path / "link", blobs)


def test_unusable_name_is_refused(folder: Path, blobs) -> None:
    (folder / "a\nb").touch()
    with pytest.raises(InvalidInput, match="cannot be a workspace path"):
        import_workspace(folder, blobs)


def test_name_of_no_text_is_refused(folder: Path, blobs) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff"))).touch()
    with pytest.raises(InvalidInput):
        import_workspace(folder, blobs)


def test_too_many_files_are_refused(folder: Path, blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 3)
    import_workspace(folder, blobs)
    (folder / "one more").touch()
    with pytest.raises(InvalidInput, match="more than 3 files"):
        import_workspace(folder, blobs)


def test_too_many_bytes_are_refused(folder: Path, blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 1024 * 1024)
    (folder / "big").write_bytes(b"x" * 1024 * 1024)
    with pytest.raises(InvalidInput, match="1 MiB"):
        import_workspace(folder, blobs)


def test_existing_folder_is_never_written(folder: Path, blobs) -> None:
    digest = import_workspace(folder, blobs)
    with pytest.raises(InvalidInput, match="cannot be made"):
        export_workspace(digest, blobs, folder)


def hostile_tree(blobs: ScratchBlobs, *paths: str) -> str:
    entry = blobs.put(b"x")
    rows = [[path, entry, 1, False] for path in paths]
    return blobs.put(canonical({"v": 1, "files": rows}))


@pytest.mark.parametrize("path", ["../out", "/etc/x", "a/../../x", "a//b", "./a", "a\\b", "a\x00b", ""])
def test_escaping_path_is_refused(blobs, tmp_path: Path, path: str) -> None:
    with pytest.raises(IntegrityError, match="not a tree"):
        export_workspace(hostile_tree(blobs, path), blobs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_file_that_is_a_folder_is_refused(blobs, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be written"):
        export_workspace(hostile_tree(blobs, "a", "a/b"), blobs, tmp_path / "out")


def test_missing_content_is_an_error(blobs, tmp_path: Path) -> None:
    tree = Tree(files={"a": FileEntry(digest="sha256:" + "0" * 64, size=1)})
    with pytest.raises(IntegrityError):
        export_workspace(blobs.put(canonical(tree.as_hashed())), blobs, tmp_path / "out")


def test_no_workspace_is_an_empty_tree(blobs) -> None:
    assert load_tree("", blobs) == Tree()
