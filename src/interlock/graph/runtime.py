"""LangGraph's `Runtime` as a node has it here: the context, and a writer; no store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from langchain_core.runnables.config import var_child_runnable_config
from langgraph._internal._constants import CONFIG_KEY_RUNTIME
from langgraph.config import get_config


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
