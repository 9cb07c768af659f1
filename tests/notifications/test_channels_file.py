"""notifications.yaml: what it may say, and what is said of each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.errors import ProjectError
from interlock.notifications import SUBSCRIBED, Channels, load_channels

GOOD = """
webhooks:
  - name: pager
    url: https://pager.example/hook
    secret_file: .interlock/pager.secret
    events: [approval.requested, run.failed]
  - name: chat
    url_file: .interlock/chat.url
    format: slack
email:
  host: mail.example
  from: interlock@example.org
  user: interlock
  password_file: .interlock/mail.password
  to:
    user:alice: alice@example.org
"""


def loaded(folder: Path, text: str) -> Channels | None:
    path = folder / "notifications.yaml"
    path.write_text(text)
    return load_channels(path, "notifications.yaml", ["user:alice", "user:bob"])


def test_no_file_is_no_channel(tmp_path: Path) -> None:
    assert load_channels(tmp_path / "notifications.yaml", "notifications.yaml") is None


def test_file_says_who_is_told_of_what(tmp_path: Path) -> None:
    found = loaded(tmp_path, GOOD)
    assert found is not None
    assert found.email is not None
    assert [(hook.name, hook.format) for hook in found.webhooks] == [("pager", "standard"), ("chat", "slack")]
    assert found.webhooks[0].events == ("approval.requested", "run.failed")
    assert found.webhooks[1].events == SUBSCRIBED
    assert (found.email.port, found.email.tls, found.email.details) == (587, "starttls", False)


HOOK = "webhooks: [{{name: pager, secret_file: s, {}}}]"
MAIL = "email: {{host: mail.example, from: a@b.example, to: {{user:alice: alice@example.org}}, {}}}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("webhook: []", "notifications.yaml:1: webhook: no such key (did you mean 'webhooks'?)"),
        ("- a", "write `webhooks:` and `email:`"),
        (HOOK.format("urll: https://a.example/"), "urll: no such key (did you mean 'url'?)"),
        (HOOK.format("url: 'https://a.example', events: [approval.request]"), "did you mean 'approval.requested'?"),
        (HOOK.format("url: 'https://a.example/', events: [test.sent]"), "'test.sent' is none of"),
        (HOOK.format("url: 'https://a.example/', events: []"), "webhooks.0.events"),
        (HOOK.format("url: 'http://a.example/'"), "must be https; http is for this machine only"),
        (HOOK.format("url: 'http://127.0.0.1.evil.example/'"), "must be https"),
        (HOOK.format("url: 'https://me:secret@a.example/'"), "without user, password or fragment"),
        (HOOK.format("url: 'https://a.example/x#y'"), "without user, password or fragment"),
        (HOOK.format("url: 'https://a.example/ x'"), "characters that a URL does not have"),
        (HOOK.format('url: "https://a.example/\\n"'), "characters that a URL does not have"),
        (HOOK.format("url: 'https://a.example:99999/'"), "url:"),
        (HOOK.format("url: 'file:///etc/passwd'"), "write https://HOST/PATH"),
        (HOOK.format("url: 'https://a.example/', url_file: f"), "give either `url` or `url_file`"),
        (HOOK.format("format: slack, url: 'https://a.example/'"), "slack checks no signature"),
        ("webhooks: [{name: pager, url: 'https://a.example/'}]", "secret_file: is missing"),
        ("webhooks: [{name: email, secret_file: s, url: 'https://a.example/'}]", "call it otherwise"),
        (
            "webhooks: [{name: a, secret_file: s, url: 'https://a.example/'},"
            " {name: a, secret_file: s, url: 'https://b.example/'}]",
            "two are called 'a'",
        ),
        (MAIL.format("tls: none"), "for a server on this machine only"),
        (MAIL.format("user: me"), "give both `user` and `password_file`"),
        (MAIL.format("port: 0"), "email.port"),
        ("email: {host: h, from: 'a@b.example, c@d.example', to: {}}", "no email address"),
        ('email: {host: h, from: "a@b.example\\nBcc: c@d.example", to: {}}', "no email address"),
        ("email: {host: h, from: 'A <a@b.example>', to: {}}", "no email address"),
        ("email: {host: h, from: a@b.example, to: {user:alicia: a@b.example}}", "did you mean 'user:alice'?"),
        ("email: {host: h, from: a@b.example, to: {alice: a@b.example}}", "email.to.alice"),
    ],
)  # fmt: skip
def test_mistake_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ProjectError) as caught:
        loaded(tmp_path, text)
    assert said in caught.value.reason
    assert "notifications.yaml:1" in caught.value.reason
    assert caught.value.next_step
