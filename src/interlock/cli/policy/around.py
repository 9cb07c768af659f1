"""The project around a policy: agents, tools, workflows and images, each with the place where it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interlock.definitions import ToolSchema
    from interlock.policy import Problem
    from interlock.policy.lint import Surroundings
    from interlock.project import ProjectDescription, Snapshot
    from interlock.settings import Settings


def surroundings(own: Settings) -> tuple[Surroundings, list[Problem]]:
    """What the project has, and the mistakes for which something of it is missing.

    Raises:
        ProjectError: agents and workflows cannot be imported at all.
        SandboxUnavailable: tools cannot be compiled, so nothing can be said of them.
    """
    from interlock.policy import Problem
    from interlock.policy.lint import Surroundings
    from interlock.project import describe, take_snapshot
    from interlock.run.catalogue import built_in
    from interlock.run.compilation import GRAPH_CHECK
    from interlock.run.contracts import BUILT_IN_TOOLS
    from interlock.run.people import API_AGENT, people_tools

    snapshot = take_snapshot(own.root)
    description = describe(own.root, cache=own.state_folder / "cache", graph_check=GRAPH_CHECK)
    tools, places, problems = _tools(own, snapshot)
    problems += [Problem(f"{p.file}:{p.line}", p.message, "bad-project") for p in description.problems]
    around = Surroundings(
        agents={**_agents(snapshot, description), API_AGENT: {}},
        tools={**tools, **{name: built_in(name).schema_ for name in BUILT_IN_TOOLS}, **people_tools()},
        places=places,
        images=_images(own),
        workflows=frozenset(description.workflows),
        models=_models(own, description),
    )
    return around, problems


def _tools(own: Settings, snapshot: Snapshot) -> tuple[dict[str, ToolSchema], dict[str, str], list[Problem]]:
    from functools import partial

    from interlock.policy import Problem
    from interlock.project import compile_tools
    from interlock.sandbox import compile_tools as compiler

    cache = own.state_folder / "cache" / "tools"
    found = compile_tools(snapshot, partial(compiler, settings=own, cache=cache))
    problems = [Problem(f"{one.file}:{one.line}", one.message, "bad-project") for one in found.problems]
    return {name: entry.schema_ for name, entry in found.entries.items()}, found.places, problems


def _agents(snapshot: Snapshot, description: ProjectDescription) -> dict[str, dict[str, str]]:
    from interlock.project.source import Source, parse

    # An agent that cannot be imported has a name nevertheless.
    found: dict[str, dict[str, str]] = {name: {} for name in snapshot.modules("agents")}
    for name, agent in description.agents.items():
        path = f"agents/{name}.py"
        source = parse(path, snapshot.files[path])
        if isinstance(source, Source):
            lines = {tool: getattr(source.string(tool), "lineno", 1) for tool in agent.tools}
            found[name] = {tool: f"{path}:{line}" for tool, line in lines.items()}
    return found


def _models(own: Settings, description: ProjectDescription) -> frozenset[str]:
    return frozenset(
        own.model if agent.model == "default" else agent.model for agent in description.agents.values()
    )


def _images(own: Settings) -> frozenset[str]:
    folders = (own.root / "images").glob("sandbox-*")
    return frozenset({"default", *(folder.name.removeprefix("sandbox-") for folder in folders)})
