"""What a sender does with rows: whom it does not bury, and what does not stop it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.receiver import mail_server
from support.told import notification

from interlock.notifications import Channels, Details, Email, MailSender, Outbox, Sender, WebhookSender
from interlock.notifications.carrier import Carrier
from interlock.notifications.notification import Notification
from interlock.notifications.sender import REST

PEOPLE = {"user:bob": "bob@example.org", "user:carol": "carol@example.org"}


def sender(outbox: Outbox, root: Path, port: int, **fields: object) -> Sender:
    values = {"host": "127.0.0.1", "port": port, "tls": "none", "from": "i@example.org", "to": PEOPLE, **fields}
    channels = Channels(email=Email.model_validate(values))

    def describe(_: Notification) -> Details:
        raise RuntimeError("a bug")

    link = "https://interlock.example"
    carrier = Carrier(channels, WebhookSender(root), MailSender(root), lambda _: link, describe)
    return Sender(outbox, carrier)


def put(outbox: Outbox, count: int, person: str) -> None:
    with outbox.store.write() as connection:
        for number in range(count):
            told = notification(number)
            outbox.add(connection, told, [("email", person)], datetime.now(UTC))


async def test_nobody_is_buried_in_email(sqlite_outbox: Outbox, tmp_path: Path) -> None:
    put(sqlite_outbox, 20, "user:bob")
    put(sqlite_outbox, 1, "user:carol")
    with mail_server() as box:
        sending = sender(sqlite_outbox, tmp_path, box.port, hourly=5)
        while await sending.send_due("email"):
            pass
        to = [recipients[0] for _, recipients, _ in box.envelopes]
    # Those of one round are counted together, so a few more may go.
    assert 5 <= to.count("bob@example.org") < 5 + 8
    assert to.count("carol@example.org") == 1
    waiting = sqlite_outbox.listed("pending", 50)
    assert len(waiting) + to.count("bob@example.org") == 20
    assert {told.attempts for told in waiting} == {0}
    assert all(told.next_at > datetime.now(UTC) + REST - timedelta(minutes=1) for told in waiting)


async def test_mistake_of_ours_stops_one_message_and_not_the_channel(
    sqlite_outbox: Outbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(sqlite_outbox, 3, "user:bob")
    with mail_server() as box:
        sending = sender(sqlite_outbox, tmp_path, box.port, details=True)
        assert await sending.send_due("email") == 3
        assert box.envelopes == []
    assert {told.problem for told in sqlite_outbox.listed("pending", 10)} == {"it could not be made: RuntimeError"}
    assert "a bug" in caplog.text
