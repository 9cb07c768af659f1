"""One runtime with the API over it, for all of these tests."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.api import Api, people_rules, serving
from support.runtime import running, settings_for
from support.scenario import ASKS, SETTLES, Tool, allow, ask, call, playbook, project

from interlock.signing import Signer, create_keys, load_signer

TOOLS = {
    "note": Tool("return f'noted {text}'", 'action="read", idempotent=True'),
    "send": Tool("return f'sent {text}'", 'action="publish"'),
    "seal": Tool("return f'sealed {text}'", 'action="publish"'),
    "pay": Tool("return f'paid {text}'", 'action="pay"'),
    "sign": Tool("return f'signed {text}'", 'action="publish"'),
}
ASKED = [ask("send"), ask("sign", "pairs"), ask("pay", "covered"), ask("seal", "sealed")]
RULES = [allow("note"), *ASKED, ASKS, SETTLES, *people_rules()]
AGENTS: dict[str, Any] = {
    "noter": playbook(call("note", text="a")),
    "sender": playbook(call("send", text="hello")),
    "sealer": playbook(call("seal", text="hello")),
    "payer": playbook(call("pay", text="hello")),
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


@pytest.fixture(scope="module")
async def api(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """Of one file: a graph worker's services are its process's, so that no other runtime may begin beside it."""
    folder = tmp_path_factory.mktemp("api")
    root = project(folder / "project", TOOLS, AGENTS, RULES)
    with (root / "permissions" / "routes.yaml").open("a") as file:
        file.write(
            "  - {name: covered, approvers: [user:carol], stand_ins: [user:dave], expires_after: 1h, "
            "grants: {longest: 8h, uses: 3, patterns: true}}\n"
        )
        file.write("  - {name: sealed, approvers: [user:carol], passkey: true, expires_after: 1h}\n")
    (root / "workflows" / "asks.py").write_text(ASKING)
    settings = settings_for(root, temporal_address, name=folder.name)
    async with running(settings) as runtime, serving(runtime) as found:
        yield found
    del runtime, found
    # What open runs leave is collected now, and not while Hypothesis parses source: see tests/conftest.py.
    gc.collect()


@pytest.fixture
def thief(tmp_path: Path) -> Signer:
    """A key of somebody else's, for the role of the API."""
    create_keys(tmp_path / "own")
    return load_signer(tmp_path / "own", "api")
