"""LangGraph's `Runtime` as a node has it here: the context, and a writer; no store."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from langchain_core.runnables.config import var_child_runnable_config
from langgraph._internal._constants import CONFIG_KEY_RUNTIME
from langgraph.config import get_config
from langgraph.store.base import BaseStore, Op, Result

from interlock.errors import InvalidInput

STORE: Final = "a LangGraph Store does not reach activities on other workers; keep it in the state"
"""Why there is none."""


class _NoStore(BaseStore):
    """Stands where LangGraph has a store, so that who uses it reads why there is none."""

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        raise InvalidInput(STORE)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        raise InvalidInput(STORE)


NO_STORE: Final = _NoStore()


def asks_for_store(runnable: Any) -> bool:
    """Whether a node's or an edge's function has a parameter for the store."""
    function = getattr(runnable, "func", None) or getattr(runnable, "afunc", None)
    try:
        return function is not None and "store" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


@contextlib.contextmanager
def runtime_of_node(**changes: Any) -> Iterator[None]:
    """What runs inside finds a runtime of its own, with `changes`."""
    config = get_config()
    configurable = config["configurable"]
    runtime = replace(configurable[CONFIG_KEY_RUNTIME], **changes)
    token = var_child_runnable_config.set({**config, "configurable": {**configurable, CONFIG_KEY_RUNTIME: runtime}})
    try:
        yield
    finally:
        # As in `drive`: a torn down run is in another context.
        with contextlib.suppress(ValueError):
            var_child_runnable_config.reset(token)
