"""An agent that was denied asks for a rule; a person reviews it with its impact, and puts it into force."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.runtime import Runtime, running, settings_for
from support.small import call, small_project

from interlock.errors import InvalidInput, PolicyError
from interlock.policy import load_bundle
from interlock.run.proposals import Proposal, proposals
from interlock.run.rehearsal import Bundles, recorded
from interlock.run.renewal import Renewal
from interlock.run.review import consequences, review

pytestmark = pytest.mark.temporal

REQUEST = Path(__file__).parents[2] / "tools" / "request_permission.py"
RULES = """
rules:
  - {id: notes, effect: allow, owner: tests, agent: agent:tester, tool: [note, request_permission]}
  - {id: no_secrets, effect: deny, owner: tests, tool: note, when: [{argument: text, contains: secret}]}
"""
WHY = "the file must be kept"


def asks(tool: str) -> dict[str, object]:
    return {"tool": "request_permission", "arguments": {"tool": tool, "reason": WHY}}


TURNS = [
    {"calls": [call("save", text="one")]},
    {"calls": [call("note", text="secret")]},
    {"calls": [asks("save")]},
    {"calls": [asks("note")]},
    {"calls": [asks("charge")]},
    {"say": "done"},
]


@pytest.fixture(scope="module")
async def denied(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runtime]:
    """A run in which two calls were denied and three requests were filed."""
    root = small_project(tmp_path_factory.mktemp("asks") / "project", TURNS)
    (root / "tools" / "request_permission.py").write_text(REQUEST.read_text())
    tester = root / "agents" / "tester.py"
    tester.write_text(tester.read_text().replace("tools=[", "tools=['request_permission', "))
    (root / "permissions" / "rules.yaml").write_text(RULES)
    async with running(settings_for(root, temporal_address, name="asks")) as runtime:
        run = await runtime.start("agent_run", {"agent": "tester", "task": "go"})
        await runtime.client.wait(run)
        yield runtime


def filed(runtime: Runtime) -> dict[str, Proposal]:
    bundle = load_bundle(runtime.settings.root / "permissions")
    renewal = Renewal(runtime.ledger, runtime.blobs)
    return {p.tool: p for p in proposals(recorded(runtime.ledger, runtime.blobs), bundle, renewal)}


def test_requests_come_with_the_denied_calls(denied: Runtime) -> None:
    found = filed(denied)
    assert [(p.tool, p.state, p.by) for p in found.values()] == [
        ("save", "open", ()),
        ("note", "open", ("no_secrets",)),
        ("charge", "nothing denied", ()),
    ]
    assert [request.arguments for request in found["save"].denied] == [{"text": "one"}]
    assert found["save"].reason == WHY


def test_reviewed_rule_is_narrow_and_told_with_its_impact(denied: Runtime) -> None:
    folder = denied.settings.root / "permissions"
    found = review(filed(denied)["save"], folder, folder / "rules.yaml", effect="allow", route="", owner="tests")
    rule = found.suggestion.rule
    assert (rule.tool, rule.agent, rule.requester) == (("save",), ("agent:tester",), ("user:alice",))
    assert found.still_denied == ()
    assert "+  - id: suggested_tester_save" in found.diff
    records = recorded(denied.ledger, denied.blobs)
    change = consequences(found, records, Bundles(denied.blobs), Renewal(denied.ledger, denied.blobs))
    assert (change.changed, change.widened) == (1, 1)
    assert change.groups[0].kind == "newly allowed"


def test_rule_against_a_deny_says_that_it_helps_nothing(denied: Runtime) -> None:
    folder = denied.settings.root / "permissions"
    found = review(filed(denied)["note"], folder, folder / "rules.yaml", effect="allow", route="", owner="tests")
    assert any("no_secrets" in reason for reason in found.still_denied)


def test_asking_rule_needs_its_route(denied: Runtime) -> None:
    folder = denied.settings.root / "permissions"
    save = filed(denied)["save"]
    with pytest.raises(PolicyError, match="refused"):
        review(save, folder, folder / "rules.yaml", effect="ask", route="nobodys", owner="tests")
    found = review(save, folder, folder / "rules.yaml", effect="ask", route="seniors", owner="tests")
    assert found.suggestion.rule.route == "seniors"


def test_request_about_nothing_denied_gives_no_rule(denied: Runtime) -> None:
    folder = denied.settings.root / "permissions"
    with pytest.raises(InvalidInput, match="no call of 'charge' was denied"):
        review(filed(denied)["charge"], folder, folder / "rules.yaml", effect="allow", route="", owner="tests")


@pytest.mark.parametrize(("name", "reason"), [("people.yaml", "not the last list"), ("../x.yaml", "is not in")])
def test_file_that_takes_no_rule_is_refused(denied: Runtime, name: str, reason: str) -> None:
    folder = denied.settings.root / "permissions"
    with pytest.raises(InvalidInput, match=reason):
        review(filed(denied)["save"], folder, folder / name, effect="allow", route="", owner="tests")


def test_file_that_changed_since_is_not_overwritten(denied: Runtime) -> None:
    folder = denied.settings.root / "permissions"
    found = review(filed(denied)["save"], folder, folder / "new.yaml", effect="allow", route="", owner="tests")
    (folder / "new.yaml").write_text("rules: []\n")
    with pytest.raises(InvalidInput, match="changed meanwhile"):
        found.apply()
    (folder / "new.yaml").unlink()


def test_applied_rule_grants_and_closes_the_request(denied: Runtime) -> None:
    folder = denied.settings.root / "permissions"
    review(filed(denied)["save"], folder, folder / "granted.yaml", effect="allow", route="", owner="tests").apply()
    assert filed(denied)["save"].state == "granted"
