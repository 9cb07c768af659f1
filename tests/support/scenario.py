"""Projects whose agents, tools and rules a test writes in a few lines."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

Turns = Sequence[Mapping[str, Any]]

PEOPLE = """
users:
  - {name: alice, tenants: default}
  - {name: carol, tenants: default}
  - {name: dave, tenants: default}
"""
ROUTES = """
routes:
  - {name: seniors, approvers: [user:alice, user:carol, user:dave], quorum: 1, expires_after: 1h}
  - {name: pairs, approvers: [user:alice, user:carol, user:dave], quorum: 2, expires_after: 1h}
  - {name: hasty, approvers: [user:carol], quorum: 1, expires_after: 1s}
"""
SETTLES = {"id": "settles", "effect": "ask", "agent": "agent:*", "tool": "interlock.settle", "route": "seniors"}
ASKS = {"id": "asks", "effect": "ask", "agent": "agent:*", "tool": "interlock.ask", "route": "seniors"}


@dataclass(frozen=True)
class Tool:
    """A tool as a test writes it: `body` is what its function does, over the parameters `parameters`."""

    body: str
    options: str = 'action="act"'
    parameters: str = "text: str"
    returns: str = "str"

    def source(self, name: str) -> str:
        body = textwrap.indent(textwrap.dedent(self.body).strip(), "    ")
        return (
            "import os\nimport subprocess\nimport sys\nimport time\nfrom pathlib import Path\n"
            f"from interlock import tool\n\n@tool({self.options})\n"
            f'def {name}({self.parameters}) -> {self.returns}:\n    """Do {name}."""\n{body}\n'
        )


def allow(tool: str, **more: Any) -> dict[str, Any]:
    """A rule that allows a tool to every agent."""
    return {"id": f"allows_{tool}", "effect": "allow", "agent": "agent:*", "tool": tool, **more}


def ask(tool: str, route: str = "seniors", **more: Any) -> dict[str, Any]:
    """A rule that asks a route about a tool."""
    return {"id": f"asks_{tool}", "effect": "ask", "agent": "agent:*", "tool": tool, "route": route, **more}


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    """One call of a playbook's turn."""
    return {"tool": tool, "arguments": arguments}


def playbook(*calls: Mapping[str, Any]) -> Turns:
    """A turn for each call, then the end."""
    return [*({"say": f"turn {n}", "calls": [one]} for n, one in enumerate(calls, 1)), {"say": "done"}]


def write_rules(root: Path, rules: Sequence[Mapping[str, Any]]) -> None:
    """Put these rules in force in place of those before."""
    lines = [orjson.dumps({"owner": "tests", **rule}).decode() for rule in rules]
    (root / "permissions" / "rules.yaml").write_text("rules:\n" + "".join(f"  - {line}\n" for line in lines))


def project(
    root: Path,
    tools: Mapping[str, Tool],
    agents: Mapping[str, Turns],
    rules: Sequence[Mapping[str, Any]],
    *,
    profiles: str = "profiles:\n  - {name: default}\n",
    limits: Mapping[str, str] | None = None,
) -> Path:
    """Write a project. Every agent has every tool; `limits` are more arguments of an agent's definition."""
    for folder in ("agents", "tools", "permissions", "workflows"):
        (root / folder).mkdir(parents=True)
    for name, one in tools.items():
        (root / "tools" / f"{name}.py").write_text(one.source(name))
    for name, turns in agents.items():
        add_agent(root, name, turns, tools=list(tools), limits=(limits or {}).get(name, ""))
    write_rules(root, rules)
    for name, text in (("people", PEOPLE), ("routes", ROUTES), ("profiles", profiles)):
        (root / "permissions" / f"{name}.yaml").write_text(text)
    (root / "pyproject.toml").write_text('[tool.interlock]\nname = "scenario"\n')
    return root


def add_agent(root: Path, name: str, turns: Turns, *, tools: Sequence[str], limits: str = "") -> None:
    """Write one agent and its playbook."""
    definition = f'{name} = agent("{name}", prompt="Test.", tools={list(tools)!r}, {limits})'
    (root / "agents" / f"{name}.py").write_text(f"from interlock import agent\n\n{definition}\n")
    (root / "agents" / f"{name}.playbook.yaml").write_bytes(orjson.dumps(list(turns)))
