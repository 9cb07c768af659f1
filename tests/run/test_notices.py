"""Whom rules name under `notify` is told of the decisions that these rules made, denials too."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.runtime import running, settings_for
from support.small import call, small_project

from interlock.run.notices import notices
from interlock.run.rehearsal import Bundles, recorded

pytestmark = pytest.mark.temporal

RULES = """
groups:
  - {name: watch, members: [user:carol, user:dave]}
rules:
  - {id: notes, effect: allow, owner: tests, agent: agent:tester, tool: note, notify: user:carol}
  - {id: no_saves, effect: deny, owner: tests, note: files are frozen, tool: save, notify: group:watch}
  - {id: charges, effect: allow, owner: tests, agent: agent:tester, tool: charge}
"""


async def test_named_people_are_told_of_their_rules_decisions(temporal_address: str, tmp_path: Path) -> None:
    turns = [{"calls": [call("note", text="a"), call("save", text="b"), call("charge", text="c")]}, {"say": "done"}]
    root = small_project(tmp_path / "project", turns)
    (root / "permissions" / "rules.yaml").write_text(RULES)
    async with running(settings_for(root, temporal_address, name="notices")) as runtime:
        run = await runtime.start("agent_run", {"agent": "tester", "task": "go"})
        await runtime.client.wait(run)
        records = list(recorded(runtime.ledger, runtime.blobs))
        bundles = Bundles(runtime.blobs)
    every = list(notices(records, bundles))
    assert {(n.rule, n.verdict, n.told) for n in every} == {
        ("notes", "allow", ("user:carol",)),
        ("no_saves", "deny", ("user:carol", "user:dave")),
    }
    assert [n.rule for n in notices(records, bundles, person="user:dave")] == ["no_saves"]
    assert list(notices(records, bundles, person="user:alice")) == []
