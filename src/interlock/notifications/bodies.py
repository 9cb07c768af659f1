"""What is posted: Standard Webhooks' JSON, and the forms that incoming webhooks of chat tools take.

Names come from the ledger's database, details from agents: neither may become markup, a link or a mention there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from interlock.notifications.channels import Format
from interlock.notifications.notification import Message

_LONGEST: Final = 1_500
"""Characters of one detail in a chat; the page behind the link has all of it."""


def body(format: Format, message: Message) -> bytes:
    """The JSON of one POST."""
    return json.dumps(_FORMS[format](message), separators=(",", ":")).encode("ascii")


def _standard(message: Message) -> dict[str, Any]:
    """See https://www.standardwebhooks.com: `type`, `timestamp`, `data`."""
    told = message.notification
    data = {**told.data(), "headline": told.headline, "link": message.link}
    if message.details is not None:
        data["details"] = [{"label": label, "text": text} for label, text in message.details.lines]
    return {"type": told.kind, "timestamp": told.time.isoformat(), "data": data}


def _slack(message: Message) -> dict[str, Any]:
    told = message.notification
    fields = [_plain_text(f"{label}: {text}") for label, text in told.facts().items()]
    blocks: list[dict[str, Any]] = [{"type": "section", "text": _plain_text(told.headline)}]
    if fields:
        blocks.append({"type": "section", "fields": fields})
    blocks += [{"type": "section", "text": _plain_text(f"{label}: {text}")} for label, text in _details(message)]
    link = {"type": "mrkdwn", "text": f"<{_slack_escaped(message.link)}|Look at all of it>"}
    blocks.append({"type": "section", "text": link})
    return {"text": _slack_escaped(told.headline), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def _plain_text(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text[:2_000], "emoji": False}


def _slack_escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "%7C")


def _teams(message: Message) -> dict[str, Any]:
    """An adaptive card. Text runs take no Markdown, which text blocks and facts would."""
    told = message.notification
    lines = [*told.facts().items(), *_details(message)]
    shown = [_run_of_text([(told.headline, True)])]
    shown += [_run_of_text([(f"{label}: ", True), (text, False)]) for label, text in lines]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": shown,
        "actions": [{"type": "Action.OpenUrl", "title": "Look at all of it", "url": message.link}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _run_of_text(parts: list[tuple[str, bool]]) -> dict[str, Any]:
    runs = [{"type": "TextRun", "text": text, "weight": "Bolder" if bold else "Default"} for text, bold in parts]
    return {"type": "RichTextBlock", "inlines": runs}


def _discord(message: Message) -> dict[str, Any]:
    told = message.notification
    lines = [*told.facts().items(), *_details(message)]
    fields = [{"name": label, "value": _fenced(text), "inline": False} for label, text in lines[:25]]
    embed = {"title": told.headline[:256], "url": message.link, "fields": fields}
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _fenced(text: str) -> str:
    """As code, which is shown as it is; a fence in it is broken up."""
    return "```\n" + text[:900].replace("```", "`\N{ZERO WIDTH SPACE}``") + "\n```"


def _details(message: Message) -> list[tuple[str, str]]:
    lines = message.details.lines if message.details else ()
    return [(label, text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…") for label, text in lines]


_FORMS: Final[dict[Format, Callable[[Message], dict[str, Any]]]] = {
    "standard": _standard,
    "slack": _slack,
    "teams": _teams,
    "discord": _discord,
}
