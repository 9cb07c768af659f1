"""Text on pages, drawings of graphs, and the order of the inbox, without a browser."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from markupsafe import Markup

from interlock.audit import ApprovalRow
from interlock.console.assets import FOLDER, asset
from interlock.console.drawing import STANDARD, drawn
from interlock.console.pages import environment
from interlock.console.shown import line, marked, shown
from interlock.console.standing import standing
from interlock.console.waiting import PAGE, inbox
from interlock.console.words import left
from interlock.errors import IntegrityError, InvalidInput

OURS = r'<span class="(mark|alike)" title="[a-z0-9, -]+">|</span>'
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
ROW = ApprovalRow(
    request_id="run:a1",
    run="run",
    tenant="default",
    requester="user:alice",
    kind="call",
    call_id="run:c1",
    tool="send",
    agent="agent:mailer",
    rule="asks_send",
    reason="",
    route="seniors",
    stage="",
    approvers=("user:alice", "user:carol"),
    quorum=1,
    call_digest="",
    subject="",
    requested_at=NOW,
    expires_at=NOW + timedelta(hours=1),
    ends_at=NOW + timedelta(hours=1),
    state="pending",
    decided_by="",
    decided_at=None,
    votes=(),
)


class NoBlobs:
    """A store whose content is gone."""

    def of(self, run: str) -> NoBlobs:
        return self

    def get(self, digest: str) -> bytes:
        raise IntegrityError("absent")


def listed(rows: list[ApprovalRow], person: str = "user:carol", after: str = "") -> Any:
    blobs: Any = NoBlobs()
    return inbox(rows, person, "default", blobs, now=NOW, after=after)


def test_markup_in_text_is_text() -> None:
    assert shown("<b>&'\"") == Markup("&lt;b&gt;&amp;&#39;&#34;")


def test_hidden_characters_are_marked_and_their_imitation_is_not() -> None:
    real, imitated = line("a\u202eb"), line("a⟨U+202E⟩b")
    assert '<span class="mark"' in real
    assert "⟨U+202E⟩</span>b" in real
    assert "U+202E⟩</span>" not in imitated
    assert "⟨U+27E8⟩</span>U+202E⟩b" in imitated


def test_what_was_made_visible_already_is_not_marked_twice() -> None:
    assert "⟨U+202E⟩</span>b" in marked("a⟨U+202E⟩b")


def test_letters_of_another_alphabet_in_a_word_stand_out_one_by_one() -> None:
    made = line("to p\u0430ypal.com <b>")
    assert '<span class="alike" title="cyrillic small letter a">\u0430</span>' in made
    assert made.count("<span") == 1
    assert made.endswith("&lt;b&gt;")
    assert line("Привет мир") == Markup("Привет мир")  # a word of one alphabet is no look-alike


@given(some.text() | some.text("p\u0430<&\u202e Ω"))
def test_no_text_becomes_an_element(text: str) -> None:
    for made in (shown(text), line(text), marked(text)):
        assert re.sub(OURS, "", made).count("<") == 0


def test_every_template_escapes_and_none_marks_text_as_safe() -> None:
    made = environment()
    assert made.autoescape is True
    for name in made.list_templates():
        source, _, _ = made.loader.get_source(made, name)  # type: ignore[union-attr]
        assert "|safe" not in source.replace(" ", ""), name
        assert "style=" not in source.replace("color-scheme", ""), name
        assert (
            " on" not in source.replace(" on ", "").replace(' once"', "").replace(" only", "")
            or "onclick" not in source
        ), name
        assert "<script>" not in source, name
        made.get_template(name)


def test_an_asset_s_address_changes_with_its_bytes() -> None:
    assert asset("console.css").startswith("/static/console.css?v=")
    assert len({asset(one.name).partition("v=")[2] for one in FOLDER.iterdir()}) == len(list(FOLDER.iterdir()))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "deadline passed"),
        (59, "59 s left"),
        (61, "1 min 1 s left"),
        (3_600, "1 h 0 min left"),
        (90_000, "1 d 1 h left"),
    ],
)
def test_time_that_is_left(seconds: int, words: str) -> None:
    assert left(seconds) == words


def test_the_standard_loop_is_drawn_with_its_way_back() -> None:
    found = drawn(STANDARD)
    assert found is not None
    assert [box.label for box in found.boxes] == ["start", "model", "act", "end"]
    assert [box.y for box in found.boxes] == sorted(box.y for box in found.boxes)
    assert "act leads to model" in found.words
    assert all(box.x >= 0 and box.x + box.width <= found.width for box in found.boxes)


def test_what_is_no_graph_is_not_drawn() -> None:
    assert drawn("") is None
    assert drawn("<script>alert(1)</script>") is None
    assert drawn("\n".join(f"n{number} --> n{number + 1};" for number in range(200))) is None


def test_the_nearest_deadline_of_mine_comes_first() -> None:
    late = replace(ROW, request_id="run:a1", expires_at=NOW + timedelta(hours=2))
    soon = replace(ROW, request_id="run:a2")
    foreign = replace(ROW, request_id="run:a3", approvers=("user:dave",), expires_at=NOW + timedelta(minutes=1))
    found = listed([late, soon, foreign, replace(ROW, request_id="run:a4", tenant="another")])
    assert [one.row.request_id for one in found.mine] == ["run:a2", "run:a1"]
    assert [one.row.request_id for one in found.others] == ["run:a3"]
    assert found.alike == (("run:a2", "send", 2),)


def test_pages_of_the_inbox_hold_everything_once() -> None:
    rows = [replace(ROW, request_id=f"run:a{number}") for number in range(2 * PAGE + 7)]
    seen: list[str] = []
    after = ""
    while True:
        found = listed(rows, after=after)
        seen += [one.row.request_id for one in found.mine]
        after = found.after
        if not after:
            break
    assert sorted(seen) == sorted(row.request_id for row in rows)
    assert found.mine_in_all == len(rows)


def test_what_is_no_place_in_the_inbox_is_refused() -> None:
    with pytest.raises(InvalidInput, match="after: not a cursor"):
        listed([ROW], after="x")


def test_who_may_not_decide_is_told_why() -> None:
    assert standing(ROW, "user:carol", NOW).may
    assert "You asked for this run" in standing(ROW, "user:alice", NOW).why
    assert "no approver of route seniors" in standing(ROW, "user:dave", NOW).why
    assert "deadline has passed" in standing(ROW, "user:carol", ROW.expires_at).why
    assert "withdrawn" in standing(replace(ROW, state="withdrawn"), "user:carol", NOW).why
