"""The blob store as the settings name it, with the provider of its keys."""

from __future__ import annotations

from pathlib import Path

from interlock.audit.blobs import SqlBlobs
from interlock.encryption import create_data_keys, key_provider
from interlock.settings import Settings


def open_blobs(settings: Settings, *, read_only: bool = False) -> SqlBlobs:
    """Open it.

    Raises:
        InvalidInput: the URL or the provider does not fit.
        LedgerUnavailable: the database cannot be reached or written.
    """
    provider = key_provider(settings.data_key_provider, settings.wrapping_keys_folder)
    return SqlBlobs(settings.effective_blobs_url, provider, read_only=read_only)


def make_data_keys(settings: Settings) -> list[Path]:
    """Make the wrapping keys of an embedded setup where it has none; returns what was written. Another provider
    than `file` makes its own.

    Raises:
        InvalidInput: the folder cannot be written.
    """
    return create_data_keys(settings.wrapping_keys_folder) if settings.data_key_provider == "file" else []
