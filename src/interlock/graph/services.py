"""What activities use on the graph worker. Set once per process, by the worker, before it polls."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from cachetools import LRUCache
from langchain_core.language_models import BaseChatModel

from interlock.definitions.manifest import Manifest
from interlock.errors import InterlockError
from interlock.graph.models import resolve_model
from interlock.graph.reader import Reader
from interlock.settings import Settings
from interlock.types.blobs import Blobs

Resolve = Callable[[str, Settings, str, Manifest, Reader], BaseChatModel]
"""From a model's name, the settings, the agent's name, the manifest and the blobs to the model."""


@dataclass(frozen=True)
class Services:
    """The graph worker's means: content by digest, settings, models. No key, no ledger, no Docker socket."""

    blobs: Blobs
    settings: Settings
    resolve: Resolve = resolve_model

    @cached_property
    def reader(self) -> Reader:
        """Reads blobs as what they hold."""
        return Reader(self.blobs)

    @cached_property
    def models(self) -> LRUCache[tuple[str, str, str], BaseChatModel]:
        """Models in use, by full name, agent and playbook: a client keeps its connections from call to call."""
        return LRUCache(maxsize=128)


OVERRIDE: Final[ContextVar[Services | None]] = ContextVar("interlock_services", default=None)
"""Stands before the process' services in one context: for the trial run of `interlock check`."""

_configured: list[Services] = []


def configure(value: Services) -> None:
    """Set what this process' activities use."""
    _configured[:] = [value]


def services() -> Services:
    """What activities use here.

    Raises:
        InterlockError: `configure` was not called.
    """
    found = OVERRIDE.get() or (_configured[0] if _configured else None)
    if found is None:
        raise InterlockError(
            "the graph worker has no blob store", next_step="call graph.configure() before polling"
        )
    return found
