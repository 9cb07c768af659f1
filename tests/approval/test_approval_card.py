"""The card shows exactly what the call digest binds, whole, whatever an agent wrote into it; or it is refused."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from interlock.approval.card import Card, build_card
from interlock.digest import canonical
from interlock.errors import IntegrityError

from .conftest import NOW, Waiting

ESCAPES = "\x1b[2J\x1b[1;1HAPPROVED\x1b[0m\x9b31m\x07"


def card(waiting: Waiting, **changed) -> Card:
    parts = {"request": waiting.request(), "call": waiting.call(), "tool": waiting.tool(), **changed}
    base = waiting.tree(waiting.before)
    now = changed.pop("now", NOW + timedelta(minutes=10))
    parts.pop("now", None)
    return build_card(
        parts["request"], parts["call"], parts["tool"], waiting.blobs, base=base, reason="Rule asks.", now=now
    )


def every_text(shown: Card) -> str:
    texts = [shown.sentence, shown.reason, *shown.warnings]
    texts += [argument.name + argument.text for argument in shown.arguments]
    texts += [change.path + change.text + change.note for change in shown.changes or ()]
    return "\n".join(texts)


def test_card_names_everything(waiting) -> None:
    shown = card(waiting)
    assert shown.sentence == "Write x into src/a.py"
    assert (shown.agent, shown.requester, shown.tool) == ("agent:fixer", "user:alice", "write_file")
    assert (shown.rule, shown.route, shown.quorum) == ("writes_ask", "maintainers", 1)
    assert shown.seconds_left == 50 * 60
    assert shown.call_digest == waiting.request().call_digest


def test_time_left_is_never_negative(waiting) -> None:
    assert card(waiting, now=NOW + timedelta(days=1)).seconds_left == 0


@pytest.mark.parametrize("field", ["tool_digest", "arguments", "workspace"])
def test_call_of_other_digest_is_refused(waiting, field: str) -> None:
    other = waiting.call().model_copy(update={field: waiting.blobs.put(b"other")})
    with pytest.raises(IntegrityError, match="its call digest is"):
        card(waiting, call=other)


@pytest.mark.parametrize("field", ["tenant", "run", "call_id", "agent", "tool"])
def test_call_of_other_name_is_refused(waiting, field: str) -> None:
    value = "agent:other" if field == "agent" else "other"
    with pytest.raises(IntegrityError, match="is not shown"):
        card(waiting, call=waiting.call().model_copy(update={field: value}))


def test_other_arguments_cannot_be_shown(waiting) -> None:
    harmless = waiting.blobs.put(canonical({"path": "README.md", "text": "hello"}))
    request = waiting.request().model_copy(update={"subject": harmless})
    with pytest.raises(IntegrityError, match="its arguments is"):
        card(waiting, request=request)


def test_other_source_cannot_be_shown(waiting) -> None:
    tool = waiting.tool().model_copy(update={"source": waiting.blobs.put(b"another tool")})
    with pytest.raises(IntegrityError, match="tool's source"):
        card(waiting, tool=tool)


def test_missing_arguments_refuse_the_card(waiting) -> None:
    request, call, tool = waiting.request(), waiting.call(), waiting.tool()
    waiting.blobs.content.pop(call.arguments)
    with pytest.raises(IntegrityError, match="absent"):
        build_card(request, call, tool, waiting.blobs, base="", reason="", now=NOW)


def test_reformatted_arguments_refuse_the_card(waiting) -> None:
    """Equal JSON in other bytes is not what the digest names."""
    spaced = waiting.blobs.put(b'{ "path": "src/a.py", "text": "x" }')
    call = waiting.call().model_copy(update={"arguments": spaced})
    from interlock.digest import digest_of

    request = waiting.request().model_copy(update={"subject": spaced, "call_digest": digest_of(call.as_hashed())})
    with pytest.raises(IntegrityError, match="not in normal form"):
        card(waiting, request=request, call=call)


def test_escape_sequences_are_spelled_out(waiting) -> None:
    waiting.arguments = {"path": ESCAPES, "text": f"one\n{ESCAPES}"}
    waiting.preview, waiting.after = "workspace_diff", {"a.py": ESCAPES.encode()}
    text = every_text(card(waiting))
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert "\x07" not in text
    assert "⟨U+001B⟩[2J" in text


def test_hidden_characters_raise_a_warning(waiting) -> None:
    waiting.arguments = {"path": "src/a.py", "text": "access\u202etxt\u200b.exe"}
    shown = card(waiting)
    assert "access⟨U+202E⟩txt⟨U+200B⟩.exe" in shown.arguments[1].text
    assert "hidden or control characters" in shown.warnings[0]


def test_hidden_characters_in_files_raise_a_warning(waiting) -> None:
    waiting.preview, waiting.after = "workspace_diff", {"a.py": "if ok:\u2066 # \u2069\n".encode()}
    assert "hidden or control characters" in card(waiting).warnings[0]


def test_lookalike_words_raise_a_warning(waiting) -> None:
    waiting.arguments = {"path": "src/a.py", "text": "pip install reque\u0455ts"}
    assert "reque\u0455ts" in card(waiting).warnings[0]


def test_long_argument_is_shown_whole(waiting) -> None:
    text = "".join(chr(97 + at % 26) for at in range(50_000))
    waiting.arguments = {"path": "src/a.py", "text": text}
    shown = card(waiting)
    assert shown.arguments[1].text == f'"{text}"'
    assert "… (+49880 characters)" in shown.sentence


def test_lines_of_an_argument_are_kept(waiting) -> None:
    waiting.arguments = {"path": "src/a.py", "text": "one\n\ndigest:    sha256:fake\n"}
    assert card(waiting).arguments[1].text == "| one\n| \n| digest:    sha256:fake\n| "


def test_number_and_text_look_different(waiting) -> None:
    waiting.arguments = {"one": 5, "other": "5", "none": None, "yes": True}
    assert [a.text for a in card(waiting).arguments] == ["null", "5", '"5"', "true"]


def test_places_in_values_are_not_filled(waiting) -> None:
    waiting.arguments = {"path": "{text}", "text": "{path.__class__}"}
    assert card(waiting).sentence == "Write {path.__class__} into {text}"


def test_exact_arguments_are_for_machines(waiting) -> None:
    waiting.arguments = {"path": "a", "text": ESCAPES}
    shown = card(waiting)
    assert shown.exact_arguments == waiting.arguments
    assert "\x1b" not in json.dumps(shown.model_dump(mode="json"))


def test_question_says_that_it_is_one(waiting) -> None:
    waiting.kind, waiting.arguments = "question", {"question": "Which branch?"}
    assert card(waiting).sentence == "agent:fixer asks a question"


def test_unknown_outcome_is_said_first(waiting) -> None:
    waiting.kind = "unknown"
    assert card(waiting).sentence.startswith("It may have happened already: Write x")


def test_diff_covers_every_file(waiting) -> None:
    waiting.preview = "workspace_diff"
    waiting.before = {"same": b"=", "changed.py": b"a\nb\nc\n", "old/name.txt": b"moved\n", "gone": b"x\n"}
    waiting.after = {"same": b"=", "changed.py": b"a\nB\nc\n", "new/name.txt": b"moved\n", "empty": b""}
    changes = {change.path: change for change in card(waiting).changes or ()}
    assert {path: change.kind for path, change in changes.items()} == {
        "changed.py": "changed",
        "empty": "added",
        "gone": "removed",
        "new/name.txt": "added",
        "old/name.txt": "removed",
    }
    assert changes["changed.py"].text == "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c"
    assert changes["empty"].note == "an empty file"


def test_no_change_is_said(waiting) -> None:
    waiting.preview, waiting.before, waiting.after = "workspace_diff", {"a": b"1"}, {"a": b"1"}
    assert card(waiting).changes == ()


def test_tool_without_files_shows_no_diff(waiting) -> None:
    assert card(waiting).changes is None


def test_binary_file_is_named_with_sizes(waiting) -> None:
    waiting.preview = "workspace_diff"
    waiting.before, waiting.after = {"logo.png": b"\x89PNG\x00"}, {"logo.png": b"\xff\xfe\x00\x01\x02\x03"}
    (change,) = card(waiting).changes or ()
    assert change.text == ""
    assert "5 bytes sha256:" in change.note
    assert "6 bytes sha256:" in change.note


def test_executable_bit_is_shown(waiting) -> None:
    waiting.preview, waiting.before, waiting.after = "workspace_diff", {"run.sh": b"x\n"}, {"run.sh": b"x\n"}
    waiting.executable = ("run.sh",)
    (change,) = card(waiting).changes or ()
    assert (change.kind, change.note, change.text) == ("changed", "becomes executable", "")


def test_missing_line_feed_is_shown(waiting) -> None:
    waiting.preview, waiting.before, waiting.after = "workspace_diff", {"a": b"x\n"}, {"a": b"x"}
    (change,) = card(waiting).changes or ()
    assert change.text == "@@ -1 +1 @@\n-x\n+x\n\\ No newline at end of file"


def test_carriage_return_cannot_hide_a_change(waiting) -> None:
    waiting.preview = "workspace_diff"
    waiting.before, waiting.after = {"a": b"safe\n"}, {"a": b"evil()\rsafe\n"}
    (change,) = card(waiting).changes or ()
    assert "+evil()⟨U+000D⟩safe" in change.text


def test_huge_change_is_shown_whole(waiting) -> None:
    waiting.preview = "workspace_diff"
    head = [f"same {n}" for n in range(100)]
    old, new = [f"old {n}" for n in range(15_000)], [f"new {n}" for n in range(15_000)]
    waiting.before = {"a": "\n".join([*head, *old, "end", ""]).encode()}
    waiting.after = {"a": "\n".join([*head, *new, "end", ""]).encode()}
    (change,) = card(waiting).changes or ()
    lines = change.text.split("\n")
    assert lines[0] == "@@ -101,15000 +101,15000 @@"
    assert lines[1:] == [*(f"-{line}" for line in old), *(f"+{line}" for line in new)]
    assert (change.added, change.removed) == (15_000, 15_000)


def test_missing_file_refuses_the_card(waiting) -> None:
    waiting.preview, waiting.after = "workspace_diff", {"a": b"content"}
    parts = waiting.request(), waiting.call(), waiting.tool()
    from interlock.digest import digest_bytes

    waiting.blobs.content.pop(digest_bytes(b"content"))
    with pytest.raises(IntegrityError, match="absent"):
        build_card(*parts, waiting.blobs, base="", reason="", now=NOW)


def test_hostile_path_stays_on_its_line(waiting) -> None:
    waiting.preview, waiting.after = "workspace_diff", {"a\u202eb\u2028[bold]c": b"x\n"}
    (change,) = card(waiting).changes or ()
    assert change.path == "a⟨U+202E⟩b⟨U+2028⟩[bold]c"
