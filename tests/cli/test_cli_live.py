"""`interlock run live`: what it makes of what tools and nodes write, whatever that is."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from interlock.cli.run_live import _news, _tell
from interlock.graph import Written
from interlock.run.live import LiveOutput, LiveRun

HOSTILE = "\x1b]0;title\x07\u202egpj.exe\nnext"


def call(text: str, **changes: Any) -> LiveOutput:
    return LiveOutput(call="run:c1", printed=len(text.encode()), tail=text, withheld=False).model_copy(
        update=changes
    )


def node(text: str, **changes: Any) -> Written:
    return Written(node="team.work", written=len(text), tail=text).model_copy(update=changes)


def shown(capsys: pytest.CaptureFixture[str], run: LiveRun, seen: dict[str, int], **options: Any) -> str:
    _tell(_news(run, seen), seen, **{"as_json": False, "follow": True, **options})
    return capsys.readouterr().out


def test_control_characters_are_spelled_out(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, LiveRun(True, [call(HOSTILE)], {"1": node(HOSTILE)}), {})
    assert not set(text) & set("\x1b\x07\u202e")
    assert text.count("⟨U+001B⟩]0;title⟨U+0007⟩⟨U+202E⟩gpj.exe\nnext") == 2
    document = shown(capsys, LiveRun(True, [call(HOSTILE)], {"1": node(HOSTILE)}), {}, as_json=True)
    assert document.isascii()
    assert orjson.loads(document)["nodes"] == [{"node": "team.work", "written": len(HOSTILE), "tail": HOSTILE}]


def test_only_what_is_new_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    seen = {"run:c1": 4, "1": 4, "2": 4}
    run = LiveRun(True, [call("old,new")], {"1": node("old,new"), "2": node("same")})
    assert shown(capsys, run, seen) == "c1: 7 bytes so far\nnew\nteam.work: 7 characters so far\nnew\n"


def test_withheld_output_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, LiveRun(True, [call("", printed=9, withheld=True)], {}), {})
    assert text == "c1: 9 bytes, shown when the call has ended: a rule redacts them\n"


def test_node_tried_again_is_shown_from_its_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, LiveRun(True, [], {"1": node("again")}), {"1": 40}).endswith("\nagain\n")
