"""Ciphers and wrapping keys: what opens, and what must not."""

from __future__ import annotations

import base64
import os
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from interlock.encryption import (
    Cipher,
    EnvironmentKeys,
    FileKeys,
    KeyProvider,
    Wrapped,
    bound,
    create_data_keys,
    key_provider,
    loading,
)
from interlock.encryption.cipher import OVERHEAD
from interlock.encryption.environment_keys import VARIABLE
from interlock.encryption.file_keys import add_version
from interlock.errors import IntegrityError, InvalidInput, Unreachable

KEY = bytes(range(32))
CONTEXT = bound("data key", "run-1", "00")


@pytest.fixture
def cipher() -> Cipher:
    return Cipher(KEY, scope="run-1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_data_keys(tmp_path / "data-keys")
    return tmp_path / "data-keys"


def text(byte: int) -> str:
    return base64.b64encode(bytes([byte]) * 32).decode()


@pytest.mark.parametrize("plain", [b"", b"x", os.urandom(100_000)], ids=["empty", "one", "many"])
def test_sealed_bytes_come_back(cipher: Cipher, plain: bytes) -> None:
    sealed = cipher.seal(plain, b"aad")
    assert cipher.open(sealed, b"aad") == plain
    assert len(sealed) == len(plain) + OVERHEAD


def test_equal_bytes_seal_differently(cipher: Cipher) -> None:
    assert len({cipher.seal(b"same", b"aad") for _ in range(100)}) == 100


def test_each_flipped_bit_is_found(cipher: Cipher) -> None:
    sealed = cipher.seal(b"pay 10 to bob", b"aad")
    for place in range(len(sealed) * 8):
        forged = bytearray(sealed)
        forged[place // 8] ^= 1 << place % 8
        with pytest.raises(IntegrityError):
            cipher.open(bytes(forged), b"aad")


@pytest.mark.parametrize("length", [0, 1, OVERHEAD - 1, OVERHEAD, OVERHEAD + 3])
def test_cut_bytes_do_not_open(cipher: Cipher, length: int) -> None:
    with pytest.raises(IntegrityError):
        cipher.open(cipher.seal(b"pay 10", b"aad")[:length], b"aad")


def test_other_purpose_does_not_open(cipher: Cipher) -> None:
    sealed = cipher.seal(b"text", bound("blob", "run-1", "d"))
    for aad in (bound("payload", "run-1", "d"), bound("blob", "run-2", "d"), bound("blob", "run-1", "e"), b""):
        with pytest.raises(IntegrityError, match="run-1"):
            cipher.open(sealed, aad)


def test_other_key_does_not_open(cipher: Cipher) -> None:
    with pytest.raises(IntegrityError):
        Cipher(bytes(32)).open(cipher.seal(b"text", b""), b"")


def test_parts_cannot_be_shifted() -> None:
    assert bound("a", "bc", "d") != bound("a", "b", "cd") != bound("ab", "c", "d")
    with pytest.raises(InvalidInput, match="NUL"):
        bound("a", "b\0c")


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_wrong_key_length_is_refused(length: int) -> None:
    with pytest.raises(InvalidInput, match="32 bytes"):
        Cipher(bytes(length))


def test_cipher_shows_no_key(cipher: Cipher) -> None:
    assert KEY.hex() not in repr(cipher)
    assert repr(KEY) not in repr(cipher)


@pytest.fixture(params=["file", "environment"])
def provider(request: pytest.FixtureRequest, folder: Path) -> KeyProvider:
    return FileKeys(folder) if request.param == "file" else EnvironmentKeys({VARIABLE: f"1:{text(1)}"})


def test_wrapped_key_unwraps(provider: KeyProvider) -> None:
    wrapped = provider.wrap(KEY, CONTEXT)
    assert provider.unwrap(wrapped, CONTEXT) == KEY
    assert wrapped.key_id == provider.current()
    assert KEY not in wrapped.data


def test_wrapped_key_is_bound_to_run(provider: KeyProvider) -> None:
    wrapped = provider.wrap(KEY, CONTEXT)
    with pytest.raises(IntegrityError, match="another run's"):
        provider.unwrap(wrapped, bound("data key", "run-2", "00"))


def test_unknown_wrapping_key_is_named(provider: KeyProvider) -> None:
    with pytest.raises(Unreachable, match=r"9\.abc") as told:
        provider.unwrap(Wrapped("9.abc", b""), CONTEXT)
    assert "restore" in told.value.next_step


def test_key_of_another_installation_is_unknown(tmp_path: Path, folder: Path) -> None:
    create_data_keys(tmp_path / "other")
    wrapped = FileKeys(tmp_path / "other").wrap(KEY, CONTEXT)
    with pytest.raises(Unreachable, match="is not in"):
        FileKeys(folder).unwrap(wrapped, CONTEXT)


def test_key_files_are_private(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"1.key", "current"}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_existing_keys_stay(folder: Path) -> None:
    before = FileKeys(folder).current()
    assert create_data_keys(folder) == []
    assert FileKeys(folder).current() == before


def test_interrupted_creation_is_finished(folder: Path) -> None:
    before = FileKeys(folder).current()
    (folder / "current").unlink()
    assert create_data_keys(folder) == [folder / "current"]
    assert FileKeys(folder).current() == before


def test_readable_key_is_refused(folder: Path) -> None:
    (folder / "1.key").chmod(0o640)
    with pytest.raises(InvalidInput, match="other users may read") as told:
        FileKeys(folder).wrap(KEY, CONTEXT)
    assert "chmod 600" in told.value.next_step


def test_new_version_reaches_running_provider(folder: Path) -> None:
    running = FileKeys(folder)
    old = running.wrap(KEY, CONTEXT)
    add_version(folder)
    assert running.current().startswith("2.")
    assert running.wrap(KEY, CONTEXT).key_id != old.key_id
    assert running.unwrap(old, CONTEXT) == KEY


def test_removed_version_no_longer_unwraps(folder: Path) -> None:
    running = FileKeys(folder)
    old = running.wrap(KEY, CONTEXT)
    add_version(folder)
    (folder / "1.key").unlink()
    with pytest.raises(Unreachable, match=r"1\."):
        running.unwrap(old, CONTEXT)


def test_missing_folder_fails_closed(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="data keys") as told:
        FileKeys(tmp_path / "none").wrap(KEY, CONTEXT)
    assert "interlock keys create" in told.value.next_step
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("named", ["", "7", "x", "-1", "1\n2"])
def test_unknown_current_version_is_refused(folder: Path, named: str) -> None:
    (folder / "current").write_text(named)
    with pytest.raises(InvalidInput, match="current"):
        FileKeys(folder).current()


@pytest.mark.parametrize("content", ["", "%%%", base64.b64encode(bytes(31)).decode()])
def test_unfit_key_file_is_refused(folder: Path, content: str) -> None:
    (folder / "1.key").write_text(content)
    with pytest.raises(InvalidInput, match=r"1\.key"):
        FileKeys(folder).current()


def test_first_environment_version_wraps() -> None:
    both = EnvironmentKeys({VARIABLE: f"2:{text(2)}, 1:{text(1)}"})
    old = EnvironmentKeys({VARIABLE: f"1:{text(1)}"}).wrap(KEY, CONTEXT)
    assert both.current().startswith("2.")
    assert both.unwrap(old, CONTEXT) == KEY


def test_missing_variable_fails_closed() -> None:
    with pytest.raises(Unreachable, match=VARIABLE) as told:
        EnvironmentKeys({}).current()
    assert VARIABLE in told.value.next_step


@pytest.mark.parametrize("value", ["x", f"x:{text(1)}", f"1:{text(1)},1:{text(2)}", f"1:{text(1)[:-8]}", "1:"])
def test_unfit_variable_shows_no_key(value: str) -> None:
    with pytest.raises(InvalidInput, match=VARIABLE) as told:
        EnvironmentKeys({VARIABLE: value}).current()
    assert text(1)[:12] not in f"{told.value} {told.value.next_step}"


def test_unknown_provider_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="data_key_provider") as told:
        key_provider("our_keys:Class", tmp_path)
    assert "file, environment" in told.value.next_step


class OwnKeys:
    """What another package's entry point may name."""

    def current(self) -> str:
        return "k"

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        return Wrapped("k", key)

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        return wrapped.data


@pytest.mark.parametrize(
    ("value", "problem"), [("OwnKeys", ""), ("KEY", "does not load"), ("Path", "no KeyProvider")]
)
def test_installed_provider_is_found(monkeypatch: Any, tmp_path: Path, value: str, problem: str) -> None:
    point = EntryPoint(name="own", value=f"{__name__}:{value}", group="interlock.key_providers")
    monkeypatch.setattr(loading, "entry_points", lambda group: [point])
    if not problem:
        assert key_provider("own", tmp_path).current() == "k"
        return
    with pytest.raises(InvalidInput, match=problem):
        key_provider("own", tmp_path)
