"""Runs of which one handed work on to the other, as the command line tells them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.events import SampleRun

from interlock.audit import HandOffRow, Ledger, SqlBlobs
from interlock.events import CallFinished, RunStarted
from interlock.run.timeline import Timeline
from interlock.scratch import ScratchBlobs
from interlock.types.call import ChildRun

CHILD = "sample-1.s1"


@pytest.fixture
def family(recorded, project: Path) -> SampleRun:
    """The sample run, and one to which it handed work on."""
    state = project / ".interlock"
    ledger = Ledger(f"sqlite:///{state}/ledger.db")
    SampleRun(SqlBlobs(f"sqlite:///{state}/blobs.db"), run=CHILD).store(ledger)
    ledger.hand_on(HandOffRow("sample-1:c1", "sample-1", CHILD, "helper", "statement"), "sample-1")
    ledger.close()
    return recorded


def test_list_names_the_parent(interlock, family) -> None:
    listed = {row["run"]: row["parent"] for row in interlock("run", "list", "--json").json["runs"]}
    assert listed == {"sample-1": "", CHILD: "sample-1"}
    assert "user:alice (by sample-1)" in interlock("run", "list").out


def test_show_names_the_children(interlock, family) -> None:
    told = interlock("run", "show", "sample-1")
    assert f"handed work on to {CHILD}" in told.out + told.err
    shown = interlock("run", "show", CHILD, "--json").json
    assert (shown["parent"], shown["children"]) == ("sample-1", [])


@pytest.mark.parametrize("name", ["last", "sample", "sample-1"])
def test_run_is_found_before_those_below_it(interlock, family, name: str) -> None:
    assert interlock("run", "show", name, "--json").json["run"] == "sample-1"


def test_timeline_tells_of_hand_offs(family) -> None:
    lines = Timeline(ScratchBlobs())
    told = {"parent": "sample-0", "parent_call": "sample-0:c3", "delegators": ("agent:a", "agent:b")}
    start = next(event for event in family.events if isinstance(event, RunStarted)).model_copy(update=told)
    assert "handed on by c3 of sample-0 (agent:a → agent:b)" in lines.line(start)
    child = ChildRun(run=CHILD, status="completed", count=9, head=start.hash, usage={"m": (3, 4), "n": (1, 0)})
    ended = next(event for event in family.events if isinstance(event, CallFinished))
    line = lines.line(ended.model_copy(update={"child": child}))
    assert f"by run {CHILD}, completed (9 events, 8 tokens)" in line
