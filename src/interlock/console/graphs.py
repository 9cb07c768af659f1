"""The graphs of agents, as far as they can be drawn without running a team's code in this process."""

from __future__ import annotations

from functools import lru_cache

from interlock.api.services import Services
from interlock.console.drawing import STANDARD, Drawing, drawn
from interlock.definitions import AgentEntry
from interlock.errors import InterlockError
from interlock.project import describe
from interlock.run.compilation import GRAPH_CHECK


def graph_of(held: Services, name: str, agent: AgentEntry) -> Drawing | None:
    """The drawing of an agent's graph: the engine's loop, or what a process without secrets tells of another."""
    if not agent.custom:
        return _standard()
    if held.settings.release:  # then no code of a team is on this machine
        return None
    try:
        own = held.settings
        found = describe(own.root, cache=own.state_folder / "cache", graph_check=GRAPH_CHECK).agents.get(name)
    except (InterlockError, OSError):
        return None
    return drawn(found.mermaid) if found is not None else None


@lru_cache(maxsize=1)
def _standard() -> Drawing | None:
    return drawn(STANDARD)
