"""The ledger's record of handed-on work: once for each call, never changed, bounded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.events import SampleRun

from interlock.audit import HandOffRow, Ledger, SqlBlobs
from interlock.audit.hand_offs import MOST
from interlock.errors import Refused


@pytest.fixture
def row(ledger: Ledger, blobs: SqlBlobs) -> HandOffRow:
    """A hand-off of a reserved call."""
    sample = SampleRun(blobs)
    decided = next(event.seq for event in sample.events if event.kind == "call.finished")
    ledger.append(sample.run, sample.events[:decided])
    ledger.reserve(sample.reservation("c1"))
    return HandOffRow(f"{sample.run}:c1", sample.run, f"{sample.run}.s1", "helper", "statement")


def test_first_statement_of_a_call_stands(ledger: Ledger, row: HandOffRow) -> None:
    assert ledger.hand_on(row, row.run) == row
    assert ledger.hand_on(replace(row, delegation="another", child="another"), row.run) == row
    assert (ledger.handed_on(row.call_id), ledger.origin(row.child)) == (row, row)
    assert ledger.hand_offs(row.run) == [row]


def test_unknown_run_came_of_nothing(ledger: Ledger, row: HandOffRow) -> None:
    assert ledger.origin(row.run) is None
    assert ledger.handed_on("other:c1") is None


@pytest.mark.parametrize("change", ["UPDATE hand_offs SET delegation = 'x'", "DELETE FROM hand_offs"])
def test_hand_offs_are_append_only(ledger: Ledger, row: HandOffRow, database, change: str) -> None:
    ledger.hand_on(row, row.run)
    with pytest.raises(Exception, match="append-only"):
        database.execute(change)
    assert ledger.handed_on(row.call_id) == row


def handed_on(database, run: str, times: int) -> None:
    for number in range(times):
        call, values = f"{run}:x{number}", (run, f"{run}-child-{number}")
        database.execute(
            "INSERT INTO calls (call_id, run, call_digest, verdict, rule, bundle, request, reserved_at) "
            "VALUES (?, 'sample-1', 'd', 'allow', 'r', 'b', 'q', '2026')",
            call,
        )
        database.execute(
            "INSERT INTO hand_offs (call_id, run, child, agent, delegation, begun_at) "
            "VALUES (?, ?, ?, 'helper', 'statement', '2026')",
            call,
            *values,
        )


def test_run_hands_on_so_often_only(ledger: Ledger, row: HandOffRow, database) -> None:
    handed_on(database, row.run, MOST)
    with pytest.raises(Refused, match=f"run {row.run!r} has handed work on 100 times"):
        ledger.hand_on(row, "another")


def test_family_hands_on_so_often_only(
    ledger: Ledger, row: HandOffRow, database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the work is spread over runs below one another."""
    monkeypatch.setattr("interlock.audit.hand_offs.MOST_BELOW", 6)
    root = "root"
    for run in ("root", "root.s1", "root.s1.s4"):
        handed_on(database, run, 2)
    handed_on(database, "rootless", 3)
    with pytest.raises(Refused, match="run 'root', with all runs below it, has handed work on 6 times"):
        ledger.hand_on(row, root)
    assert ledger.hand_on(row, "rootless") == row
