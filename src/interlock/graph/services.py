"""What activities use on the graph worker. Set once per process, by the worker, before it polls."""

from __future__ import annotations

from dataclasses import dataclass

from interlock.errors import InterlockError
from interlock.settings import Settings
from interlock.types.blobs import Blobs


@dataclass(frozen=True, slots=True)
class Services:
    """The graph worker's two means: content by digest, and settings. No key, no ledger, no Docker socket."""

    blobs: Blobs
    settings: Settings


_services: Services | None = None


def configure(value: Services) -> None:
    """Set what this process' activities use."""
    global _services
    _services = value


def services() -> Services:
    """What this process' activities use.

    Raises:
        InterlockError: `configure` was not called.
    """
    if _services is None:
        raise InterlockError("graph services are not configured", next_step="call graph.configure() in the worker")
    return _services
