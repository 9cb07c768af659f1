"""A card as it is printed: everything that it holds, once, and nothing that a terminal obeys."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from interlock.approval.card import Argument, Card, CardStage
from interlock.approval.changes import FileChange
from interlock.cli.approval_card import print_card


def card(**changed) -> Card:
    facts = {
        "request_id": "run-1:a1",
        "run": "run-1",
        "kind": "call",
        "sentence": "Open a pull request",
        "agent": "agent:fixer",
        "tool": "open_pull_request",
        "call_id": "run-1:c7",
        "arguments": (Argument(name="body", text="| one\n| two ⟨U+202E⟩"), Argument(name="title", text='"t"')),
        "exact_arguments": {},
        "changes": (
            FileChange(path="a.py", kind="changed", text="@@ -1 +1 @@\n-old\n+new [bold]x[/]", added=1, removed=1),
            FileChange(path="b.png", kind="added", text="", note="not shown as text: nothing → 5 bytes"),
        ),
        "rule": "fixer_proposes",
        "reason": "Rule 'fixer_proposes' asks.",
        "route": "maintainers",
        "approvers": ("user:carol", "user:dave"),
        "quorum": 1,
        "stage": "",
        "stages": (),
        "approvals": 0,
        "emergency": (),
        "passkey": False,
        "stand_ins": (),
        "at_deadline": "deny",
        "requester": "user:alice",
        "requested_at": datetime(2026, 1, 1, tzinfo=UTC),
        "expires_at": datetime(2026, 1, 1, 4, tzinfo=UTC),
        "seconds_left": 3 * 3600 + 125,
        "call_digest": "sha256:" + "a" * 64,
        "workspace": "",
        "warnings": ("There are hidden characters.",),
    }
    return Card(**{**facts, **changed})


def test_stages_and_who_else_has_a_say_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    team = CardStage(name="team", state="passed over", approvers=("user:bob",), quorum=2, expires_after_s=3600)
    lead = CardStage(name="lead", state="decides", approvers=("user:carol",), quorum=1, expires_after_s=60)
    print_card(
        card(
            stage="lead",
            stages=(team, lead),
            stand_ins=("user:gus",),
            emergency=("user:ops",),
            passkey=True,
            at_deadline="escalate",
        )
    )
    out = capsys.readouterr().out
    for text in (
        "route:     maintainers, stage lead: 1 of user:carol, user:dave\n",
        "left; then the next stage decides)\n",
        "stage:     team, passed over: 2 of user:bob\n",
        "stage:     lead, decides: 1 of user:carol\n",
        "stand-ins: user:gus\n",
        "emergency: user:ops may approve at once; it is reviewed\n",
        "passkey:   the decision must be signed with a passkey, in the browser\n",
    ):
        assert text in out


def test_everything_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_card(card())
    out = capsys.readouterr().out
    for text in (
        "Open a pull request\n",
        "agent:     agent:fixer, for user:alice\n",
        "digest:    sha256:" + "a" * 64,
        "rule:      fixer_proposes\n",
        "why:       Rule 'fixer_proposes' asks.\n",
        "route:     maintainers: 1 of user:carol, user:dave\n",
        "deadline:  2026-01-01 04:00:00Z (3 h 02 min left; then it is denied)\n",
        "decide:    approve, edit or reject\n",
        "WARNING: There are hidden characters.\n",
        "  body:\n    | one\n    | two ⟨U+202E⟩\n",
        '  title: "t"\n',
        "changed a.py +1 -1\n@@ -1 +1 @@\n-old\n+new [bold]x[/]\n",
        "added b.png (not shown as text: nothing → 5 bytes)\n",
    ):
        assert text in out


def test_no_change_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_card(card(changes=()))
    assert "Changes of files since the run began: none" in capsys.readouterr().out


def test_request_id_obeys_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    print_card(card(request_id="run-1:\x1b[2J\na1"))
    assert "request:   run-1:⟨U+001B⟩[2J⟨U+000A⟩a1\n" in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "words"), [("question", "respond or reject"), ("unknown", "run it again")])
def test_possible_decisions_are_said(capsys: pytest.CaptureFixture[str], kind: str, words: str) -> None:
    print_card(card(kind=kind))
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ({"choices": ["ship", "ho\nld"]}, "respond with one of 'ship', 'ho\\nld'; or reject\n"),
        ({"answer": {"type": "object"}}, "respond with a JSON object as `answer` says, or reject\n"),
    ],
)
def test_expected_answer_is_said(capsys: pytest.CaptureFixture[str], expected, words: str) -> None:
    print_card(card(kind="question", exact_arguments={"question": "Now?", **expected}))
    assert words in capsys.readouterr().out
    print_card(card(kind="call", exact_arguments=expected))
    assert "approve, edit or reject\n" in capsys.readouterr().out
