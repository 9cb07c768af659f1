"""`python -m interlock.project.describe_child ROOT [MODULE:FUNCTION]`: imports team code, prints what it defines.

Run by `describe()` in a process of its own with a bare environment. Standard output carries the one JSON answer;
what team code prints goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interlock.definitions import AgentDefinition
from interlock.project.description import ANNOUNCE, AgentDescription, ProjectDescription, WorkflowDescription
from interlock.project.load import find_agent, find_workflow, import_folder, mark_of
from interlock.project.problem import Problem

GraphCheck = Callable[[AgentDefinition], str]


def main(arguments: list[str]) -> int:
    """Describe the project at the first argument."""
    answer = os.dup(1)
    os.set_inheritable(answer, False)
    os.dup2(2, 1)
    found = describe_here(Path(arguments[0]), _named(arguments[1]) if arguments[1:] and arguments[1] else None)
    with os.fdopen(answer, "wb") as out:
        out.write(found.model_dump_json().encode())
    # Threads and exit handlers of team code must neither delay nor change the answer.
    os._exit(0)


def describe_here(root: Path, graph_check: GraphCheck | None) -> ProjectDescription:
    """Import everything in this process and describe it."""
    agents, agent_problems = import_folder(root, "agents", find_agent, _announce)
    classes, workflow_problems = import_folder(root, "workflows", find_workflow, _announce)
    problems = [*agent_problems, *workflow_problems]
    described: dict[str, AgentDescription] = {}
    for name, definition in agents.items():
        drawn = _draw(definition, graph_check)
        if isinstance(drawn, Problem):
            problems.append(drawn)
        described[name] = _agent(definition, "" if isinstance(drawn, Problem) else drawn)
    return ProjectDescription(
        agents=described,
        workflows={name: _workflow(workflow) for name, workflow in classes.items()},
        problems=tuple(problems),
    )


def _announce(path: str) -> None:
    print(f"{ANNOUNCE}{path}", file=sys.stderr, flush=True)


def _draw(definition: AgentDefinition, graph_check: GraphCheck | None) -> str | Problem:
    """Run the agent's graph once; its Mermaid text, or why it does not run."""
    if graph_check is None:
        return ""
    _announce(f"agents/{definition.name}.py")
    try:
        return graph_check(definition)
    except (Exception, SystemExit) as error:
        path = f"agents/{definition.name}.py"
        message = f"its graph fails when it is run once: {type(error).__name__}: {error}"
        code = getattr(definition.graph, "__code__", None)
        line = code.co_firstlineno if code is not None and code.co_filename.endswith(f"/{path}") else 1
        return Problem(file=path, line=line, message=message)


def _agent(definition: AgentDefinition, mermaid: str) -> AgentDescription:
    return AgentDescription(
        name=definition.name,
        prompt=definition.prompt,
        tools=definition.tools,
        model=definition.model,
        max_steps=definition.max_steps,
        max_tokens=definition.max_tokens,
        custom=definition.graph is not None,
        hand_off=definition.hand_off,
        context=None if definition.context is None else dict(definition.context),
        mermaid=mermaid,
    )


def _workflow(workflow: type) -> WorkflowDescription:
    mark = mark_of(workflow)
    schema: Any = getattr(mark, "input_schema", None) or {}
    return WorkflowDescription(
        name=mark.name,
        agents=tuple(mark.agents),
        description=mark.description,
        input_schema=json.loads(json.dumps(schema)),
        signals=json.loads(json.dumps(getattr(mark, "signals", {}))),
    )


def _named(text: str) -> GraphCheck:
    module, _, function = text.partition(":")
    check: GraphCheck = getattr(importlib.import_module(module), function)
    return check


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
