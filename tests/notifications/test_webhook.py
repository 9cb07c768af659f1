"""Webhooks: what goes out, to whom it cannot go, and what each answer means."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Signature
from standardwebhooks.webhooks import WebhookVerificationError
from support.receiver import Receiver, receiving, secret_file
from support.told import NOW, SECRET, message

from interlock.notifications import DeliveryFailed, Details, Webhook, WebhookSender


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def sender(tmp_path: Path) -> WebhookSender:
    secret_file(tmp_path, "secret", SECRET)
    return WebhookSender(tmp_path)


def hook(url: str, **fields: Any) -> Webhook:
    values = {"name": "pager", "url": url, "secret_file": "secret", "private": True}
    return Webhook(**{**values, **fields})


async def test_receiver_can_verify_what_it_got(sender: WebhookSender, receiver: Receiver) -> None:
    await sender.send(hook(receiver.url), message(), now=datetime.now(UTC))
    headers, body = receiver.taken[0]
    read = Signature(SECRET).verify(body, headers)
    assert headers["webhook-id"] == message().notification.event_id
    assert (read["type"], read["timestamp"]) == ("approval.requested", NOW.isoformat())
    assert read["data"] == {
        "time": NOW.isoformat().replace("+00:00", "Z"),
        "tenant": "acme",
        "run": "fix-1",
        "workflow": "fix_issue",
        "requester": "user:alice",
        "request": "fix-1:a1",
        "about": "call",
        "agent": "agent:fixer",
        "tool": "open_pull_request",
        "route": "maintainers",
        "headline": "agent:fixer waits for a decision on open_pull_request",
        "link": "https://interlock.example/approvals/fix-1:a1",
    }
    with pytest.raises(WebhookVerificationError):
        Signature(SECRET).verify(body.replace(b"fix-1", b"fix-2"), headers)


async def test_secret_is_replaced_without_a_gap(tmp_path: Path, sender: WebhookSender, receiver: Receiver) -> None:
    other = "whsec_" + "QUJD" * 10
    secret_file(tmp_path, "secret", f"{SECRET}\n{other}")
    await sender.send(hook(receiver.url), message(), now=datetime.now(UTC))
    headers, body = receiver.taken[0]
    for secret in (SECRET, other):
        Signature(secret).verify(body, headers)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirect_is_not_followed(sender: WebhookSender, receiver: Receiver, status: int) -> None:
    receiver.answers, receiver.headers = [status], {"location": receiver.url + "/elsewhere"}
    with pytest.raises(DeliveryFailed, match="redirects are not followed"):
        await sender.send(hook(receiver.url), message(), now=NOW)
    assert len(receiver.taken) == 1


@pytest.mark.parametrize(("status", "final"), [(400, False), (404, False), (410, True), (429, False), (500, False)])
async def test_answer_says_whether_to_try_again(
    sender: WebhookSender, receiver: Receiver, status: int, final: bool
) -> None:
    receiver.answers, receiver.body = [status], b"secret of the receiver"
    with pytest.raises(DeliveryFailed) as caught:
        await sender.send(hook(receiver.url), message(), now=NOW)
    assert caught.value.final is final
    assert str(status) in caught.value.reason
    assert "secret" not in str(caught.value)


async def test_receiver_can_ask_for_rest(sender: WebhookSender, receiver: Receiver) -> None:
    receiver.answers, receiver.headers = [503], {"retry-after": "120"}
    with pytest.raises(DeliveryFailed) as caught:
        await sender.send(hook(receiver.url), message(), now=NOW)
    assert caught.value.after_s == 120


async def test_long_answer_is_not_read(sender: WebhookSender, receiver: Receiver) -> None:
    receiver.answers, receiver.body = [200], b"x" * 50_000_000
    await sender.send(hook(receiver.url), message(), now=NOW)


async def test_slow_receiver_is_given_up(
    sender: WebhookSender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.notifications.webhook.TIMEOUT_S", 0.2)
    receiver.hold.clear()
    with pytest.raises(DeliveryFailed, match="no answer within"):
        await sender.send(hook(receiver.url), message(), now=NOW)


async def test_private_address_is_refused_unless_the_file_says_so(
    sender: WebhookSender, receiver: Receiver
) -> None:
    with pytest.raises(DeliveryFailed, match="private or special"):
        await sender.send(hook(receiver.url, private=False), message(), now=NOW)
    assert receiver.taken == []


class Names:
    """A name server of somebody else's."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        return self.addresses


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "0.0.0.0"])
async def test_name_that_leads_inside_is_refused(tmp_path: Path, sender: WebhookSender, address: str) -> None:
    sender.resolver = Names("93.184.215.14", address)
    with pytest.raises(DeliveryFailed, match="leads to"):
        await sender.send(hook("https://pager.example/", private=False), message(), now=NOW)


async def test_metadata_service_is_refused_even_for_a_private_channel(sender: WebhookSender) -> None:
    sender.resolver = Names("169.254.169.254")
    with pytest.raises(DeliveryFailed, match="never reached"):
        await sender.send(hook("https://pager.example/"), message(), now=NOW)


async def test_unknown_certificate_is_refused(sender: WebhookSender, own_tls: ssl.SSLContext) -> None:
    with receiving(own_tls) as receiver:
        with pytest.raises(DeliveryFailed, match="certificate"):
            await sender.send(hook(receiver.url), message(), now=NOW)
        assert receiver.taken == []


async def test_certificate_of_a_known_authority_is_taken(
    sender: WebhookSender, own_tls: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    with receiving(own_tls) as receiver:
        sender.trust = trust
        await sender.send(hook(receiver.url), message(), now=NOW)
        assert len(receiver.taken) == 1


async def test_nobody_there_is_a_failure(sender: WebhookSender) -> None:
    with pytest.raises(DeliveryFailed, match="connection failed"):
        await sender.send(hook("http://127.0.0.1:1/"), message(), now=NOW)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("whsec_c2hvcnQ=", 0o600, "not a secret of a Standard Webhook"),
        ("plain", 0o600, "not a secret of a Standard Webhook"),
        ("", 0o600, "is empty"),
        (SECRET, 0o644, "other users may read"),
    ],
)
async def test_bad_secret_is_not_used(
    tmp_path: Path, sender: WebhookSender, receiver: Receiver, text: str, mode: int, said: str
) -> None:
    (tmp_path / "secret").write_text(text)
    (tmp_path / "secret").chmod(mode)
    with pytest.raises(DeliveryFailed, match=said) as caught:
        await sender.send(hook(receiver.url), message(), now=NOW)
    assert caught.value.next_step
    assert not text or text not in str(caught.value)
    assert receiver.taken == []


async def test_url_in_a_file_is_held_to_the_same(tmp_path: Path, sender: WebhookSender, receiver: Receiver) -> None:
    secret_file(tmp_path, "url", receiver.url)
    chat = Webhook(name="chat", url_file="url", format="slack", private=True)
    await sender.send(chat, message(), now=NOW)
    secret_file(tmp_path, "url", "http://pager.example/")
    with pytest.raises(DeliveryFailed, match="must be https"):
        await sender.send(chat, message(), now=NOW)
    assert len(receiver.taken) == 1


HOSTILE = "<!channel> <https://evil.example|Approve> @everyone ```**[x](https://evil.example)**"


def texts(value: Any) -> Iterator[tuple[str, str]]:
    """Every text in a JSON value, with the type of what holds it."""
    if isinstance(value, dict):
        for item in value.values():
            if isinstance(item, str):
                yield str(value.get("type", "")), item
            else:
                yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


async def posted(sender: WebhookSender, receiver: Receiver, format: str) -> Any:
    chat = Webhook(name="chat", url=receiver.url, format=format, private=True, details=True)  # type: ignore[arg-type]
    shown = message(Details(lines=(("Argument title", HOSTILE),)), run=HOSTILE, tool=HOSTILE)
    await sender.send(chat, shown, now=NOW)
    return json.loads(receiver.taken[-1][1])


async def test_slack_obeys_nothing_in_a_text(sender: WebhookSender, receiver: Receiver) -> None:
    body = await posted(sender, receiver, "slack")
    markup = [text for kind, text in texts(body["blocks"]) if kind == "mrkdwn" and text != "mrkdwn"]
    assert markup == ["<https://interlock.example/approvals/fix-1:a1|Look at all of it>"]
    assert "<" not in body["text"]


async def test_teams_obeys_nothing_in_a_text(sender: WebhookSender, receiver: Receiver) -> None:
    card = (await posted(sender, receiver, "teams"))["attachments"][0]["content"]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert {run["type"] for block in card["body"] for run in block["inlines"]} == {"TextRun"}
    assert [action["url"] for action in card["actions"]] == ["https://interlock.example/approvals/fix-1:a1"]


async def test_discord_obeys_nothing_in_a_text(sender: WebhookSender, receiver: Receiver) -> None:
    body = await posted(sender, receiver, "discord")
    assert body["allowed_mentions"] == {"parse": []}
    for shown in body["embeds"][0]["fields"]:
        assert shown["value"].startswith("```\n")
        assert "```" not in shown["value"][3:-3]
