"""What commands open: settings, stores, a client that acts for people. Heavy parts are imported where used."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING, Any

from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.audit import Ledger, SqlBlobs
    from interlock.policy import Bundle
    from interlock.run.client import RunClient
    from interlock.settings import Settings


def settings(**given: Any) -> Settings:
    """The settings of this project; `given` ones that are not empty count before the environment's.

    Raises:
        InvalidInput: one does not fit; the message names it.
    """
    from pydantic import ValidationError

    from interlock.settings import Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InvalidInput(
            f"settings: {wrong}", next_step="correct INTERLOCK_… or [tool.interlock] in pyproject.toml"
        ) from error


@contextmanager
def opened(own: Settings) -> Iterator[tuple[Ledger, SqlBlobs]]:
    """Ledger and blobs, for reading.

    Raises:
        LedgerUnavailable: one is not there.
    """
    from interlock.audit import Ledger, open_blobs

    with closing(Ledger(own.effective_ledger_url, read_only=True)) as ledger:
        with closing(open_blobs(own, read_only=True)) as blobs:
            yield ledger, blobs


@asynccontextmanager
async def acting(own: Settings) -> AsyncIterator[RunClient]:
    """A client that may speak for people: it reads the API's private key.

    Raises:
        Unreachable: no Temporal server, no key, no blob store.
    """
    from interlock.audit import open_blobs
    from interlock.run.client import RunClient
    from interlock.run.connection import connect
    from interlock.signing import load_signer

    api = load_signer(own.keys_folder, "api")
    temporal = await connect(own)
    with closing(open_blobs(own)) as blobs:
        yield RunClient(temporal, own, blobs, api)


def bundle_of(own: Settings) -> Bundle:
    """The policy as the files are now.

    Raises:
        PolicyError: they do not load.
    """
    from interlock.policy import load_bundle

    return load_bundle(own.root / "permissions")
