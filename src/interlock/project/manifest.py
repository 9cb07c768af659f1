"""Compiles the manifest: every part of the project by digest, every source in the blob store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

import interlock
from interlock.definitions import AgentEntry, Manifest, ToolEntry, ToolSchema, WorkflowEntry
from interlock.digest import canonical, digest_bytes
from interlock.errors import Conflict, ProjectError
from interlock.project.declared import declared_tools
from interlock.project.description import AgentDescription, ProjectDescription, WorkflowDescription, describe
from interlock.project.mount import CODE_FOLDERS
from interlock.project.problem import Problem, closest, in_order
from interlock.project.prompt import playbook_path, prompt_path
from interlock.project.snapshot import Snapshot, take_snapshot
from interlock.settings import Settings
from interlock.types.blobs import Blobs
from interlock.types.names import Digest


class CompileProblem(Protocol):
    """Why a tool does not compile."""

    @property
    def line(self) -> int: ...
    @property
    def message(self) -> str: ...


class Compiler(Protocol):
    """Derives tools' schemas in a sandbox."""

    def __call__(self, sources: Mapping[str, bytes], /) -> Mapping[str, ToolSchema | CompileProblem]:
        """`NAME.py` → source; answers under the same names."""
        ...


@dataclass
class CompiledTools:
    """The tools of a project, and what is wrong with those that are none."""

    entries: dict[str, ToolEntry] = field(default_factory=dict)
    sources: dict[Digest, bytes] = field(default_factory=dict)
    """What the entries pin."""
    places: dict[str, str] = field(default_factory=dict)
    """Tool → `file:line` where it is written."""
    problems: list[Problem] = field(default_factory=list)

    def add(self, entry: ToolEntry, source: bytes, line: int = 1) -> None:
        """Take a tool, unless its name is taken."""
        name = entry.schema_.name
        if name in self.entries:
            message = f"tool {name!r} is defined in {self.entries[name].path} too"
            self.problems.append(Problem(file=entry.path, line=line, message=message))
            return
        self.entries[name] = entry
        self.sources[entry.source] = source
        self.places[name] = f"{entry.path}:{line}"


def compile_tools(snapshot: Snapshot, compiler: Compiler) -> CompiledTools:
    """Every tool of the project by its name, and what is wrong with the others."""
    paths = {Path(path).name: path for path in snapshot.modules("tools").values()}
    answers = compiler({name: snapshot.files[path] for name, path in paths.items()}) if paths else {}
    found = CompiledTools()
    for name, path in paths.items():
        answer = answers.get(name)
        if answer is None:
            found.problems.append(Problem(file=path, line=1, message="the compiler gave no answer for this tool"))
        elif not isinstance(answer, ToolSchema):
            found.problems.append(Problem(file=path, line=max(answer.line, 1), message=answer.message))
        else:
            data = snapshot.files[path]
            found.add(ToolEntry(source=digest_bytes(data), path=path, schema_=answer), data)
    declared, problems = declared_tools(snapshot)
    found.problems += problems
    for tool in declared:
        found.add(tool.entry, tool.source, tool.line)
    return found


def compile_manifest(
    root: Path,
    settings: Settings,
    *,
    compiler: Compiler,
    policy: Digest,
    images: Mapping[str, str],
    boms: Mapping[str, bytes] = MappingProxyType({}),
    blobs: Blobs | None = None,
    graph_check: str = "",
) -> Manifest:
    """Pin the project as it is now.

    Args:
        root: the project's folder.
        settings: its name, and the state folder that keeps what is slow to find out.
        compiler: derives the tools' schemas.
        policy: digest of the policy bundle in force.
        images: image name → the engine's image id.
        boms: image name → its bill of materials, for those of which one was made.
        blobs: where every pinned source, and the manifest itself, goes; None only computes the digests.
        graph_check: see `describe`.

    Raises:
        ProjectError: a part is wrong or missing; all problems are listed.
        Conflict: files changed meanwhile.
        InvalidInput: an input schema has no canonical form.
        SandboxUnavailable: tools cannot be compiled.
        LedgerUnavailable: the blob store cannot be written.
    """
    snapshot = take_snapshot(root)
    description = describe(root, cache=settings.state_folder / "cache", graph_check=graph_check)
    if description.content != snapshot.digest_of_folders(CODE_FOLDERS):
        raise Conflict("the project's files changed while they were read", next_step="try again")
    compiled = compile_tools(snapshot, compiler)
    tools, problems = compiled.entries, list(compiled.problems)
    problems += [*snapshot.problems, *description.problems, *_unknown(snapshot, description, tools)]
    if problems:
        raise ProjectError(
            "the project has problems, so nothing of it runs",
            problems=tuple(map(str, in_order(problems))),
            next_step="run interlock check",
        )
    keep = _Keeper(blobs)
    for source in compiled.sources.values():
        keep(source)
    manifest = Manifest(
        project=settings.name,
        engine=interlock.__version__,
        agents={name: _agent(snapshot, agent, keep) for name, agent in description.agents.items()},
        tools=tools,
        workflows={name: _workflow(snapshot, entry, keep) for name, entry in description.workflows.items()},
        images=dict(images),
        boms={name: keep(document) for name, document in sorted(boms.items())},
        policy=policy,
    )
    keep(canonical(manifest.as_hashed()))
    return manifest


class _Keeper:
    """Gives bytes their digest, and keeps them where there is a store."""

    def __init__(self, blobs: Blobs | None) -> None:
        self._blobs = blobs

    def __call__(self, data: bytes) -> Digest:
        return self._blobs.put(data) if self._blobs is not None else digest_bytes(data)


def _unknown(
    snapshot: Snapshot, description: ProjectDescription, tools: Mapping[str, ToolEntry]
) -> Iterator[Problem]:
    """Names that lead nowhere: no manifest is made with one, also where nobody ran `interlock check`."""
    for name, agent in description.agents.items():
        path = f"agents/{name}.py"
        for tool in agent.tools:
            if tool not in tools:
                yield Problem(file=path, line=1, message=f"unknown tool {tool!r}", suggestion=closest(tool, tools))
        for one in agent.hand_off:
            if one not in description.agents:
                found = closest(one, description.agents)
                yield Problem(file=path, line=1, message=f"unknown agent {one!r} in hand_off", suggestion=found)
        prompt = prompt_path(agent.prompt)
        if prompt is not None and prompt not in snapshot.files:
            yield Problem(file=path, line=1, message=f"there is no prompt file {prompt} that can be read")
    for name, workflow in description.workflows.items():
        for one in workflow.agents:
            if one not in description.agents:
                message = f"unknown agent {one!r}"
                found = closest(one, description.agents)
                yield Problem(file=f"workflows/{name}.py", line=1, message=message, suggestion=found)


def _agent(snapshot: Snapshot, agent: AgentDescription, keep: _Keeper) -> AgentEntry:
    file = prompt_path(agent.prompt)
    playbook = snapshot.files.get(playbook_path(agent.name))
    source = keep(snapshot.files[f"agents/{agent.name}.py"])
    return AgentEntry(
        source=source,
        prompt=keep(agent.prompt.encode() if file is None else snapshot.files[file]),
        graph=source if agent.custom else keep(standard_graph()),
        playbook="" if playbook is None else keep(playbook),
        model=agent.model,
        tools=agent.tools,
        max_steps=agent.max_steps,
        max_tokens=agent.max_tokens,
        custom=agent.custom,
        hand_off=agent.hand_off,
        context=agent.context,
    )


def _workflow(snapshot: Snapshot, workflow: WorkflowDescription, keep: _Keeper) -> WorkflowEntry:
    return WorkflowEntry(
        source=keep(snapshot.files[f"workflows/{workflow.name}.py"]),
        agents=workflow.agents,
        input_schema=workflow.input_schema,
        signals=workflow.signals,
        description=workflow.description,
    )


_GRAPH_FOLDER: Final = Path(interlock.__file__).parent / "graph"


def standard_graph() -> bytes:
    """The engine's standard loop, as the canonical list of its source files and their digests."""
    return canonical([[p.name, digest_bytes(p.read_bytes())] for p in sorted(_GRAPH_FOLDER.glob("*.py"))])
