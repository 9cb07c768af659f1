"""The project that suffers: tools of every kind of effect, which say when they begin and when they have had it."""

from __future__ import annotations

from pathlib import Path

from support.scenario import SETTLES, Tool, allow, ask, call, playbook, project

BEGUN = "print('begun', flush=True)\n"
DONE = "print('done', flush=True)\ntime.sleep(0.3)\n"
LOG = f"""
{BEGUN}time.sleep(0.2)
with Path('log.txt').open('a') as log:
    log.write(text + '\\n')
{DONE}return 'appended ' + text
"""
POST = f"""
import urllib.request
order = Path('order.txt').read_text()
{BEGUN}time.sleep(0.2)
address = 'http://localhost:PORT/NAME/' + order
asked = urllib.request.Request(address, data=b'x', headers=dict(KEY))
with urllib.request.urlopen(asked, timeout=10) as answer:
    answer.read()
{DONE}return 'did it for ' + order
"""
LONG = f"""
{BEGUN}for _ in range(25):
    print('.', flush=True)
    time.sleep(0.2)
{DONE}return 'thought about ' + text
"""
OUTSIDE = ("pay", "book", "publish")
"""Tools that the world outside counts: each is called at most once in a run."""
AGENTS = {
    "writer": playbook(call("append", text="once"), call("append", text="twice")),
    "payer": playbook(call("pay", text="ten")),
    "booker": playbook(call("book", text="it")),
    "publisher": playbook(call("publish", text="it")),
    "ponderer": playbook(call("ponder", text="it")),
    "clerk": playbook(call("append", text="once"), call("pay", text="ten"), call("book", text="it")),
}
APPENDED = {"writer": "once\ntwice\n", "clerk": "once\n"}
"""What a run that came to its end has written, where each of its calls went well."""
PROFILES = "profiles:\n  - {name: default, time_s: 30, memory_mib: 128, warm_max: 1}\n"


def errands(root: Path, port: int) -> Path:
    """Write the project; the world outside listens on `port`."""
    return project(root, _tools(port), AGENTS, _rules(port), profiles=PROFILES)


def _tools(port: int) -> dict[str, Tool]:
    def post(name: str, key: str = "()") -> str:
        return POST.replace("PORT", str(port)).replace("NAME", name).replace("(KEY)", f"({key})")

    reads = 'effects="external", workspace="read"'
    return {
        "append": Tool(LOG, 'action="write", workspace="write"'),
        "pay": Tool(post("pay"), f'action="pay", {reads}'),
        "book": Tool(post("book", "[('Idempotency-Key', order)]"), f'action="book", {reads}, idempotent=True'),
        "publish": Tool(post("publish"), f'action="publish", {reads}'),
        "ponder": Tool(LONG),
    }


def _rules(port: int) -> list[dict[str, object]]:
    def reach(name: str) -> list[dict[str, object]]:
        there = {"host": "localhost", "port": port, "scheme": "http", "private": True}
        return [{**there, "methods": ["POST"], "paths": [f"/{name}/*"]}]

    return [
        allow("append"),
        allow("pay", egress=reach("pay")),
        allow("book", egress=reach("book")),
        allow("ponder"),
        ask("publish", egress=reach("publish")),
        SETTLES,
    ]
