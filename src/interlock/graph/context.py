"""Which run, manifest and agent an activity of a graph belongs to.

The plugin carries a run's metadata into its activities and little else of LangGraph's configuration.
"""

from __future__ import annotations

from typing import Any, Final

from langgraph.config import get_config

from interlock.errors import InterlockError
from interlock.graph.binding import Binding, bind
from interlock.graph.record import inside_activity
from interlock.graph.services import services
from interlock.graph.task import AgentTask

AGENT: Final = "interlock_agent"
RUN: Final = "interlock_run"
MANIFEST: Final = "interlock_manifest"


def metadata_of(task: AgentTask) -> dict[str, Any]:
    """What the driver puts into the configuration of a graph's run."""
    return {AGENT: task.agent, RUN: task.run, MANIFEST: task.manifest}


def current() -> Binding:
    """What the manifest of the run at hand gives its agent. For use in activities.

    Raises:
        InterlockError: not inside an activity of a graph that `drive` started.
    """
    if not inside_activity():
        raise InterlockError(
            "a model was called outside an activity of a graph, where nothing records it",
            next_step="call models in nodes that run as activities",
        )
    try:
        metadata = get_config().get("metadata", {})
        agent, manifest = metadata[AGENT], metadata[MANIFEST]
    except (RuntimeError, KeyError) as error:
        raise InterlockError("this code runs outside a node of an agent's graph") from error
    return bind(services(), agent, manifest)
