"""Email: what a mail server gets, and what it cannot be made to get."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from support.receiver import Mailbox, mail_server, secret_file
from support.told import NOW, message

from interlock.notifications import DeliveryFailed, Details, Email, MailSender


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


def email(box: Mailbox, **fields: Any) -> Email:
    values = {
        "host": "127.0.0.1",
        "port": box.port,
        "tls": "none",
        "from": "interlock@example.org",
        "to": {"user:bob": "bob@example.org", "user:carol": "carol@example.org"},
    }
    return Email(**{**values, **fields})


def parts(sent: EmailMessage) -> tuple[str, str]:
    """The text and the HTML."""
    text, html = sent.get_body(("plain",)), sent.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content(), html.get_content()


async def test_one_person_gets_names_and_the_link(tmp_path: Path, box: Mailbox) -> None:
    await MailSender(tmp_path).send(email(box), "user:bob", message(), now=NOW)
    assert [(sender, to) for sender, to, _ in box.envelopes] == [("interlock@example.org", ["bob@example.org"])]
    sent = box.messages()[0]
    assert sent["to"] == "bob@example.org"
    assert sent["subject"] == "[Interlock] agent:fixer waits for a decision on open_pull_request"
    assert sent["auto-submitted"] == "auto-generated"
    for part in parts(sent):
        assert "https://interlock.example/approvals/fix-1:a1" in part
        assert "open_pull_request" in part
        assert "does nothing" in part
    assert "<form" not in parts(sent)[1]


async def test_second_attempt_is_the_same_message(tmp_path: Path, box: Mailbox) -> None:
    for person in ("user:bob", "user:bob", "user:carol"):
        await MailSender(tmp_path).send(email(box), person, message(), now=NOW)
    first, again, other = (sent["message-id"] for sent in box.messages())
    assert first == again != other


HOSTILE = '<img src="https://evil.example/x.png"><script>alert(1)</script>\r\nBcc: eve@evil.example\r\n\r\n‮x'


async def test_hostile_text_is_text(tmp_path: Path, box: Mailbox) -> None:
    from interlock.approval.visible import visible

    details = Details(lines=(("Argument title", visible(HOSTILE)),))
    hostile = message(details, tool=HOSTILE, agent=HOSTILE, run=HOSTILE)
    await MailSender(tmp_path).send(email(box), "user:bob", hostile, now=NOW)
    assert box.envelopes[0][1] == ["bob@example.org"]
    sent = box.messages()[0]
    assert sent["bcc"] is None
    assert "\n" not in sent["subject"]
    assert sorted(sent.keys()) == sorted(
        ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    )
    text, html = parts(sent)
    assert "<img" not in html
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "⟨U+202E⟩" in text
    assert html.count("href=") == 1


@pytest.mark.parametrize(
    ("refusal", "final"), [("550 no such mailbox", True), ("451 try later", False), ("421 busy", False)]
)
async def test_answer_says_whether_to_try_again(tmp_path: Path, box: Mailbox, refusal: str, final: bool) -> None:
    box.refuse = refusal
    with pytest.raises(DeliveryFailed) as caught:
        await MailSender(tmp_path).send(email(box), "user:bob", message(), now=NOW)
    assert caught.value.final is final
    assert refusal[:3] in caught.value.reason


async def test_nobody_there_is_a_failure(tmp_path: Path, box: Mailbox) -> None:
    with pytest.raises(DeliveryFailed) as caught:
        await MailSender(tmp_path).send(email(box, port=1), "user:bob", message(), now=NOW)
    assert not caught.value.final


async def test_who_lost_the_address_is_not_tried_again(tmp_path: Path, box: Mailbox) -> None:
    with pytest.raises(DeliveryFailed) as caught:
        await MailSender(tmp_path).send(email(box), "user:dave", message(), now=NOW)
    assert caught.value.final


async def test_server_without_tls_gets_no_password(tmp_path: Path, box: Mailbox) -> None:
    secret_file(tmp_path, "password", "hunter2")
    wanted = email(box, tls="starttls", user="interlock", password_file="password")
    with pytest.raises(DeliveryFailed):
        await MailSender(tmp_path).send(wanted, "user:bob", message(), now=NOW)
    assert box.envelopes == []


async def test_tls_and_password(tmp_path: Path, own_tls: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    secret_file(tmp_path, "password", "hunter2")
    with mail_server(password="hunter2", tls=own_tls) as box:
        wanted = email(box, tls="starttls", user="interlock", password_file="password")
        with pytest.raises(DeliveryFailed):  # the system does not know who signed this certificate
            await MailSender(tmp_path).send(wanted, "user:bob", message(), now=NOW)
        await MailSender(tmp_path, trust).send(wanted, "user:bob", message(), now=NOW)
        assert len(box.envelopes) == 1
        secret_file(tmp_path, "password", "wrong")
        with pytest.raises(DeliveryFailed, match="535") as caught:
            await MailSender(tmp_path, trust).send(wanted, "user:bob", message(), now=NOW)
        assert not caught.value.final
        assert "wrong" not in str(caught.value)
