"""Recorded decisions under a candidate: what would change, which way, and what it would cost people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.decided import question, record

from interlock.audit import Ledger, SqlBlobs
from interlock.policy import Bundle, load_bundle
from interlock.run.impact import Impact, impact
from interlock.run.rehearsal import Bundles, Recorded, Unanswered, Unreadable, recorded, redecide

PEOPLE = """
users:
  - {name: alice, tenants: default}
  - {name: carol, tenants: default}
  - {name: dave, tenants: default}
  - {name: erin, tenants: default}
profiles:
  - {name: default}
  - {name: small, memory_mib: 128}
routes:
  - {name: leads, approvers: [user:carol, user:dave], quorum: 1, expires_after: 1h}
  - {name: pairs, approvers: [user:carol, user:dave], quorum: 2, expires_after: 1h}
  - {name: crowd, approvers: [user:carol, user:dave, user:erin], quorum: 1, expires_after: 1h}
rules:
"""
READS = "  - {id: reads, effect: allow, owner: team, agent: 'agent:*', tool: read_file}\n"
SENDS = "  - {id: sends, effect: ask, owner: team, agent: 'agent:*', tool: send, route: leads}\n"
SECRETS = (
    "  - {id: secrets, effect: deny, owner: security, tool: read_file, when: [{argument: path, under: secret}]}\n"
)
CALLS = [
    question("read_file", {"path": "source/a.py"}),
    question("read_file", {"path": "secret/key"}),
    question("send", {"text": "hello"}),
    question("drop", {"table": "users"}),
]

Rehearse = Callable[..., Impact]


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[Ledger, SqlBlobs]]:
    ledger, blobs = Ledger(f"sqlite:///{tmp_path}/ledger.db"), SqlBlobs(f"sqlite:///{tmp_path}/blobs.db")
    yield ledger, blobs
    ledger.close()
    blobs.close()


@pytest.fixture
def policy(tmp_path: Path) -> Callable[[str], Bundle]:
    def load(rules: str) -> Bundle:
        folder = tmp_path / "permissions"
        folder.mkdir(exist_ok=True)
        (folder / "all.yaml").write_text(PEOPLE + rules)
        return load_bundle(folder)

    return load


@pytest.fixture
def rehearse(stores: tuple[Ledger, SqlBlobs], policy: Callable[[str], Bundle]) -> Rehearse:
    """What becomes of CALLS, decided under the first rules, under the second ones."""

    def run(before: str, after: str, calls: Any = CALLS, **options: Any) -> Impact:
        ledger, blobs = stores
        record(ledger, blobs, policy(before), calls)
        return impact(policy(after), recorded(ledger, blobs), Bundles(blobs), **options)

    return run


def test_same_policy_changes_nothing(rehearse: Rehearse) -> None:
    found = rehearse(READS + SENDS + SECRETS, SENDS + SECRETS + READS)
    assert (found.decisions, found.changed, found.safe, found.groups) == (4, 0, True, ())


def test_dropped_guardrail_is_newly_allowed(rehearse: Rehearse) -> None:
    found = rehearse(READS + SENDS + SECRETS, READS + SENDS)
    (group,) = found.groups
    assert (group.kind, group.widened, group.count, found.safe) == ("newly allowed", True, 1, False)
    assert (group.before.rule, group.after.rule) == ("secrets", "reads")
    assert (group.example.run, group.example.call, group.example.tool) == ("run-1", "c2", "read_file")
    assert group.after.source.startswith("permissions/all.yaml:")


def test_newly_allowed_is_told_first(rehearse: Rehearse) -> None:
    drops = "  - {id: drops, effect: ask, owner: team, agent: 'agent:*', tool: drop, route: leads}\n"
    free = "  - {id: free, effect: allow, owner: team, agent: 'agent:*', tool: send}\n"
    found = rehearse(READS + SENDS + SECRETS, drops + free)
    told = [(group.kind, group.widened) for group in found.groups]
    assert told == [("newly allowed", True), ("newly asks", True), ("newly denied", False)]


def test_newly_denied_is_safe(rehearse: Rehearse) -> None:
    found = rehearse(READS + SENDS, SENDS)
    assert [group.kind for group in found.groups] == ["newly denied"]
    assert (found.safe, found.groups[0].count) == (True, 2)


def test_ask_in_place_of_allow_is_no_widening(rehearse: Rehearse) -> None:
    asks = "  - {id: reads, effect: ask, owner: team, agent: 'agent:*', tool: read_file, route: pairs}\n"
    found = rehearse(READS + SENDS, asks + SENDS)
    assert [(g.kind, g.widened) for g in found.groups] == [("newly asks", False)]
    assert (found.before.approvals, found.before.asks) == (1, 1)
    assert (found.after.approvals, found.after.asks) == (5, 3)


@pytest.mark.parametrize(
    ("route", "widened", "said"),
    [
        ("pairs", False, "needs 2 of route pairs instead of 1 of route leads"),
        ("crowd", True, "may be approved by user:erin too"),
    ],
)
def test_other_people_are_told(rehearse: Rehearse, route: str, widened: bool, said: str) -> None:
    found = rehearse(SENDS, SENDS.replace("leads", route))
    (group,) = found.groups
    assert (group.kind, group.widened) == ("other terms", widened)
    assert said in group.details


@pytest.mark.parametrize(
    ("was", "now", "widened"),
    [
        ("", ", egress: example.org", True),
        (", egress: [a.example.org, b.example.org]", ", egress: a.example.org", False),
        (", limits: {time_s: 10}", ", limits: {time_s: 20}", True),
        (", limits: {time_s: 10}", "", True),
        (", limits: {time_s: 10}", ", limits: {time_s: 5, pids: 8}", False),
        (", redact: 'AKIA[0-9A-Z]+'", "", True),
        ("", ", redact: 'AKIA[0-9A-Z]+'", False),
        (", profile: small", ", profile: default", False),
    ],
)
def test_looser_obligations_are_widening(rehearse: Rehearse, was: str, now: str, widened: bool) -> None:
    rule = "  - {{id: reads, effect: allow, owner: team, agent: 'agent:*', tool: read_file{}}}\n"
    (group,) = rehearse(rule.format(was), rule.format(now)).groups
    assert (group.kind, group.widened, bool(group.details)) == ("other terms", widened, True)


def test_comparing_with_other_files(rehearse: Rehearse, policy: Callable[[str], Bundle]) -> None:
    found = rehearse(READS, READS + SENDS, instead_of=policy(READS + SENDS))
    assert found.changed == 0


def test_missing_request_is_not_passed_over(
    rehearse: Rehearse, stores: tuple[Ledger, SqlBlobs], policy: Callable[[str], Bundle]
) -> None:
    ledger, blobs = stores
    bundle = policy(READS)
    record(ledger, blobs, bundle, CALLS[:1])
    (event,) = ledger.decided()
    lost = event.model_copy(update={"request": "sha256:" + "0" * 64})
    found = impact(bundle, [Unreadable(lost, "absent")], Bundles(blobs))
    assert (found.undecided, found.safe) == (1, False)
    assert found.undecided_first[0].run == "run-1"


def test_unreadable_policy_leaves_the_verdicts(rehearse: Rehearse, stores: Any, policy: Any) -> None:
    ledger, blobs = stores
    record(ledger, blobs, policy(READS + SENDS), CALLS)
    records = [
        Recorded(one.event.model_copy(update={"bundle": "sha256:" + "0" * 64}), one.request)
        for one in recorded(ledger, blobs)
        if isinstance(one, Recorded)
    ]
    found = impact(policy(SENDS), records, Bundles(blobs))
    assert (found.unknown_terms, [g.kind for g in found.groups]) == (3, ["newly denied"])


def test_other_questions_are_not_guessed(rehearse: Rehearse) -> None:
    counted = (
        "  - {id: few, effect: allow, owner: team, agent: 'agent:*', tool: read_file,"
        " when: [{count: {tool: read_file}, le: 5}]}\n"
    )
    found = rehearse(READS, counted)
    assert (found.undecided, found.decisions, found.safe) == (2, 2, False)
    assert "count read_file" in found.undecided_first[0].problem


def test_answers_come_from_the_one_who_knows(rehearse: Rehearse) -> None:
    counted = (
        "  - {id: few, effect: allow, owner: team, agent: 'agent:*', tool: read_file,"
        " when: [{count: {tool: read_file}, le: 5}]}\n"
    )

    def answer(bundle: Bundle, one: Recorded) -> Any:
        return one.request.model_copy(update={"facts": {"count read_file": 6}})

    found = rehearse(READS, counted, answer=answer)
    assert (found.undecided, found.safe) == (0, True)
    assert [(g.kind, g.count) for g in found.groups] == [("newly denied", 2)]


def test_label_rules_need_traced_data(stores: Any, policy: Any) -> None:
    ledger, blobs = stores
    record(ledger, blobs, policy(READS), CALLS[:1])
    traced = "  - {id: t, effect: deny, owner: s, when: [{attribute: arguments, label: untrusted}]}\n"
    (one,) = recorded(ledger, blobs)
    assert isinstance(one, Recorded)
    with pytest.raises(Unanswered, match="where its arguments came from"):
        redecide(policy(READS + traced), one)


def test_only_some_runs_and_times(stores: Any, policy: Any) -> None:
    ledger, blobs = stores
    bundle = policy(READS)
    record(ledger, blobs, bundle, CALLS[:2], run="run-1")
    chain = record(ledger, blobs, bundle, CALLS[:3], run="run-2")
    assert len(list(recorded(ledger, blobs, runs=["run-2"]))) == 3
    late = chain.events[-1].time + timedelta(seconds=1)
    assert list(recorded(ledger, blobs, since=late)) == []


def test_record_beyond_one_page(stores: Any, policy: Any) -> None:
    ledger, blobs = stores
    calls = [question("read_file", {"path": f"source/{number}"}) for number in range(2_100)]
    record(ledger, blobs, policy(READS), calls, finish=False)
    found = impact(policy(SENDS), recorded(ledger, blobs), Bundles(blobs))
    assert (found.decisions, found.changed) == (2_100, 2_100)
    assert [group.count for group in found.groups] == [2_100]
