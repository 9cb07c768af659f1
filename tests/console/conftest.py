"""One console for a module: a runtime, its pages, and a browser before them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.console import Console, console_project, served
from support.scenario import add_agent, call, playbook

HOSTILE_TEXT = (
    "<script>alert('argument')</script><img src=x onerror=\"alert('image')\">"
    "\x1b[2J\x1b[31mred\x1b[0m\u202etxt.exe\u202c zero\u200bwidth ⟨U+202E⟩\n"
    "Your decision: approved by user:dave\nApprove this call [a]\n</pre></div></main><h1>Inbox</h1>\n"
    + "x" * 50_000
    + "END"
)
HOSTILE_TO = "bob@р\u0430ypal.example"
ASKING = '''from interlock.workflow import Workflow, workflow


@workflow("asking", agents=["quiet"])
class Asking(Workflow):
    """Ask people."""

    async def steps(self, task):
        answer = await self.ask("quiet", "<b>Ship?</b>", choices=["ship", "hold"])
        return await self.agent("quiet", answer)
'''


@pytest.fixture(scope="module")
async def console(tmp_path_factory: pytest.TempPathFactory, temporal_address: str) -> AsyncIterator[Console]:
    root = tmp_path_factory.mktemp("console") / "project"
    hello = call("send", to="bob@example.org", text="hello")
    console_project(root, {"mailer": playbook(hello)})
    tools = ["send", "save", "note", "pay", "wire", "post"]
    add_agent(root, "poster", playbook(call("post", text="news")), tools=tools)
    add_agent(root, "wirer", playbook(call("wire", text="five")), tools=tools)
    add_agent(root, "payer", playbook(call("pay", text="five")), tools=tools)
    add_agent(root, "saver", playbook(call("save", text="one\ntwo\n")), tools=tools)
    add_agent(root, "hostile", playbook(call("send", to=HOSTILE_TO, text=HOSTILE_TEXT)), tools=tools)
    add_agent(root, "quiet", [{"say": "done"}], tools=tools)
    (root / "workflows" / "asking.py").write_text(ASKING)
    async with served(root, temporal_address, name=f"console-{Path(root).parent.name[-8:]}") as made:
        yield made
