"""Content of runs against whoever steals, writes or restores the blob database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from interlock.audit import SqlBlobs, rotate
from interlock.digest import digest_bytes
from interlock.encryption import FileKeys, create_data_keys
from interlock.encryption.file_keys import add_version
from interlock.errors import Erased, IntegrityError, LedgerUnavailable, Refused, Unreachable
from interlock.types import BlobStore

SECRET = b"the code of the safe is 31-4-15"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_data_keys(tmp_path / "data-keys")
    return tmp_path / "data-keys"


@pytest.fixture
def sealed(database: Any, folder: Path) -> Iterator[SqlBlobs]:
    opened = SqlBlobs(database.blobs_url, FileKeys(folder))
    yield opened
    opened.close()


def again(database: Any, folder: Path, **options: Any) -> SqlBlobs:
    """The store as another process opens it, which remembers nothing."""
    return SqlBlobs(database.blobs_url, FileKeys(folder), **options)


def rows(database: Any) -> list[tuple[Any, ...]]:
    found = database.execute("SELECT run, digest, data FROM run_blobs ORDER BY run, digest", blobs=True)
    return [(run, digest, bytes(data)) for run, digest, data in found]


def test_run_content_comes_back(database: Any, sealed: SqlBlobs, folder: Path) -> None:
    store: BlobStore = sealed
    other = again(database, folder, read_only=True)
    for data in (b"", b"\x00\xff", b"x" * 2_000_000):
        digest = store.of("run-1").put(data)
        assert digest == digest_bytes(data)
        assert store.of("run-1").get(digest) == other.of("run-1").get(digest) == data
        assert store.of("run-1").put(data) == digest
    other.close()


def test_stolen_database_shows_no_content(database: Any, sealed: SqlBlobs) -> None:
    sealed.of("run-1").put(SECRET)
    assert len(rows(database)) == 1
    assert all(SECRET not in data for _, _, data in rows(database))
    if database.kind == "sqlite":
        folder = Path(database.blobs_url.removeprefix("sqlite:///")).parent
        assert all(SECRET not in path.read_bytes() for path in folder.glob("blobs.db*"))


def test_content_of_another_run_is_absent(sealed: SqlBlobs) -> None:
    digest = sealed.of("run-1").put(SECRET)
    assert not sealed.of("run-2").has(digest)
    assert not sealed.has(digest)
    for blobs in (sealed, sealed.of("run-2")):
        with pytest.raises(IntegrityError, match="absent"):
            blobs.get(digest)


def test_shared_content_is_every_runs(sealed: SqlBlobs) -> None:
    digest = sealed.put(b"a manifest")
    assert sealed.of("run-1").has(digest)
    assert sealed.of("run-1").get(digest) == b"a manifest"
    own = sealed.of("run-1").put(SECRET)
    assert sealed.of("run-1").get_many([digest, own]) == {digest: b"a manifest", own: SECRET}


def test_what_is_put_together_is_stored_at_once(database: Any, sealed: SqlBlobs, folder: Path) -> None:
    other, run = again(database, folder, read_only=True), sealed.of("run-1")
    with run.together():
        own, shared = run.put(SECRET), sealed.put(b"a receipt")
        with sealed.together():  # within another block it adds to that one
            inner = run.put(b"more")
        assert (run.get(own), run.get(shared), run.get(inner)) == (SECRET, b"a receipt", b"more")
        assert rows(database) == []
        assert not other.has(shared)
        with ThreadPoolExecutor(1) as pool:  # what another thread puts meanwhile does not wait
            assert other.of("run-1").has(pool.submit(run.put, b"of another thread").result())
    assert other.of("run-1").get_many([own, inner]) == {own: SECRET, inner: b"more"}
    assert other.get(shared) == b"a receipt"
    other.close()


def test_block_that_fails_stores_nothing(database: Any, sealed: SqlBlobs) -> None:
    run = sealed.of("run-1")
    with suppress(RuntimeError), run.together():
        own, shared = run.put(SECRET), sealed.put(b"a receipt")
        raise RuntimeError
    assert rows(database) == []
    for blobs, digest in ((run, own), (sealed, shared)):
        with pytest.raises(IntegrityError, match="absent"):
            blobs.get(digest)
    assert run.get(run.put(SECRET)) == SECRET


def test_store_that_cannot_be_written_keeps_nothing_in_mind(
    sealed: SqlBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sealed.of("run-1")
    run.put(b"there is a key")

    def full() -> Any:
        raise LedgerUnavailable("the disk is full")

    def put() -> None:
        with run.together():
            run.put(SECRET)

    with monkeypatch.context() as patch:
        patch.setattr(sealed.store, "write", full)
        with pytest.raises(LedgerUnavailable):
            put()
    with pytest.raises(IntegrityError, match="absent"):
        run.get(digest_bytes(SECRET))


def test_planted_bytes_are_mended_together(database: Any, sealed: SqlBlobs) -> None:
    run = sealed.of("run-1")
    digest = run.put(SECRET)
    database.attack("UPDATE run_blobs SET data = ?", b"\x01" + bytes(60), blobs=True)
    with run.together():
        assert run.put(SECRET) == digest
    assert run.get_stored(digest) == SECRET


def test_reading_makes_no_key(database: Any, sealed: SqlBlobs) -> None:
    assert not sealed.of("run-1").has(digest_bytes(b"x"))
    with pytest.raises(IntegrityError):
        sealed.of("run-1").get(digest_bytes(b"x"))
    assert database.execute("SELECT count(*) FROM run_keys", blobs=True) == [(0,)]


def test_reader_makes_no_key_either(database: Any, sealed: SqlBlobs, folder: Path) -> None:
    reader = again(database, folder, read_only=True)
    with pytest.raises(Refused, match="reading only"):
        reader.of("run-1").put(SECRET)
    reader.close()


def test_racing_makers_agree_on_one_key(database: Any, folder: Path) -> None:
    stores = [again(database, folder) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        ids = {cipher.id for cipher in pool.map(lambda n: stores[n % 4].keys.cipher("run-1"), range(16))}
    assert len(ids) == 1
    assert stores[0].keys.by_id(ids.pop()).scope == "run-1"
    for store in stores:
        store.close()


def test_swapped_rows_are_found(database: Any, sealed: SqlBlobs) -> None:
    first, second = sealed.of("run-1").put(b"pay bob"), sealed.of("run-1").put(b"pay eve")
    data = {digest: data for _, digest, data in rows(database)}
    for digest, other in ((first, second), (second, first)):
        database.attack("UPDATE run_blobs SET data = ? WHERE digest = ?", data[other], digest, blobs=True)
    for digest in (first, second):
        with pytest.raises(IntegrityError, match="altered"):
            sealed.of("run-1").get_stored(digest)
    assert sealed.of("run-1").get_many([first, second]) == {}


def test_row_moved_to_another_run_does_not_open(database: Any, sealed: SqlBlobs) -> None:
    digest = sealed.of("run-1").put(SECRET)
    sealed.of("run-2").put(b"something else")
    database.attack("UPDATE run_blobs SET run = 'run-2' WHERE digest = ?", digest, blobs=True)
    with pytest.raises(IntegrityError, match="altered"):
        sealed.of("run-2").get(digest)


def test_key_moved_to_another_run_does_not_unwrap(database: Any, sealed: SqlBlobs, folder: Path) -> None:
    """Or a run's content could be kept readable under another's key, whatever is erased."""
    sealed.of("run-1").put(SECRET)
    sealed.of("run-2").put(SECRET)
    ((wrapped,),) = database.execute("SELECT wrapped FROM run_keys WHERE run = 'run-1'", blobs=True)
    database.attack("UPDATE run_keys SET wrapped = ? WHERE run = 'run-2'", bytes(wrapped), blobs=True)
    other = again(database, folder)
    with pytest.raises(IntegrityError, match="another run's"):
        other.of("run-2").get(digest_bytes(SECRET))
    other.close()


def test_planted_bytes_are_mended(database: Any, sealed: SqlBlobs) -> None:
    digest = sealed.of("run-1").put(SECRET)
    database.attack("UPDATE run_blobs SET data = ?", b"\x01" + bytes(60), blobs=True)
    with pytest.raises(IntegrityError, match="altered"):
        sealed.of("run-1").get_stored(digest)
    sealed.of("run-1").put(SECRET)
    assert sealed.of("run-1").get_stored(digest) == SECRET


def test_erased_run_is_gone(database: Any, sealed: SqlBlobs, folder: Path) -> None:
    digest = sealed.of("run-1").put(SECRET)
    ((wrapped,),) = database.execute("SELECT wrapped FROM run_keys", blobs=True)
    kept = sealed.of("run-2").put(SECRET)
    sealed.erase("run-1")
    sealed.erase("run-1")
    fresh = again(database, folder)
    for store in (sealed, fresh):
        for attempt in (store.of("run-1").get, store.of("run-1").get_stored):
            with pytest.raises(Erased, match="run-1"):
                attempt(digest)
        with pytest.raises(Erased):
            store.of("run-1").put(b"more")
        assert store.of("run-2").get(kept) == SECRET
    fresh.close()
    assert [run for run, _, _ in rows(database)] == ["run-2"]
    if database.kind == "sqlite":
        files = Path(database.blobs_url.removeprefix("sqlite:///")).parent.glob("blobs.db*")
        assert all(bytes(wrapped) not in path.read_bytes() for path in files)


def test_erasure_reaches_other_processes(database: Any, sealed: SqlBlobs, folder: Path) -> None:
    other = again(database, folder)
    other.keys._fresh_s = 0.0
    digest = other.of("run-1").put(SECRET)
    assert other.of("run-1").get(digest) == SECRET
    sealed.erase("run-1")
    with pytest.raises(Erased):
        other.of("run-1").get(digest)
    with pytest.raises(Erased):
        other.of("run-1").put(b"more")
    other.close()


def test_restored_content_stays_closed(database: Any, sealed: SqlBlobs) -> None:
    """Somebody restores the blobs of a backup: the key is erased all the same."""
    digest = sealed.of("run-1").put(SECRET)
    before = rows(database)
    sealed.erase("run-1")
    for row in before:
        database.execute("INSERT INTO run_blobs (run, digest, data) VALUES (?, ?, ?)", *row, blobs=True)
    with pytest.raises(Erased):
        sealed.of("run-1").get(digest)
    assert sealed.of("run-1").get_many([digest]) == {}
    assert sealed.not_erased(["run-1", "run-2"]) == ["run-1"]


def test_run_that_never_had_a_key_gets_none(sealed: SqlBlobs) -> None:
    sealed.erase("run-1")
    with pytest.raises(Erased):
        sealed.of("run-1").put(SECRET)


def test_lost_key_is_no_erasure(database: Any, sealed: SqlBlobs, folder: Path) -> None:
    digest = sealed.of("run-1").put(SECRET)
    database.attack("DELETE FROM run_keys", blobs=True)
    other = again(database, folder)
    with pytest.raises(IntegrityError, match="not erased on record"):
        other.of("run-1").get(digest)
    other.close()


def test_store_without_provider_fails_closed(database: Any, blobs: SqlBlobs) -> None:
    with pytest.raises(Unreachable, match="without a key provider"):
        blobs.of("run-1").put(SECRET)
    assert rows(database) == []


def test_missing_keys_fail_closed(database: Any, tmp_path: Path) -> None:
    store = again(database, tmp_path / "nowhere")
    with pytest.raises(Unreachable, match="data keys"):
        store.of("run-1").put(SECRET)
    assert rows(database) == []
    store.close()


def test_rotation_wraps_every_key(database: Any, sealed: SqlBlobs, folder: Path) -> None:
    digests = {f"run-{n}": sealed.of(f"run-{n}").put(SECRET) for n in range(450)}
    sealed.erase("run-7")
    add_version(folder)
    done = rotate(sealed.keys)
    assert (done.wrapped, done.failed) == (449, {})
    (folder / "1.key").unlink()
    other = again(database, folder)
    assert all(other.of(run).get(d) == SECRET for run, d in digests.items() if run != "run-7")
    with pytest.raises(Erased):
        other.of("run-7").get(digests["run-7"])
    assert rotate(other.keys).wrapped == 0
    other.close()


def test_rotation_under_load_loses_nothing(database: Any, folder: Path) -> None:
    stores = [again(database, folder) for _ in range(3)]
    for store in stores:
        store.keys._fresh_s = 0.0

    def work(number: int) -> tuple[str, str]:
        run = f"run-{number % 40}"
        if number % 25 == 24:
            add_version(folder)
            rotate(stores[0].keys)
        return run, stores[number % 3].of(run).put(f"{number}".encode())

    with ThreadPoolExecutor(6) as pool:
        kept = list(pool.map(work, range(200)))
    rotate(stores[0].keys)
    other = again(database, folder)
    assert all(other.of(run).get(digest) == f"{n}".encode() for n, (run, digest) in enumerate(kept))
    current = FileKeys(folder).current()
    assert database.execute("SELECT DISTINCT wrapped_by FROM run_keys", blobs=True) == [(current,)]
    for store in (*stores, other):
        store.close()


def test_rotation_names_what_does_not_unwrap(database: Any, sealed: SqlBlobs, folder: Path) -> None:
    for run in ("run-1", "run-2"):
        sealed.of(run).put(SECRET)
    database.attack("UPDATE run_keys SET wrapped = ? WHERE run = 'run-1'", b"\x01" + bytes(60), blobs=True)
    add_version(folder)
    done = rotate(sealed.keys)
    assert (done.wrapped, list(done.failed)) == (1, ["run-1"])


def test_rotation_does_not_undo_an_erasure(database: Any, sealed: SqlBlobs, folder: Path) -> None:
    """The run is erased between the rotation's read and its write."""
    sealed.of("run-1").put(SECRET)
    unwrap = sealed.keys.provider.unwrap

    def slow(*given: Any) -> bytes:
        key = unwrap(*given)
        sealed.erase("run-1")
        return key

    sealed.keys.provider.unwrap = slow  # type: ignore[method-assign]
    add_version(folder)
    assert rotate(sealed.keys).wrapped == 0
    with pytest.raises(Erased):
        sealed.of("run-1").get(digest_bytes(SECRET))


@pytest.mark.parametrize("id", [b"", bytes(8)])
def test_unknown_key_id_is_refused(sealed: SqlBlobs, id: bytes) -> None:
    with pytest.raises(IntegrityError, match="no data key"):
        sealed.keys.by_id(id)


def test_erased_key_id_is_refused(sealed: SqlBlobs) -> None:
    id = sealed.keys.cipher("run-1").id
    sealed.erase("run-1")
    with pytest.raises(Erased):
        sealed.keys.by_id(id)
