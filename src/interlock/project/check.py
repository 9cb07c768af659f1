"""`interlock check`: resolves every name of the project, and finds every mistake that needs no run to be found."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from interlock.definitions import ToolSchema
from interlock.definitions.agent import handing_to
from interlock.errors import ProjectError
from interlock.project.declared import DeclaredTool, declared_tools
from interlock.project.description import ProjectDescription, describe
from interlock.project.manifest import Compiler, compile_tools
from interlock.project.problem import Problem, closest, in_order
from interlock.project.prompt import check_playbook, check_prompt, playbook_path
from interlock.project.snapshot import Snapshot, take_snapshot
from interlock.project.source import Source, content_imports, parse
from interlock.project.tool_source import check_tool, tool_name

_MODEL = re.compile(r"default|scripted|(openai|anthropic):\S+")


@dataclass(frozen=True)
class KnownNames:
    """What a rule may name."""

    agents: frozenset[str]
    tools: frozenset[str]
    workflows: frozenset[str]
    declared: Mapping[str, ToolSchema] = field(default_factory=dict)
    """Contracts of the tools that tools/NAME.yaml declares."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Each of them → `file:line`."""


class PlacedMessage(Protocol):
    """A mistake in a policy file, as the policy reports it."""

    @property
    def source(self) -> str:
        """`file:line`."""
        ...

    @property
    def message(self) -> str: ...


class ReferenceCheck(Protocol):
    """Finds the rules that name nothing that exists."""

    def __call__(self, known: KnownNames, /) -> Iterable[PlacedMessage]: ...


@dataclass(frozen=True)
class Checks:
    """What other parts of the engine contribute to a check; what is absent is not checked."""

    compiler: Compiler | None = None
    references: ReferenceCheck | None = None
    profiles: Collection[str] | None = None
    """Sandbox profiles of permissions/."""
    graph_check: str = ""
    """`module:function`, see `describe`."""
    built_in_tools: Collection[str] = field(default=())
    """Calls that the engine makes itself and a rule may name."""


def check(root: Path, checks: Checks | None = None, *, cache: Path | None = None) -> list[Problem]:
    """Every mistake in the project at `root`, by file and line; an empty list means that it may run.

    Args:
        root: the project's folder.
        checks: the compiler, the policy's check, the profiles.
        cache: folder for what is slow to find out.

    Raises:
        SandboxUnavailable: a compiler was given and has no engine.
    """
    checks = checks or Checks()
    snapshot = take_snapshot(root)
    sources, problems = _parse_all(snapshot)
    problems += snapshot.problems
    declared, declared_problems = declared_tools(snapshot)
    tools, tool_problems = _tools(snapshot, sources, declared, checks)
    tool_problems += declared_problems
    description, description_problems = _describe(root, sources, problems, cache, checks.graph_check)
    problems += [*tool_problems, *description_problems]
    modules = {(folder, name) for folder in ("agents", "tools", "workflows") for name in snapshot.modules(folder)}
    for source in sources.values():
        problems += content_imports(source, modules)
    problems += _agents(snapshot, sources, description, tools)
    problems += _workflows(snapshot, sources, description)
    if checks.references is not None:
        agents = frozenset(snapshot.modules("agents"))
        schemas = {tool.schema.name: tool.schema for tool in declared}
        names = frozenset({*tools, *checks.built_in_tools})
        places = {tool.schema.name: f"{tool.path}:{tool.line}" for tool in declared}
        known = KnownNames(agents, names, frozenset(description.workflows), schemas, places)
        problems += map(_placed, checks.references(known))
    return in_order(problems)


def _parse_all(snapshot: Snapshot) -> tuple[dict[str, Source], list[Problem]]:
    sources: dict[str, Source] = {}
    problems: list[Problem] = []
    for folder in ("agents", "tools", "workflows"):
        for path in snapshot.modules(folder).values():
            parsed = parse(path, snapshot.files[path])
            if isinstance(parsed, Source):
                sources[path] = parsed
            else:
                problems.append(parsed)
    return sources, problems


def _tools(
    snapshot: Snapshot, sources: Mapping[str, Source], declared: Iterable[DeclaredTool], checks: Checks
) -> tuple[frozenset[str], list[Problem]]:
    """The tools' names; and their mistakes, those of the source before those of the compiler."""
    names: set[str] = {tool.schema.name for tool in declared}
    problems: list[Problem] = []
    for stem, path in snapshot.modules("tools").items():
        names.add(tool_name(sources[path], stem) if path in sources else stem)
        if path in sources:
            problems += check_tool(sources[path], stem, checks.profiles)
    if checks.compiler is not None:
        seen = {problem.file for problem in problems}
        compiled = compile_tools(snapshot, checks.compiler)
        names |= set(compiled.entries)
        # What is declared has been looked at already, but not beside what is Python.
        problems += [
            problem for problem in compiled.problems if problem.file not in seen and _counts(problem, sources)
        ]
    return frozenset(names), problems


def _counts(problem: Problem, sources: Mapping[str, Source]) -> bool:
    return problem.file in sources or problem.file.endswith(".yaml")


def _describe(
    root: Path, sources: Mapping[str, Source], problems: list[Problem], cache: Path | None, graph_check: str
) -> tuple[ProjectDescription, list[Problem]]:
    """What the agents and workflows define. A file with a syntax error is reported once."""
    try:
        found = describe(root, cache=cache, graph_check=graph_check)
    except ProjectError as error:
        return ProjectDescription(), [_from_line(line) for line in error.problems[:1]]
    broken = {problem.file for problem in problems if problem.file not in sources}
    return found, [problem for problem in found.problems if problem.file not in broken]


def _from_line(line: str) -> Problem:
    file, number, message = line.split(":", 2)
    return Problem(file=file, line=int(number), message=message.strip())


def _placed(found: PlacedMessage) -> Problem:
    file, _, line = found.source.rpartition(":")
    number = int(line) if line.isdecimal() else 0
    return Problem(file=file if number else found.source, line=max(number, 1), message=found.message)


def _agents(
    snapshot: Snapshot, sources: Mapping[str, Source], description: ProjectDescription, tools: Collection[str]
) -> Iterator[Problem]:
    for name, agent in description.agents.items():
        source = sources[f"agents/{name}.py"]
        for tool in agent.tools:
            if tool not in tools:
                yield source.problem(source.string(tool), f"unknown tool {tool!r}", closest(tool, tools))
        for one in agent.hand_off:
            if one not in snapshot.modules("agents"):
                found = closest(one, snapshot.modules("agents"))
                yield source.problem(source.string(one), f"unknown agent {one!r} in hand_off", found)
        if not _MODEL.fullmatch(agent.model):
            message = f"model {agent.model!r} is not default, scripted, openai:NAME or anthropic:NAME"
            yield source.problem(source.keyword("model", agent.model), message)
        yield from check_prompt(snapshot, source, agent.prompt)
        playbook = playbook_path(name)
        if playbook in snapshot.files:
            known = (*agent.tools, *map(handing_to, agent.hand_off))
            yield from check_playbook(playbook, snapshot.files[playbook], known)
    agents = snapshot.modules("agents")
    for path in sorted(snapshot.files):
        owner = path.removeprefix("agents/").removesuffix(".playbook.yaml")
        if path == playbook_path(owner) and owner not in agents:
            message = f"unknown agent {owner!r}: no agent uses this playbook"
            yield Problem(file=path, line=1, message=message, suggestion=closest(owner, agents))


def _workflows(
    snapshot: Snapshot, sources: Mapping[str, Source], description: ProjectDescription
) -> Iterator[Problem]:
    agents = snapshot.modules("agents")
    for name, workflow in description.workflows.items():
        source = sources[f"workflows/{name}.py"]
        for agent in workflow.agents:
            if agent not in agents:
                yield source.problem(source.string(agent), f"unknown agent {agent!r}", closest(agent, agents))
