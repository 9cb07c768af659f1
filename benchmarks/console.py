"""How long the console's server takes for a page, with many runs and many requests that wait.

    python benchmarks/console.py [--json] [--check] [--quick]

A real runtime makes one run whose card can be proven. Beside it, rows of runs and requests are put into the read
models of its ledger, which is what lists are read from. Pages are asked for one after the other, by somebody who is
signed in, straight from the application: no network, no browser. Figures are milliseconds from the request to the
last byte.

Goal, at 100,000 runs and 1,000 requests that wait: 95 of 100 pages within 100 ms, each page by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from parts import cpu, in_process_settings, new_project, temporal_server, write_agent

from interlock.api.app import create_app
from interlock.audit import Ledger
from interlock.console import FOLDER, frame, routers
from interlock.digest import canonical
from interlock.project import mount
from interlock.run.client import RunClient
from interlock.run.compilation import compiled
from interlock.run.connection import connect
from interlock.run.executor_worker import executor_worker, make_executor
from interlock.run.graph_worker import Content, graph_worker
from interlock.signing import load_signer

GOAL_MS = 100.0
TOOL = '''from interlock import tool

@tool(action="publish")
def send(text: str) -> str:
    """Send it."""
    return text
'''
RULES = """
rules:
  - {id: asks, effect: ask, owner: benchmarks, agent: "agent:*", tool: send, route: seniors}
  - {id: people, effect: allow, owner: benchmarks, agent: "agent:interlock.api", tool: "interlock.*.*"}
"""
PEOPLE = "users:\n  - {name: alice, tenants: default}\n  - {name: carol, tenants: default}\n"
ROUTES = "routes:\n  - {name: seniors, approvers: [user:carol], quorum: 1, expires_after: 30d}\n"


def many(database: Path, runs: int, waiting: int, closed: int) -> None:
    """Rows beside those of the real run: copies of them under other ids, over the last months."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        run = dict(connection.execute("SELECT * FROM runs").fetchone())
        asked = dict(connection.execute("SELECT * FROM approvals").fetchone())
        begin = datetime.now(UTC) - timedelta(days=90)
        step = timedelta(days=89) / runs
        rows = []
        for number in range(runs):
            at = (begin + number * step).isoformat(timespec="microseconds")
            ended = {"status": "completed", "ended_at": at, "waiting": 0}
            rows.append({**run, **ended, "run": f"copy-{number:06}", "started_at": at, "updated_at": at})
        _insert(connection, "runs", rows)
        requests = []
        for number in range(waiting + closed):
            own = {"request_id": f"copy-{number:06}:a1", "run": f"copy-{number:06}"}
            state = {} if number < waiting else {"state": "consumed", "decided_by": "user:carol"}
            requests.append({**asked, **own, **state, "requested_at": rows[number]["started_at"]})
        _insert(connection, "approvals", requests)
        connection.commit()


def _insert(connection: sqlite3.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    names = list(rows[0])
    places = ", ".join("?" for _ in names)
    connection.executemany(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})",
        [[row[name] for name in names] for row in rows],
    )


async def measure(folder: Path, address: str, *, runs: int, waiting: int, times: int) -> dict[str, Any]:
    """Every page's figures."""
    root = folder / "project"
    new_project(root, "send", TOOL, RULES, "profiles:\n  - {name: default}\n")
    (root / "permissions" / "people.yaml").write_text(PEOPLE)
    (root / "permissions" / "routes.yaml").write_text(ROUTES)
    write_agent(
        root, "sender", 'prompt="Send.", tools=["send"]', [{"say": "x", "calls": [_call()]}, {"say": "done"}]
    )
    settings = in_process_settings(root, address, name="console")
    async with AsyncExitStack() as stack:
        temporal = await connect(settings)
        mount(settings.root, replace=True)
        executor = make_executor(settings)
        content = Content.load(settings.root)
        manifest = compiled(settings, executor.blobs)
        client = RunClient(temporal, settings, executor.blobs, load_signer(settings.keys_folder, "api"))
        await stack.enter_async_context(executor_worker(temporal, settings, executor))
        await stack.enter_async_context(graph_worker(temporal, settings, content))
        run = await client.start(manifest, "sender", "go", requester="user:alice")
        request = await _waiting(executor.ledger, run)
        database = Path(settings.effective_ledger_url.removeprefix("sqlite:///"))
        many(database, runs, waiting, closed=min(runs - waiting, 10 * waiting))
        for number in range(waiting):
            executor.blobs.of(f"copy-{number:06}").put(canonical(_call()["arguments"]))
        app = create_app(settings, routers(), static=FOLDER, frame=frame)
        await stack.enter_async_context(app.router.lifespan_context(app))
        transport = httpx.ASGITransport(app=app)
        browser = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8400")
        )
        code = app.state.services.accounts.links.make("user:carol", "default", now=datetime.now(UTC))
        await browser.post("/sign-in/link", data={"code": code})
        middle = executor.ledger.find_runs(1, tenant="default", text=f"copy-{runs // 2:06}")[0].cursor
        pages = {
            "inbox": "/",
            "card": f"/approvals/{request}",
            "decided": "/inbox/decided",
            "runs": "/runs",
            "runs, in the middle": f"/runs?before={middle.replace('+', '%2B')}",
            "runs, by person": "/runs?person=alice",
            "runs, by a part that few have": f"/runs?text={run[-6:]}",
            "run": f"/runs/{run}",
            "policy": "/policy",
        }
        found = {name: await _timed(browser, path, times) for name, path in pages.items()}
        await client.control(run, "cancel", by="user:alice")
        await client.wait(run)
    await executor.driver.close()
    return found


def _call() -> dict[str, Any]:
    return {"tool": "send", "arguments": {"text": "x" * 200}}


async def _waiting(ledger: Ledger, run: str) -> str:
    while not (rows := ledger.approvals(run=run)):
        await asyncio.sleep(0.05)
    return rows[0].request_id


async def _timed(browser: httpx.AsyncClient, path: str, times: int) -> dict[str, float]:
    took = []
    for number in range(times + 2):
        begin = time.perf_counter()
        answer = await browser.get(path)
        if answer.status_code != 200:
            raise SystemExit(f"{path}: {answer.status_code}: {answer.text[:500]}")
        if number >= 2:  # the first two load templates and code
            took.append((time.perf_counter() - begin) * 1000)
    took.sort()
    p95 = took[min(len(took) - 1, -(-len(took) * 95 // 100) - 1)]
    return {"p50_ms": round(took[len(took) // 2], 1), "p95_ms": round(p95, 1)}


def main() -> int:
    """Measure, tell, and say whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--check", action="store_true", help="exit 1 where the goal is missed")
    parser.add_argument("--quick", action="store_true", help="2,000 runs, 50 requests, few repetitions")
    given = parser.parse_args()
    size = (
        {"runs": 2_000, "waiting": 50, "times": 5}
        if given.quick
        else {"runs": 100_000, "waiting": 1_000, "times": 60}
    )
    with tempfile.TemporaryDirectory(prefix="interlock-") as name:
        folder = Path(name)
        with temporal_server(folder) as address:
            found = asyncio.run(measure(folder, address, **size))
    missed = {page: one["p95_ms"] for page, one in found.items() if one["p95_ms"] > GOAL_MS}
    if given.json:
        print(json.dumps({"cpu": cpu(), **size, "pages": found, "missed": missed}, indent=1))
    else:
        print(
            f"{cpu()}; {size['runs']} runs, {size['waiting']} requests that wait, each page {size['times']} times"
        )
        for page, one in found.items():
            print(f"{page:<32} p50 {one['p50_ms']:>7} ms   p95 {one['p95_ms']:>7} ms")
    return 1 if given.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
