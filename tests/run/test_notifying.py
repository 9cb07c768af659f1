"""From the ledger to the channels: each fact once, to whom it concerns, whatever dies in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.blobs import FileBlobs
from support.events import ChainBuilder, SampleRun
from support.receiver import Receiver, receiving, secret_file
from support.told import SECRET

from interlock.accounts import Accounts
from interlock.audit import Ledger, make_data_keys, open_blobs
from interlock.events import (
    ApprovalAdvanced,
    ApprovalDecided,
    ApprovalReassigned,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalWithdrawn,
    EventBase,
    GrantMade,
    RunEnded,
)
from interlock.notifications import Channels, Details, Email, Outbox, Sender, Webhook
from interlock.run.notifier import Notifier
from interlock.run.notifying import carrier_of, link, opened_sender
from interlock.settings import Settings

BLOB = "sha256:" + "1" * 64
PEOPLE = {f"user:{name}": f"{name}@example.org" for name in ("alice", "bob", "carol", "dave")}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as found:
        yield found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def channels(receiver: Receiver) -> Channels:
    hook = Webhook(name="pager", url=receiver.url, secret_file="secret", private=True)
    email = Email.model_validate({"host": "mail.example", "from": "i@example.org", "to": PEOPLE})
    return Channels(webhooks=(hook,), email=email)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox(f"sqlite:///{tmp_path / 'accounts.db'}")) as found:
        yield found


@pytest.fixture
def notifier(ledger: Ledger, outbox: Outbox, channels: Channels) -> Notifier:
    """One that looked before anything happened."""
    made = Notifier(ledger, outbox, channels, "acme")
    made.look()
    return made


def told(outbox: Outbox, channel: str = "pager") -> list[str]:
    """Kind (and person) of what was put in for a channel, oldest fact first."""
    rows = [row for row in outbox.listed(None, 100) if row.channel == channel]
    rows.sort(key=lambda row: (row.notification.time, row.notification.kind, row.person))
    return [f"{row.notification.kind} {row.person}".strip() for row in rows]


class Run:
    """A run that asks people."""

    def __init__(self, name: str, ledger: Ledger, **start: str) -> None:
        self.chain, self.ledger = ChainBuilder(name), ledger
        self.chain.start(**start)
        self.store()

    def ask(self, number: int = 1, *approvers: str) -> None:
        self.chain.add(
            ApprovalRequested,
            request_id=f"{self.chain.run}:a{number}",
            about="question",
            agent="agent:fixer",
            call_digest=BLOB,
            subject=BLOB,
            rule="questions",
            reason="the graph asks: do not tell <this>",
            route="maintainers",
            approvers=approvers or ("user:alice", "user:bob", "user:carol"),
            quorum=1,
            expires_at=datetime.now(UTC) + timedelta(hours=1),
        )
        self.store()

    def decide(self, number: int, approver: str, *, closes: bool = True, **more: Any) -> None:
        self.chain.add(
            ApprovalDecided,
            request_id=f"{self.chain.run}:a{number}",
            verdict="respond",
            approver=approver,
            token="t",
            message="a secret answer",
            closes=closes,
            **more,
        )
        self.store()

    def add(self, kind: type[EventBase], **fields: Any) -> None:
        """Something that happens to a request."""
        self.chain.add(kind, request_id=f"{self.chain.run}:a1", **fields)
        self.store()

    def advance(self, why: str, *approvers: str) -> None:
        deadline = datetime.now(UTC) + timedelta(hours=2)
        more = {"stage": "second", "quorum": 1, "expires_at": deadline}
        self.add(ApprovalAdvanced, why=why, approvers=approvers, **more)

    def end(self, status: str = "completed") -> None:
        count = len(self.chain.events) + 1
        self.chain.add(RunEnded, status=status, result="", workspace="", detail="a secret detail", count=count)
        self.store()

    def store(self) -> None:
        self.ledger.append(self.chain.run, self.chain.events)


def test_every_kind_of_event_about_a_request_is_told_once(
    ledger: Ledger, outbox: Outbox, notifier: Notifier
) -> None:
    run = SampleRun(FileBlobs())
    run.store(ledger)
    notifier.look()
    first = told(outbox), told(outbox, "email")
    notifier.look()
    assert (told(outbox), told(outbox, "email")) == first
    about = ("approval.", "grant.made", "run.ended")
    happened = {event.kind for event in run.events if event.kind.startswith(about)}
    assert {kind.replace("escalated", "advanced") for kind in first[0]} >= happened


def test_facts_are_told_as_they_come(ledger: Ledger, outbox: Outbox, notifier: Notifier) -> None:
    run = Run("fix-1", ledger)
    run.ask()
    notifier.look()
    # Alice asked for the run: she is not asked to decide in it.
    assert told(outbox, "email") == ["approval.requested user:bob", "approval.requested user:carol"]
    run.decide(1, "user:bob", closes=False)
    notifier.look()
    assert len(told(outbox, "email")) == 2
    run.decide(1, "user:carol")
    run.end("failed")
    notifier.look()
    assert told(outbox)[1:] == ["approval.decided", "run.failed"]


def test_run_that_ends_withdraws_what_was_asked(ledger: Ledger, outbox: Outbox, notifier: Notifier) -> None:
    run = Run("fix-1", ledger)
    run.ask(1)
    run.ask(2)
    run.decide(1, "user:bob")
    run.end("cancelled")
    notifier.look()
    assert sorted(told(outbox)) == [
        "approval.decided",
        "approval.requested",
        "approval.requested",
        "approval.withdrawn",
        "run.ended",
    ]


@pytest.mark.parametrize(("why", "kind"), [("approved", "approval.advanced"), ("escalated", "approval.escalated")])
def test_next_stage_is_told(ledger: Ledger, outbox: Outbox, notifier: Notifier, why: str, kind: str) -> None:
    run = Run("fix-1", ledger)
    run.ask(1, "user:bob")
    notifier.look()
    run.advance(why, "user:alice", "user:carol", "user:dave")
    notifier.look()
    assert told(outbox, "email")[1:] == [f"{kind} user:carol", f"{kind} user:dave"]


def test_reminder_goes_to_those_who_have_not_decided(ledger: Ledger, outbox: Outbox, notifier: Notifier) -> None:
    run = Run("fix-1", ledger)
    run.ask()
    run.decide(1, "user:bob", closes=False)
    notifier.look()
    run.add(ApprovalReminded, number=1)
    notifier.look()
    assert told(outbox, "email")[2:] == ["approval.reminded user:carol"]


def test_whoever_a_decision_is_handed_to_is_told(ledger: Ledger, outbox: Outbox, notifier: Notifier) -> None:
    run = Run("fix-1", ledger)
    run.ask()
    notifier.look()
    run.add(ApprovalReassigned, by="user:bob", to="user:dave", token="t", reason="on holiday")
    notifier.look()
    assert told(outbox, "email")[2:] == ["approval.reassigned user:dave"]


def test_withdrawal_is_told_once_to_those_who_were_asked(
    ledger: Ledger, outbox: Outbox, notifier: Notifier
) -> None:
    run = Run("fix-1", ledger)
    run.ask()
    notifier.look()
    run.add(ApprovalWithdrawn, by="user:alice", token="t", reason="no longer needed")
    notifier.look()
    run.end()
    notifier.look()
    assert told(outbox) == ["approval.requested", "approval.withdrawn", "run.ended"]
    assert told(outbox, "email")[2:] == [
        "approval.withdrawn user:bob",
        "approval.withdrawn user:carol",
        "run.ended user:alice",
    ]


def test_broken_glass_is_told_to_all_who_were_passed_over(
    ledger: Ledger, outbox: Outbox, notifier: Notifier
) -> None:
    run = Run("fix-1", ledger)
    run.ask()
    notifier.look()
    run.decide(1, "user:dave", emergency=True)
    notifier.look()
    assert told(outbox, "email")[2:] == [
        "approval.overridden user:alice",
        "approval.overridden user:bob",
        "approval.overridden user:carol",
    ]


def test_who_stands_in_for_an_approver_is_asked_too(ledger: Ledger, outbox: Outbox, notifier: Notifier) -> None:
    away = {"user:bob": ["user:dave", "user:alice"]}
    notifier.deputies = lambda person: away.get(person, [])
    run = Run("fix-1", ledger)
    run.ask()
    run.decide(1, "user:carol")
    notifier.look()
    # Alice asked for the run, and decides in it for nobody.
    assert told(outbox, "email") == [
        "approval.requested user:bob",
        "approval.requested user:carol",
        "approval.requested user:dave",
        "approval.decided user:alice",
    ]


def test_standing_grant_is_told_to_those_who_will_not_be_asked(
    ledger: Ledger, outbox: Outbox, notifier: Notifier
) -> None:
    run = Run("fix-1", ledger)
    run.ask()
    notifier.look()
    run.add(GrantMade, grant="g1", by="user:bob", agent="agent:fixer", tool="open_pull_request", token="t")
    notifier.look()
    assert told(outbox, "email")[2:] == ["grant.made user:alice", "grant.made user:carol"]


def test_first_look_asks_those_who_decide_now(ledger: Ledger, outbox: Outbox, channels: Channels) -> None:
    run = Run("fix-1", ledger)
    run.ask(1, "user:bob")
    run.advance("escalated", "user:carol")
    Notifier(ledger, outbox, channels, "acme").look()
    assert told(outbox, "email") == ["approval.escalated user:carol"]


def test_two_notifiers_tell_once(ledger: Ledger, outbox: Outbox, channels: Channels, notifier: Notifier) -> None:
    other = Notifier(ledger, outbox, channels, "acme")
    run = Run("fix-1", ledger)
    run.ask()
    both = [notifier._read, other._read]
    (length,) = ledger.lengths("acme")
    for read in both:  # each found the run before the other had moved its cursor
        read(length, 0, datetime.now(UTC))
    assert told(outbox) == ["approval.requested"]


def test_first_look_passes_over_what_is_over(ledger: Ledger, outbox: Outbox, channels: Channels) -> None:
    old, waiting = Run("old-1", ledger), Run("new-1", ledger)
    old.ask(1)
    old.decide(1, "user:bob")
    old.end()
    waiting.ask(1)
    waiting.decide(1, "user:bob")
    waiting.ask(2)
    notifier = Notifier(ledger, outbox, channels, "acme")
    notifier.look()
    (row,) = [row for row in outbox.listed(None, 10) if row.channel == "pager"]
    assert (row.notification.kind, row.notification.request) == ("approval.requested", "new-1:a2")
    waiting.decide(2, "user:bob")
    notifier.look()
    assert told(outbox) == ["approval.requested", "approval.decided"]


def test_other_tenants_runs_are_nobodys_business(ledger: Ledger, outbox: Outbox, notifier: Notifier) -> None:
    Run("theirs-1", ledger, tenant="globex").ask()
    notifier.look()
    assert outbox.counts() == {}


def test_run_that_is_neither_open_nor_new_is_found_by_the_whole_look(
    ledger: Ledger, outbox: Outbox, notifier: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.run.notifier.NEWEST", 1)
    Run("zebra", ledger).store()
    notifier.look()
    Run("ant", ledger).ask()  # began as early as the other, and is behind it in the list
    notifier.look()
    assert told(outbox) == []
    monkeypatch.setattr("interlock.run.notifier.WHOLE_EVERY", 1)
    notifier.look()
    assert told(outbox) == ["approval.requested"]


def test_burst_of_runs_is_found_at_once(
    ledger: Ledger, outbox: Outbox, notifier: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.run.notifier.NEWEST", 2)
    notifier.look()
    for number in range(7):
        Run(f"fix-{number}", ledger).ask()
    notifier.look()
    assert told(outbox) == ["approval.requested"] * 7


def test_altered_run_does_not_hold_up_the_others(
    ledger: Ledger, outbox: Outbox, notifier: Notifier, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import sqlite3

    Run("bad-1", ledger).ask()
    Run("good-1", ledger).ask()
    with sqlite3.connect(tmp_path / "ledger.db") as attacker:
        for (name,) in attacker.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            attacker.execute(f"DROP TRIGGER {name}")
        attacker.execute("UPDATE events SET body = '{}' WHERE run = 'bad-1'")
    notifier.look()
    notifier.look()
    assert [row.notification.run for row in outbox.listed(None, 10) if row.channel == "pager"] == ["good-1"]
    assert sum("bad-1" in record.message for record in caplog.records) == 1


def _sender(outbox: Outbox, channels: Channels, root: Path) -> Sender:
    secret_file(root, "secret", SECRET)
    settings = Settings(root=root, public_url="https://interlock.example")
    describe = lambda _: Details(lines=(("Argument title", "an argument's value"),))  # noqa: E731
    return Sender(outbox, carrier_of(settings, channels, describe))


async def test_receiver_learns_names_and_no_content(
    ledger: Ledger, outbox: Outbox, notifier: Notifier, channels: Channels, receiver: Receiver, tmp_path: Path
) -> None:
    run = Run("fix-1", ledger)
    run.ask()
    run.decide(1, "user:bob")
    run.end("failed")
    notifier.look()
    await _sender(outbox, channels, tmp_path).send_due("pager")
    bodies = [json.loads(body) for _, body in receiver.taken]
    assert sorted(body["type"] for body in bodies) == ["approval.decided", "approval.requested", "run.failed"]
    links = {body["type"]: body["data"]["link"] for body in bodies}
    assert links["approval.requested"] == "https://interlock.example/approvals/fix-1:a1"
    assert links["run.failed"] == "https://interlock.example/runs/fix-1"
    everything = b"".join(body for _, body in receiver.taken)
    for content in (b"secret", b"do not tell", b"argument's value", BLOB.encode()):
        assert content not in everything


async def test_channel_that_asks_for_details_gets_them(
    ledger: Ledger, outbox: Outbox, notifier: Notifier, channels: Channels, receiver: Receiver, tmp_path: Path
) -> None:
    Run("fix-1", ledger).ask()
    notifier.look()
    hook = channels.webhooks[0].model_copy(update={"details": True})
    await _sender(outbox, Channels(webhooks=(hook,)), tmp_path).send_due("pager")
    (body,) = [json.loads(body) for _, body in receiver.taken]
    assert body["data"]["details"] == [{"label": "Argument title", "text": "an argument's value"}]


async def test_outage_ends_in_delivery(
    ledger: Ledger, outbox: Outbox, notifier: Notifier, channels: Channels, receiver: Receiver, tmp_path: Path
) -> None:
    Run("fix-1", ledger).ask()
    notifier.look()
    sender = _sender(outbox, channels, tmp_path)
    receiver.answers = [500, 200]
    await sender.send_due("pager")
    assert "it answered 500" in {row.problem for row in outbox.listed("pending", 10)}
    assert await sender.send_due("pager") == 0
    for row in outbox.claim("pager", datetime.now(UTC) + timedelta(minutes=1), 10):
        await sender._deliver(row)
    assert [told.state for told in outbox.listed(None, 10) if told.channel == "pager"] == ["sent"]
    assert len({headers["webhook-id"] for headers, _ in receiver.taken}) == 1


async def test_request_whose_deadline_passed_is_not_sent(
    ledger: Ledger, outbox: Outbox, notifier: Notifier, channels: Channels, receiver: Receiver, tmp_path: Path
) -> None:
    SampleRun(FileBlobs()).store(ledger)  # its requests were of another year
    notifier.look()
    sender = _sender(outbox, channels, tmp_path)
    while await sender.send_due("pager"):
        pass
    sent = {json.loads(body)["type"] for _, body in receiver.taken}
    assert {"approval.decided", "approval.expired", "run.ended"} <= sent
    dead = outbox.listed("dead", 10)
    assert "approval.requested" in {told.notification.kind for told in dead}
    assert {told.problem for told in dead} == {"its deadline passed before it could be delivered"}
    assert not sent & {told.notification.kind for told in dead}


async def test_slow_channel_holds_nobody_up(
    ledger: Ledger, outbox: Outbox, notifier: Notifier, channels: Channels, receiver: Receiver, tmp_path: Path
) -> None:
    with receiving() as other:
        receiver.hold.clear()
        hooks = (channels.webhooks[0], channels.webhooks[0].model_copy(update={"name": "chat", "url": other.url}))
        notifier.channels = Channels(webhooks=hooks)
        for number in range(20):
            Run(f"fix-{number}", ledger).ask()
        notifier.look()
        serving = asyncio.create_task(_sender(outbox, notifier.channels, tmp_path).serve())
        try:
            async with asyncio.timeout(20):
                while len(other.taken) < 20:
                    await asyncio.sleep(0.02)
        finally:
            receiver.hold.set()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


def test_link_cannot_leave_the_console() -> None:
    from support.told import notification

    settings = Settings(public_url="https://interlock.example")
    hostile = notification(request="../../x?y#z/\\@evil.example")
    assert link(settings, hostile) == (
        "https://interlock.example/approvals/..%2F..%2Fx%3Fy%23z%2F%5C%40evil.example"
    )


def test_deputies_are_those_of_the_accounts(tmp_path: Path, channels: Channels) -> None:
    settings = Settings(root=tmp_path)
    Ledger(settings.effective_ledger_url).close()
    make_data_keys(settings)
    open_blobs(settings).close()
    now = datetime.now(UTC)
    with opened_sender(settings, channels) as (notifier, _), closing(Accounts.of(settings)) as accounts:
        for stand_in, ends in (("user:dave", now + timedelta(days=1)), ("user:erin", now - timedelta(hours=1))):
            times = {"begins": now - timedelta(days=1), "ends": ends}
            accounts.deputies.add("user:bob", "default", stand_in, reason="", statement="s", **times)
        assert notifier.deputies("user:bob") == ["user:dave"]
        assert notifier.deputies("user:dave") == []
