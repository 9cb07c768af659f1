"""A small project for tests of the run: one agent whose playbook a test writes, four trivial tools, few rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

TOOLS = {
    "note": ("read", "none", "contained", '    return f"noted {text}"'),
    "save": ("write", "write", "contained", '    Path("saved.txt").open("a").write(text)\n    return "saved"'),
    "send": ("publish", "none", "contained", '    return f"sent {text}"'),
    "charge": ("pay", "none", "external", '    return f"charged {text}"'),
}

RULES = """
rules:
  - {id: notes, effect: allow, owner: tests, agent: agent:tester, tool: [note, save]}
  - {id: charges, effect: allow, owner: tests, agent: agent:tester, tool: charge}
  - {id: sends, effect: ask, owner: tests, agent: agent:tester, tool: send, route: seniors}
  - {id: no_secrets, effect: deny, owner: tests, tool: note, when: [{argument: text, contains: secret}]}
  - {id: asks, effect: ask, owner: tests, agent: agent:tester, tool: interlock.ask, route: seniors}
  - {id: settles, effect: ask, owner: tests, agent: agent:tester, tool: interlock.settle, route: seniors}
"""

PEOPLE = """
users:
  - {name: alice, tenants: default}
  - {name: carol, tenants: default}
  - {name: dave, tenants: default}
"""


def small_project(into: Path, turns: list[dict[str, Any]], *, quorum: int = 1, expires: str = "1h") -> Path:
    """Write the project; `turns` is the playbook of its agent `tester`."""
    for folder in ("agents", "tools", "permissions", "workflows"):
        (into / folder).mkdir(parents=True)
    for name, (action, use, effects, body) in TOOLS.items():
        options = f'action="{action}", workspace="{use}", effects="{effects}"'
        lines = ["from pathlib import Path", "from interlock import tool", "", f"@tool({options})"]
        lines += [f"def {name}(text: str) -> str:", f'    """Do {name}."""', body, ""]
        (into / "tools" / f"{name}.py").write_text("\n".join(lines))
    names = list(TOOLS)
    (into / "agents" / "tester.py").write_text(
        f'from interlock import agent\n\ntester = agent("tester", prompt="Test.", tools={names!r})\n'
    )
    (into / "agents" / "tester.playbook.yaml").write_bytes(orjson.dumps(turns))
    permissions = into / "permissions"
    (permissions / "rules.yaml").write_text(RULES)
    (permissions / "people.yaml").write_text(PEOPLE)
    (permissions / "routes.yaml").write_text(
        "routes:\n  - {name: seniors, approvers: [user:carol, user:dave], "
        f"quorum: {quorum}, expires_after: {expires}}}\n"
    )
    (permissions / "profiles.yaml").write_text("profiles:\n  - {name: default}\n")
    (into / "pyproject.toml").write_text('[tool.interlock]\nname = "small"\n')
    return into


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    """One call of a playbook's turn."""
    return {"tool": tool, "arguments": arguments}
