"""Pages of runs and of closed requests, by what people look for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.events import SampleRun

from interlock.audit import Ledger, SqlBlobs
from interlock.audit.finding import cursor_of
from interlock.errors import InvalidInput


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    folder: Path = tmp_path_factory.mktemp("finding")
    ledger, blobs = Ledger(f"sqlite:///{folder}/ledger.db"), SqlBlobs(f"sqlite:///{folder}/blobs.db")
    for number in range(5):
        SampleRun(blobs, run=f"sample-{number}").store(ledger)
    yield ledger
    ledger.close()
    blobs.close()


def test_runs_are_found_page_by_page_and_none_twice(ledger: Ledger) -> None:
    tenant = ledger.runs(limit=1)[0].tenant
    seen: list[str] = []
    before = ""
    while rows := ledger.find_runs(2, before, tenant=tenant):
        seen += [row.run for row in rows]
        before = rows[-1].cursor
    assert seen == [row.run for row in ledger.runs(limit=50)]
    assert len(seen) == 5


def test_runs_are_found_by_what_they_are(ledger: Ledger) -> None:
    row = ledger.run("sample-3")
    assert [one.run for one in ledger.find_runs(tenant=row.tenant, text="LE-3")] == ["sample-3"]
    assert ledger.find_runs(tenant=row.tenant, text="%") == []
    assert ledger.find_runs(tenant=row.tenant, workflow="nobody") == []
    assert ledger.find_runs(tenant=row.tenant, requester="user:nobody") == []
    assert len(ledger.find_runs(tenant=row.tenant, workflow=row.workflow, status=row.status)) == 5
    assert ledger.find_runs(tenant="another") == []


def test_closed_requests_are_found_page_by_page_and_only_a_tenants_own(ledger: Ledger) -> None:
    closed = [row for row in ledger.approvals(state=None) if row.state != "pending"]
    tenant = closed[0].tenant
    seen: list[str] = []
    before = ""
    while rows := ledger.find_closed(2, before, tenant=tenant):
        seen += [row.request_id for row in rows]
        before = cursor_of(rows[-1])
    assert sorted(seen) == sorted(row.request_id for row in closed)
    assert ledger.find_closed(tenant="another") == []
    assert all(row.tool == closed[0].tool for row in ledger.find_closed(tenant=tenant, tool=closed[0].tool))


def test_what_is_no_cursor_is_refused(ledger: Ledger) -> None:
    with pytest.raises(InvalidInput, match="before: 'x' is not a cursor"):
        ledger.find_runs(tenant="default", before="x")
    with pytest.raises(InvalidInput, match="before: 'x' is not a cursor"):
        ledger.find_closed(tenant="default", before="x")
