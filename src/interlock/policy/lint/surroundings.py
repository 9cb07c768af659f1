"""The project around a policy, as far as the lint asks about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from interlock.definitions import ToolSchema


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Agents, tools, images and workflows of a project."""

    agents: Mapping[str, Mapping[str, str]]
    """Agent → each of its tools → `file:line` where it is named."""
    tools: Mapping[str, ToolSchema]
    """Every tool by name, also the engine's own."""
    places: Mapping[str, str]
    """Each of the project's own tools → `file:line`."""
    images: Collection[str] = ()
    workflows: Collection[str] = ()
    models: Collection[str] = field(default=())
    """Models that agents use; empty: prices are not looked at."""
