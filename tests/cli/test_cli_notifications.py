"""`interlock notifications` and `interlock approval stats`: what they say, and two senders at once as processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest
from support.events import ChainBuilder
from support.receiver import Receiver, mail_server, receiving, secret_file
from support.told import SECRET, notification

from interlock.audit import Ledger, SqlBlobs
from interlock.events import ApprovalRequested
from interlock.notifications import DeliveryFailed, Outbox

BLOB = "sha256:" + "1" * 64


@pytest.fixture
def receiver(project: Path) -> Iterator[Receiver]:
    """A webhook, and the project's file that names it."""
    with receiving() as found:
        secret_file(project, "pager.secret", SECRET)
        (project / "notifications.yaml").write_text(
            f"webhooks: [{{name: pager, url: '{found.url}', secret_file: pager.secret, private: true}}]\n"
        )
        yield found


def outbox(project: Path) -> Outbox:
    return Outbox(f"sqlite:///{project}/.interlock/accounts.db")


def test_a_test_is_sent_and_said(interlock, receiver: Receiver) -> None:
    told = interlock("notifications", "test", "pager", "--json")
    assert (told.code, told.json) == (0, {"channel": "pager", "person": "", "sent": True})
    assert json.loads(receiver.taken[0][1])["type"] == "test.sent"


def test_what_a_channel_answers_is_said(interlock, receiver: Receiver) -> None:
    receiver.answers = [500]
    told = interlock("notifications", "test", "pager")
    assert (told.code, "pager: it answered 500" in told.err) == (1, True)


def test_test_of_email_goes_to_whom_it_names(interlock, project: Path) -> None:
    with mail_server() as box:
        (project / "notifications.yaml").write_text(
            f"email: {{host: 127.0.0.1, port: {box.port}, tls: none, from: i@example.org,"
            " to: {user:carol: carol@example.org}}\n"
        )
        assert interlock("notifications", "test", "email", "--as", "user:carol").out == "email took it\n"
        assert [to for _, to, _ in box.envelopes] == [["carol@example.org"]]
        told = interlock("notifications", "test", "email", "--as", "user:dave")
        assert (told.code, "user:carol" in told.err) == (2, True)


def test_unknown_channel_is_refused(interlock, receiver: Receiver) -> None:
    told = interlock("notifications", "test", "pagre")
    assert told.code == 2
    assert "did you mean 'pager'?" in told.err


@pytest.mark.parametrize("command", [["test", "pager"], ["serve"]])
def test_without_a_file_the_next_step_is_said(interlock, project: Path, command: list[str]) -> None:
    told = interlock("notifications", *command)
    assert told.code == 2
    assert "there is no notifications.yaml" in told.err
    assert "docs/how-to/notify-people.md" in told.err


def test_mistake_in_the_file_is_said_with_its_line(interlock, project: Path) -> None:
    (project / "notifications.yaml").write_text("email:\n  host: h\n  from: a@b.example\n  too: {}\n")
    assert "email.too: no such key" in interlock("check").out
    told = interlock("notifications", "serve")
    assert told.code == 2
    assert "notifications.yaml:4: email.too: no such key (did you mean 'to'?)" in told.err


def test_dead_ones_are_listed_and_tried_again(interlock, project: Path) -> None:
    now = datetime.now(UTC)
    with closing(outbox(project)) as box:
        with box.store.write() as connection:
            box.add(connection, notification(1), [("pager", "")], now)
            box.add(connection, notification(2), [("pager", "")], now)
        box.failed(box.claim("pager", now, 1)[0], DeliveryFailed("it answered 410", final=True), now)
    told = interlock("notifications", "list", "--json").json
    assert told["counts"] == {"dead": 1, "pending": 1}
    assert sorted((one["state"], one["problem"]) for one in told["notifications"]) == [
        ("dead", "it answered 410"),
        ("pending", ""),
    ]
    (project / "notifications.yaml").write_text("webhooks: []\n")
    checks = {check["name"]: check for check in interlock("doctor", "--json").json["checks"]}
    assert checks["notifications"]["observed"].startswith("1 could not be delivered")
    assert "it answered 410" in interlock("notifications", "list", "--state", "dead").out
    assert interlock("notifications", "list", "--state", "gone").code == 2
    assert interlock("notifications", "retry").out.startswith("1 will be tried again")
    assert interlock("notifications", "retry", notification(1).event_id).code == 2


@contextmanager
def serving(project: Path) -> Iterator[IO[str]]:
    """`interlock notifications serve`, once it says that it does."""
    command = [sys.executable, "-m", "interlock.cli.main", "notifications", "serve"]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "notifications go to 1 channel\n"
        yield process.stdout
    finally:
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.timeout(90)
def test_two_processes_send_each_notification_once(
    receiver: Receiver, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERLOCK_TENANT", "acme")
    with ExitStack() as stack:
        stack.enter_context(closing(SqlBlobs(f"sqlite:///{project}/.interlock/blobs.db")))
        ledger = stack.enter_context(closing(Ledger(f"sqlite:///{project}/.interlock/ledger.db")))
        for _ in range(2):
            stack.enter_context(serving(project))
        for number in range(60):
            _ask(ledger, f"fix-{number}")
        _until(lambda: len(receiver.taken) >= 60)
        time.sleep(1.5)  # whoever would send one a second time has looked again
    ids = Counter(headers["webhook-id"] for headers, _ in receiver.taken)
    runs = {json.loads(body)["data"]["run"] for _, body in receiver.taken}
    assert runs == {f"fix-{number}" for number in range(60)}
    assert set(ids.values()) == {1}


SHORT_LEASE = """
import sys
from datetime import timedelta
from interlock.notifications import outbox
outbox.LEASE = timedelta(seconds=3)
sys.argv = ["interlock", "notifications", "serve"]
from interlock.cli.main import main
main()
"""


@pytest.mark.timeout(90)
def test_what_a_killed_sender_held_is_sent_by_another(
    receiver: Receiver, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERLOCK_TENANT", "acme")
    with ExitStack() as stack:
        stack.enter_context(closing(SqlBlobs(f"sqlite:///{project}/.interlock/blobs.db")))
        ledger = stack.enter_context(closing(Ledger(f"sqlite:///{project}/.interlock/ledger.db")))
        receiver.hold.clear()  # the request arrives, and no answer comes
        first = subprocess.Popen([sys.executable, "-c", SHORT_LEASE], cwd=project)
        stack.callback(first.wait)
        stack.callback(first.kill)
        _ask(ledger, "fix-1")
        _until(lambda: len(receiver.taken) == 1)
        first.kill()
        receiver.hold.set()
        stack.enter_context(serving(project))
        _until(lambda: len(receiver.taken) == 2)
        with closing(outbox(project)) as box:
            _until(lambda: box.counts() == {"sent": 1})
            assert [told.attempts for told in box.listed("sent", 10)] == [2]
    # The receiver had it before, and can tell.
    assert len({headers["webhook-id"] for headers, _ in receiver.taken}) == 1


def _until(probe: Callable[[], bool]) -> None:
    end = time.monotonic() + 40
    while not probe():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def _ask(ledger: Ledger, run: str) -> None:
    chain = ChainBuilder(run)
    chain.start()
    chain.add(
        ApprovalRequested,
        request_id=f"{run}:a1",
        about="question",
        agent="agent:fixer",
        call_digest=BLOB,
        subject=BLOB,
        rule="questions",
        reason="",
        route="maintainers",
        approvers=("user:bob",),
        quorum=1,
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
    ledger.append(run, chain.events)


def test_stats_are_told(interlock, recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLOCK_TENANT", "acme")
    answer = interlock("approval", "stats", "--since", "2026-03-01", "--json")
    assert answer.code == 0, answer.err
    told = answer.json
    rules = {one["rule"]: one for one in told["rules"]}
    assert rules["edits_need_approval"]["deciding"]["approved"] >= 1
    out = interlock("approval", "stats", "--since", "2026-03-01").out
    assert "edits_need_approval" in out
    assert "user:bob" in out
    assert interlock("approval", "stats", "--since", "2099-01-01").out.startswith("no requests since")
    assert interlock("approval", "stats", "--since", "yesterday").code == 2


def test_mcp_without_a_token_says_so(spawned) -> None:
    told = spawned("mcp", INTERLOCK_API_TOKEN="")
    assert told.code == 2
    assert "INTERLOCK_API_TOKEN holds no token" in told.err
    assert told.out == ""
