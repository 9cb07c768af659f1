"""What activities use on the graph worker. Set once per process, by the worker, before it polls."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Lock
from typing import Final

from cachetools import LRUCache, TTLCache
from langchain_core.language_models import BaseChatModel
from pydantic import JsonValue
from temporalio import activity

from interlock.definitions.manifest import Manifest
from interlock.errors import InterlockError
from interlock.graph.gate import Asking, ProposedCall
from interlock.graph.models import resolve_model
from interlock.graph.reader import Reader
from interlock.settings import Settings
from interlock.types.blobs import BlobStore
from interlock.types.names import Digest

Decide = Callable[[str, Digest, ProposedCall, Asking], JsonValue]
"""From an agent, a manifest, a call of its model and what the run knows to what the policy decides; None: later."""
Resolve = Callable[[str, Settings, str, Manifest, Reader], BaseChatModel]
"""From a model's name, the settings, the agent's name, the manifest and the blobs to the model."""


REMEMBERED_S: Final = 30.0
"""So long what was read of a run stays in memory: that of an erased run too."""

_lock = Lock()


@dataclass(frozen=True)
class Services:
    """The graph worker's means: content by digest, settings, models. No key, no ledger, no Docker socket."""

    blobs: BlobStore
    """Of the run at hand, once `of` was called."""
    settings: Settings
    resolve: Resolve = resolve_model
    decide: Decide | None = None
    models: LRUCache[tuple[str, str, str], BaseChatModel] = field(
        default_factory=lambda: LRUCache(maxsize=128), compare=False
    )
    """Models in use, by full name, agent and playbook: a client keeps its connections from call to call."""
    _of_runs: TTLCache[str, Services] = field(
        default_factory=lambda: TTLCache(maxsize=256, ttl=REMEMBERED_S), compare=False, repr=False
    )

    def of(self, run: str) -> Services:
        """The same means with the content of `run` alone, and what this process remembers of it."""
        with _lock:
            found: Services | None = self._of_runs.get(run)
            if found is None:
                found = self._of_runs[run] = replace(self, blobs=self.blobs.of(run))
        return found

    @cached_property
    def reader(self) -> Reader:
        """Reads blobs as what they hold."""
        return Reader(self.blobs)


OVERRIDE: Final[ContextVar[Services | None]] = ContextVar("interlock_services", default=None)
"""Stands before the process' services in one context: for the trial run of `interlock check`."""

_configured: list[Services] = []


def configure(value: Services) -> None:
    """Set what this process' activities use."""
    _configured[:] = [value]


def services() -> Services:
    """What activities use here: content is that of the run whose activity this is.

    Raises:
        InterlockError: `configure` was not called.
    """
    found = OVERRIDE.get() or (_configured[0] if _configured else None)
    if found is None:
        raise InterlockError(
            "the graph worker has no blob store", next_step="call graph.configure() before polling"
        )
    run = activity.info().workflow_id if activity.in_activity() else None
    return found.of(run) if run else found
