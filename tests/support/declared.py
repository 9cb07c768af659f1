"""Declared tools out of a few files of tools/, and a call of one in a real sandbox."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlock.definitions import ToolEntry
from interlock.project.declared import DeclaredTool, declared_tools
from interlock.project.problem import Problem
from interlock.project.snapshot import Snapshot
from interlock.run.fitting import fitted
from interlock.sandbox import SandboxCall, SandboxResult
from interlock.types import Profile, Tree


def compile_files(files: Mapping[str, Any]) -> tuple[dict[str, DeclaredTool], list[str]]:
    """The tools that files of tools/ declare, and the mistakes as lines. What is no text is written as JSON."""
    content = {
        f"tools/{name}": (text if isinstance(text, str) else json.dumps(text)).encode()
        for name, text in files.items()
    }
    tools, problems = declared_tools(Snapshot(Path("/nowhere"), content, ()))
    return {tool.schema.name: tool for tool in tools}, [_line(problem) for problem in problems]


def _line(problem: Problem) -> str:
    return str(problem)


def one(text: str, name: str = "t", **more: Any) -> DeclaredTool:
    """The one tool of tools/NAME.yaml; nothing may be wrong with it."""
    tools, problems = compile_files({f"{name}.yaml": text, **more})
    assert problems == []
    return next(iter(tools.values()))


def call_of(tool: DeclaredTool, arguments: dict[str, Any], **given: Any) -> SandboxCall:
    """A call of it."""
    limits = {"name": "default", "time_s": 20, "memory_mib": 128, **given.pop("limits", {})}
    return SandboxCall(
        **{
            "call_id": f"run-{secrets.token_hex(6)}:c1",
            "run": "run",
            "kind": tool.kind,
            "tool": tool.schema.name,
            "source": tool.source,
            "path": tool.path,
            "arguments": arguments,
            "workspace_use": tool.schema.workspace,
            "profile": Profile(**limits),
            **given,
        }
    )


async def run(driver: Any, blobs: Any, tool: DeclaredTool, **arguments: Any) -> SandboxResult:
    """Call it; its result as a run would take it. `_files`, `_limits`, `_image`, `_way_out` are not arguments."""
    given = {name[1:]: arguments.pop(name) for name in list(arguments) if name.startswith("_")}
    tree = given.pop("files", None) or Tree()
    call = call_of(tool, arguments, workspace=tree, **given)
    return fitted(ToolEntry(**dict(tool.entry)), await driver.run(call, blobs), tree)


def value(result: SandboxResult) -> Any:
    """What it returned; it must have come to a good end."""
    assert result.status == "ok", result.error
    return json.loads(result.value or b"null")
