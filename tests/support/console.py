"""The console on a running runtime, for browsers: real Temporal, real ledger, real policy, real accounts."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from playwright.async_api import Browser, BrowserContext, Page, async_playwright
from support.runtime import Runtime, running, settings_for
from support.scenario import ASKS, SETTLES, Tool, allow, ask, project

from interlock.api.app import create_app
from interlock.api.services import Services
from interlock.console import FOLDER, frame, routers

CHROMIUM = "/usr/bin/chromium"
LOOKS = {"id": "people_look", "effect": "allow", "agent": "agent:interlock.api", "tool": "interlock.*.read"}
ACTS = {
    "id": "people_act",
    "effect": "allow",
    "agent": "agent:interlock.api",
    "tool": [
        "interlock.approvals.decide",
        "interlock.runs.control",
        "interlock.audit.verify",
        "interlock.accounts.write",
    ],
}
TOOLS = {
    "send": Tool(
        'return f"sent {text}"',
        options='action="publish", resource="mail:{to}", sentence="Send {text} to {to}"',
        parameters="to: str, text: str, copies: int = 1, urgent: bool = False, "
        'tone: Literal["plain", "warm"] = "plain"',
    ),
    "save": Tool(
        'Path("notes.txt").write_text(text)\nreturn "saved"',
        options='action="write", workspace="write", preview="workspace_diff"',
    ),
    "pay": Tool('return f"paid {text}"', options='action="pay"'),
    "post": Tool('return f"posted {text}"', options='action="post"'),
    "wire": Tool('return f"wired {text}"', options='action="pay"'),
    "note": Tool('return f"noted {text}"', options='action="read"'),
}
RULES = [
    allow("note"),
    ask("send"),
    ask("save"),
    ask("post", "granting"),
    ask("pay", "staged"),
    ask("wire", "signed"),
    ASKS,
    SETTLES,
    LOOKS,
    ACTS,
]

STAGED = """
  - name: granting
    approvers: [user:carol, user:dave]
    quorum: 1
    expires_after: 1h
    grants: {longest: 8h, uses: 20}
  - {name: signed, approvers: [user:carol, user:dave], quorum: 1, expires_after: 1h, passkey: true}
  - name: staged
    stages:
      - {name: team, approvers: [user:carol, user:dave], quorum: 1, expires_after: 1h}
      - {name: board, approvers: [user:dave, user:erin], quorum: 1, expires_after: 1h}
    stand_ins: [user:erin]
    emergency: {approvers: [user:erin], reviewers: [user:carol, user:dave], review_within: 1h}
"""


def console_project(root: Path, agents: dict[str, Any], **options: Any) -> Path:
    """A project whose `send` and `save` ask, and whose people may use the console."""
    made = project(root, TOOLS, agents, RULES, **options)
    tool = made / "tools" / "send.py"
    tool.write_text(f"from typing import Literal\n{tool.read_text()}")
    for name, more in (
        ("routes", STAGED),
        ("people", "  - {name: erin, tenants: default}\n  - {name: eve, tenants: other}\n"),
    ):
        file = made / "permissions" / f"{name}.yaml"
        file.write_text(file.read_text().rstrip() + "\n" + more.lstrip("\n"))
    return made


@dataclass
class Console:
    """A served console, and a browser before it."""

    runtime: Runtime
    address: str
    browser: Browser
    held: Services

    async def as_(self, person: str, **options: Any) -> Person:
        """Sign somebody in by a link, as people do; each has a browser profile of their own."""
        context = await self.browser.new_context(**options)
        context.set_default_timeout(10_000)
        page = await context.new_page()
        seen = Person(self, context, page)
        seen.listen()
        code = self.held.accounts.links.make(f"user:{person}", self.runtime.settings.tenant, now=datetime.now(UTC))
        await page.goto(f"{self.address}/sign-in/link?code={code}")
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("heading", name="Inbox").wait_for()
        return seen


class Person:
    """Somebody at a browser, and everything that their pages complained of."""

    def __init__(self, console: Console, context: BrowserContext, page: Page) -> None:
        self.console, self.context, self.page = console, context, page
        self.complaints: list[str] = []

    def listen(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._dialog)

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    async def _dialog(self, dialog: Any) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    async def open(self, path: str) -> None:
        await self.page.goto(f"{self.console.address}{path}")

    async def shot(self, name: str) -> None:
        folder = os.environ.get("INTERLOCK_TEST_SCREENSHOTS") or str(self.console.runtime.settings.root / "shots")
        Path(folder).mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=f"{folder}/{name}.png", full_page=True)

    async def close(self) -> None:
        await self.context.close()


@asynccontextmanager
async def served(root: Path, temporal: str, *, name: str) -> AsyncIterator[Console]:
    """A runtime in `root`, its console on a free port, and Chromium, until the block ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        address = f"http://localhost:{listener.getsockname()[1]}"  # passkeys are bound to a name
        settings = settings_for(root, temporal, name=name, listen=where, public_url=address)
        async with running(settings) as runtime:
            app = create_app(settings, routers(), static=FOLDER, frame=frame)
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
            task = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started:
                assert not task.done(), task.exception()
                await asyncio.sleep(0.02)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                yield Console(runtime, address, browser, app.state.services)
                await browser.close()
            server.should_exit = True
            await task
