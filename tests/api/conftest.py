"""One runtime with the API over it, for all of these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.api import Api, people_rules, serving
from support.runtime import running, settings_for
from support.scenario import ASKS, SETTLES, Tool, allow, ask, call, playbook, project

TOOLS = {
    "note": Tool("return f'noted {text}'", 'action="read", idempotent=True'),
    "send": Tool("return f'sent {text}'", 'action="publish"'),
    "sign": Tool("return f'signed {text}'", 'action="publish"'),
}
RULES = [allow("note"), ask("send"), ask("sign", "pairs"), ASKS, SETTLES, *people_rules()]
AGENTS: dict[str, Any] = {
    "noter": playbook(call("note", text="a")),
    "sender": playbook(call("send", text="hello")),
    "signer": playbook(call("sign", text="hello")),
    "quick": [{"say": "done"}],
}
ASKING = '''"""Asks."""

from interlock.workflow import Workflow, workflow


@workflow("asks", agents=["quick"])
class Asks(Workflow):
    """Asks."""

    async def steps(self, task):
        return await self.agent("quick", await self.ask("quick", "Which one?"))
'''


@pytest.fixture(scope="session")
async def api(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    root = project(tmp_path_factory.mktemp("api") / "project", TOOLS, AGENTS, RULES)
    (root / "workflows" / "asks.py").write_text(ASKING)
    async with running(settings_for(root, temporal_address, name="api")) as runtime, serving(runtime) as found:
        yield found
