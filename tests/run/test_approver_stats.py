"""What is said of approvers, from the ledger's requests alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from support.events import START, ChainBuilder
from support.postgres import PostgresServer, start_postgres

from interlock.audit import Ledger
from interlock.errors import IntegrityError
from interlock.events import (
    ApprovalDecided,
    ApprovalExpired,
    ApprovalRequested,
    CallFinished,
    RunPaused,
    RunResumed,
)
from interlock.run.approver_stats import ApprovalStats, approval_stats

BLOB = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with start_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database() + "?sslmode=disable"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with closing(Ledger(url)) as found:
        yield found


class Requests:
    """Requests of one run; events are a second apart."""

    def __init__(self, ledger: Ledger, run: str = "fix-1", **start: str) -> None:
        self.ledger, self.chain, self.count = ledger, ChainBuilder(run), 0
        self.chain.start(**start)

    def ask(self, rule: str = "publishing", *, subject: str = BLOB, tool: str = "open_pull_request") -> str:
        self.count += 1
        request = f"{self.chain.run}:a{self.count}"
        self.chain.add(
            ApprovalRequested,
            request_id=request,
            about="call",
            call_id=f"{self.chain.run}:c{self.count}",
            agent="agent:fixer",
            tool=tool,
            call_digest=BLOB,
            subject=subject,
            rule=rule,
            reason="",
            route="maintainers",
            approvers=("user:alice", "user:bob", "user:carol"),
            quorum=1,
            expires_at=START + timedelta(days=1),
        )
        return request

    def decided(self, by: str, verdict: str = "approve", *, after: int = 1, **asked: str) -> None:
        """Ask, and have it decided so many seconds later."""
        request = self.ask(**asked)
        for second in range(after - 1):
            self.chain.add((RunPaused, RunResumed)[second % 2], by="user:alice", token="t")
        self.chain.add(ApprovalDecided, request_id=request, verdict=verdict, approver=by, token="t", closes=True)
        if verdict == "approve":
            self.chain.add(
                CallFinished,
                call_id=f"{self.chain.run}:c{self.count}",
                call_digest=BLOB,
                status="ok",
                output="",
                workspace="",
                receipt=BLOB,
            )

    def expired(self, **asked: str) -> None:
        self.chain.add(ApprovalExpired, request_id=self.ask(**asked))

    def store(self) -> None:
        self.ledger.append(self.chain.run, self.chain.events)


def stats(ledger: Ledger, tenant: str = "acme", since_s: int = 0) -> ApprovalStats:
    since = START + timedelta(seconds=since_s)
    return approval_stats(ledger, tenant, since=since, until=START + timedelta(days=30))


def test_times_and_shares_for_each_rule_and_person(ledger: Ledger) -> None:
    made = Requests(ledger)
    for after in (2, 4, 6, 8, 100):
        made.decided("user:bob", after=after)
    made.decided("user:carol", "reject", after=3)
    made.decided("user:carol", "edit", after=3, rule="editing")
    made.ask(rule="editing")
    made.store()
    found = stats(ledger)
    assert [(one.rule, one.requests, one.pending) for one in found.rules] == [
        ("editing", 2, 1),
        ("publishing", 6, 0),
    ]
    bob = next(one for one in found.approvers if one.approver == "user:bob").deciding
    assert (bob.decided, bob.approved, bob.p50_s, bob.p95_s) == (5, 5, 6.0, 100.0)
    carol = {one.rule: one.deciding for one in found.approvers if one.approver == "user:carol"}
    assert (carol["publishing"].rejected, carol["editing"].edited) == (1, 1)
    assert (found.requests, found.deciding.decided) == (8, 7)


def test_who_lets_requests_expire_is_named(ledger: Ledger) -> None:
    made = Requests(ledger)
    for _ in range(12):
        made.expired(rule="publishing")
    made.decided("user:bob")
    made.store()
    found = stats(ledger)
    silent = {one.approver: one.let_expire for one in found.approvers}
    assert silent == {"user:bob": 12, "user:carol": 12}  # Alice asked for the run, and could not
    assert [(one.kind, one.count) for one in found.suggestions] == [("unanswered", 12)]


def test_same_call_approved_again_and_again_is_suggested_for_a_grant(ledger: Ledger) -> None:
    made = Requests(ledger)
    for _ in range(37):
        made.decided("user:bob", after=20)
    for _ in range(9):
        made.decided("user:bob", after=20, subject=OTHER)
    made.store()
    (found,) = stats(ledger).suggestions
    assert (found.kind, found.count, found.tool) == ("grant", 37, "open_pull_request")
    assert found.text.startswith("37 identical approvals of open_pull_request in 30 days")
    assert found.request.startswith("fix-1:a")


@pytest.mark.parametrize("verdict", ["reject", "edit"])
def test_what_was_ever_refused_is_not_suggested_for_a_grant(ledger: Ledger, verdict: str) -> None:
    made = Requests(ledger)
    for _ in range(15):
        made.decided("user:bob", after=20)
    made.decided("user:bob", verdict, after=20)
    made.store()
    assert stats(ledger).suggestions == ()


def test_approvals_faster_than_reading_are_pointed_out(ledger: Ledger) -> None:
    made = Requests(ledger)
    for number in range(12):
        made.decided("user:bob", after=3, subject=f"sha256:{number:064x}")
    made.store()
    (found,) = stats(ledger).suggestions
    assert (found.kind, found.approver, found.count) == ("unread", "user:bob", 12)


def test_only_this_tenant_and_this_time(ledger: Ledger) -> None:
    mine, theirs = Requests(ledger), Requests(ledger, "theirs-1", tenant="globex")
    for made in (mine, theirs):
        made.decided("user:bob")
        made.decided("user:carol")
        made.store()
    assert stats(ledger).requests == 2
    assert [one.approver for one in stats(ledger, since_s=3).approvers] == ["user:carol"]
    assert stats(ledger, "initech").requests == 0


def test_nothing_asked_is_nothing_said(ledger: Ledger) -> None:
    found = stats(ledger)
    assert (found.requests, found.rules, found.approvers, found.deciding.p50_s) == (0, (), (), None)


def test_altered_row_is_named(ledger: Ledger) -> None:
    made = Requests(ledger)
    made.decided("user:bob")
    made.store()
    with ledger._store.engine.begin() as attacker:
        attacker.execute(text("""UPDATE approvals SET votes = '[{"approver" : 1}]'"""))
    with pytest.raises(IntegrityError, match="fix-1:a1"):
        stats(ledger)
