"""Rules out of recorded runs: they cover the calls that went well, under the same terms, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.decided import question, record
from support.events import ChainBuilder

from interlock.audit import Ledger, SqlBlobs
from interlock.errors import PolicyError
from interlock.events import ApprovalDecided, ApprovalRequested
from interlock.policy import decide, load_bundle
from interlock.run.suggesting import Suggested, good_calls, suggest

PEOPLE = """
users:
  - {name: alice, tenants: default}
  - {name: carol, tenants: default}
profiles:
  - {name: default}
  - {name: big, memory_mib: 2048}
routes:
  - {name: leads, approvers: user:carol, expires_after: 1h}
"""
RULES = """
rules:
  - {id: all_reads, effect: allow, owner: team, agent: 'agent:*', tool: read_file, profile: big}
  - {id: sends, effect: ask, owner: team, agent: 'agent:*', tool: send, route: leads}
  - {id: idle, effect: allow, owner: team, agent: 'agent:*', tool: idle}
  - {id: no_keys, effect: deny, owner: security, tool: read_file, when: [{argument: path, under: keys}]}
"""
CALLS = [
    question("read_file", {"path": "source/a.py"}),
    question("read_file", {"path": "source/b/c.py"}),
    question("read_file", {"path": "keys/a"}),
    question("send", {"to": "carol"}),
    question("send", {"to": "carol"}),
    question("unheard_of", {}),
]


class Place:
    """A policy folder and the two stores."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "permissions"
        self.folder.mkdir()
        self.ledger, self.blobs = Ledger(f"sqlite:///{root}/ledger.db"), SqlBlobs(f"sqlite:///{root}/blobs.db")

    def write(self, rules: str, people: str = PEOPLE) -> None:
        (self.folder / "people.yaml").write_text(people)
        (self.folder / "rules.yaml").write_text(rules)

    def record(self, **options: object) -> ChainBuilder:
        return record(self.ledger, self.blobs, load_bundle(self.folder), CALLS, **options)  # type: ignore[arg-type]

    def suggest(self, **options: object) -> Suggested:
        return suggest(self.ledger, self.blobs, self.folder, **options)  # type: ignore[arg-type]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    found = Place(tmp_path)
    found.write(RULES)
    yield found
    found.ledger.close()
    found.blobs.close()


def test_good_calls_become_narrow_rules(place: Place) -> None:
    place.record()
    found = place.suggest()
    rules = {one.rule.id: one.rule for one in found.suggestions}
    assert {(r.effect, r.tool, r.requester, r.profile, r.route, r.owner) for r in rules.values()} == {
        ("allow", ("read_file",), ("user:alice",), "big", None, "team"),
        ("ask", ("send",), ("user:alice",), None, "leads", "team"),
    }
    assert (found.decisions, found.good, found.uncovered) == (6, 4, ())


def test_suggestions_alone_decide_the_good_calls_alike(place: Place) -> None:
    place.record()
    text = place.suggest().text
    place.write(text)
    bundle = load_bundle(place.folder)
    assert [decide(bundle, one).verdict for one in CALLS] == ["allow", "allow", "deny", "ask", "ask", "deny"]
    assert decide(bundle, question("read_file", {"path": "docs/x"})).verdict == "deny"


def test_unfinished_calls_suggest_nothing(place: Place) -> None:
    place.record(finish=False)
    found = place.suggest()
    assert (found.suggestions, found.good, found.text) == ((), 0, "rules: []\n")


def test_unused_rules_are_named(place: Place) -> None:
    place.record()
    assert [str(one) for one in place.suggest().unused] == [
        "permissions/rules.yaml:5: rule 'idle' (allow, owner team) decided nothing"
    ]


def test_answered_questions_are_good(place: Place) -> None:
    chain = place.record(finish=False)
    call = f"{chain.run}:c4"
    asked = {"call_id": call, "agent": "agent:fixer", "tool": "send", "call_digest": chain.events[-1].call_digest}
    chain.add(
        ApprovalRequested,
        request_id=f"{chain.run}:a1",
        about="question",
        subject="",
        rule="sends",
        reason="why",
        route="leads",
        approvers=("user:carol",),
        quorum=1,
        expires_at=chain.events[-1].time,
        **asked,
    )
    chain.add(
        ApprovalDecided,
        request_id=f"{chain.run}:a1",
        verdict="respond",
        approver="user:carol",
        token="t",
        message="x",
        closes=True,
    )
    place.ledger.append(chain.run, chain.events)
    assert list(good_calls(place.ledger, [chain.run])) == [(chain.run, call)]
    assert [one.rule.effect for one in place.suggest().suggestions] == ["ask"]


def test_only_the_named_runs(place: Place) -> None:
    place.record(run="run-1")
    place.record(run="run-2")
    assert place.suggest(runs=["run-2"]).good == 4
    assert place.suggest().good == 8


def test_gone_route_is_told(place: Place) -> None:
    place.record()
    place.write("rules: []\n", PEOPLE.replace("name: leads", "name: other"))
    found = place.suggest()
    assert [one.rule.tool for one in found.suggestions] == [("read_file",)]
    assert any("route 'leads' is gone" in line for line in found.uncovered)


def test_gone_person_is_told(place: Place) -> None:
    place.record()
    place.write("rules: []\n", PEOPLE.replace("name: alice", "name: zoe"))
    found = place.suggest()
    assert found.suggestions == ()
    assert len(found.uncovered) == 4


def test_broken_policy_is_refused(place: Place) -> None:
    place.record()
    place.write("rules: [{id: x}]\n")
    with pytest.raises(PolicyError):
        place.suggest()


def test_ids_never_meet_those_of_the_policy(place: Place) -> None:
    place.write(RULES.replace("all_reads", "suggested_fixer_read_file"))
    place.record()
    assert "suggested_fixer_read_file_2" in {one.rule.id for one in place.suggest().suggestions}


def test_no_file_is_left_or_changed(place: Place) -> None:
    place.record()
    before = {path.name: path.read_bytes() for path in place.folder.iterdir()}
    place.suggest()
    assert {path.name: path.read_bytes() for path in place.folder.iterdir()} == before
