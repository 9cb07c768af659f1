"""The read models, computed from events: a pure fold, used when events are stored and again to verify."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from interlock.audit.rows import ApprovalRow, RunRow, RunStatus, VoteRow
from interlock.errors import IntegrityError
from interlock.events import (
    ApprovalAdvanced,
    ApprovalDecided,
    ApprovalExpired,
    ApprovalReassigned,
    ApprovalRequested,
    ApprovalWithdrawn,
    CallFinished,
    CallRefused,
    CallUnknown,
    Event,
    RunCancelled,
    RunEnded,
    RunErased,
    RunPaused,
    RunResumed,
    RunStarted,
)
from interlock.types.approval import ApprovalVerdict, RequestState

TOUCHES_APPROVALS = (
    ApprovalRequested
    | ApprovalDecided
    | ApprovalAdvanced
    | ApprovalReassigned
    | ApprovalExpired
    | ApprovalWithdrawn
    | CallFinished
    | CallRefused
    | CallUnknown
    | RunEnded
)
"""Events for which a run's open approvals must be at hand."""

_CLOSED: dict[ApprovalVerdict, RequestState] = {
    "approve": "approved",
    "edit": "rejected",
    "reject": "rejected",
    "respond": "answered",
}
"""An edit leaves nothing to approve: the edited call is a new call with a request of its own."""


class Projection:
    """A run and its approval requests as its events tell them.

    Attributes:
        run: the run's row; None before its first event.
        approvals: the requests at hand, by id.
        changed: ids of the requests that an event changed.
    """

    def __init__(self, run: RunRow | None = None, approvals: Iterable[ApprovalRow] = ()) -> None:
        self.run = run
        self.approvals = {row.request_id: row for row in approvals}
        self.changed: set[str] = set()

    def apply(self, event: Event) -> None:
        """Fold one event in. Events come in the order of the chain.

        Raises:
            IntegrityError: no honest workflow records this event here.
        """
        if isinstance(event, RunStarted):
            self._start(event)
        run = self._run(event)
        match event:
            case ApprovalRequested():
                self._request(event, run)
            case ApprovalDecided():
                self._decide(event)
            case ApprovalAdvanced():
                self._advance_stage(event)
            case ApprovalReassigned():
                self._reassign(event)
            case ApprovalExpired():
                self._close(self._approval(event, event.request_id), "expired")
            case ApprovalWithdrawn():
                self._close(self._approval(event, event.request_id), "withdrawn")
            case CallFinished() | CallUnknown():
                self._settle_call(event.call_id, "approved", "consumed")
            case CallRefused():
                self._settle_call(event.call_id, "pending", "withdrawn")
            case RunEnded():
                self._end(event)
            case _:
                pass
        self._advance(event)

    def _start(self, event: RunStarted) -> None:
        if self.run is not None:
            raise IntegrityError(f"event {event.seq} (run.started) of run {event.run!r}: the run started before")
        self.run = RunRow(
            run=event.run,
            tenant=event.tenant,
            workflow=event.workflow,
            requester=event.requester,
            manifest=event.manifest,
            status="running",
            started_at=event.time,
            updated_at=event.time,
            ended_at=None,
            workspace=event.workspace,
            count=0,
            head=event.prev,
            result="",
            detail="",
            paused=False,
            waiting=0,
        )

    def _run(self, event: Event) -> RunRow:
        if self.run is None:
            raise IntegrityError(
                f"event {event.seq} ({event.kind}) of run {event.run!r}: a run's first event is run.started"
            )
        if self.run.ended and not isinstance(event, RunErased):
            raise IntegrityError(f"event {event.seq} ({event.kind}) of run {event.run!r}: the run ended before")
        return self.run

    def _approval(self, event: Event, request_id: str) -> ApprovalRow:
        if request_id not in self.approvals:
            raise IntegrityError(
                f"event {event.seq} ({event.kind}) of run {event.run!r}: nobody requested {request_id!r}"
            )
        return self.approvals[request_id]

    def _request(self, event: ApprovalRequested, run: RunRow) -> None:
        where = f"event {event.seq} (approval.requested) of run {event.run!r}"
        if not event.request_id.startswith(f"{event.run}:"):
            raise IntegrityError(f"{where}: request_id {event.request_id!r} belongs to another run")
        if event.request_id in self.approvals:
            raise IntegrityError(f"{where}: {event.request_id!r} was requested before")
        row = ApprovalRow(
            request_id=event.request_id,
            run=event.run,
            tenant=run.tenant,
            requester=run.requester,
            kind=event.about,
            call_id=event.call_id,
            tool=event.tool,
            agent=event.agent,
            rule=event.rule,
            reason=event.reason,
            route=event.route,
            stage=event.stage,
            approvers=event.approvers,
            quorum=event.quorum,
            call_digest=event.call_digest,
            subject=event.subject,
            requested_at=event.time,
            expires_at=event.expires_at,
            ends_at=event.ends_at or event.expires_at,
            state="pending",
            decided_by="",
            decided_at=None,
            votes=(),
        )
        self._keep(row)

    def _decide(self, event: ApprovalDecided) -> None:
        row = self._approval(event, event.request_id)
        vote = VoteRow(
            approver=event.approver,
            verdict=event.verdict,
            at=event.time,
            message=event.message,
            edited=event.edited,
            stage=event.stage,
            seat=event.seat,
            emergency=event.emergency,
        )
        row = replace(row, votes=(*row.votes, vote))
        if event.closes and row.state == "pending":
            row = replace(row, state=_CLOSED[event.verdict], decided_by=event.approver, decided_at=event.time)
        self._keep(row)

    def _advance_stage(self, event: ApprovalAdvanced) -> None:
        row = self._approval(event, event.request_id)
        self._keep(
            replace(
                row,
                stage=event.stage,
                approvers=event.approvers,
                quorum=event.quorum,
                expires_at=event.expires_at,
            )
        )

    def _reassign(self, event: ApprovalReassigned) -> None:
        row = self._approval(event, event.request_id)
        self._keep(replace(row, approvers=tuple(sorted({*row.approvers, event.to} - {event.by}))))

    def _close(self, row: ApprovalRow, state: RequestState) -> None:
        if row.state == "pending":
            self._keep(replace(row, state=state))

    def _settle_call(self, call_id: str, before: RequestState, after: RequestState) -> None:
        for row in list(self.approvals.values()):
            if row.call_id == call_id and row.state == before and row.kind != "review":
                self._keep(replace(row, state=after))

    def _end(self, event: RunEnded) -> None:
        if event.count != event.seq + 1:
            raise IntegrityError(
                f"event {event.seq} (run.ended) of run {event.run!r}: count says {event.count} events, "
                f"this is number {event.seq + 1}"
            )
        for row in list(self.approvals.values()):
            self._close(row, "withdrawn")

    def _keep(self, row: ApprovalRow) -> None:
        before = self.approvals.get(row.request_id)
        opened = (row.state == "pending") - (before is not None and before.state == "pending")
        self.approvals[row.request_id] = row
        self.changed.add(row.request_id)
        if self.run is not None:
            self.run = replace(self.run, waiting=self.run.waiting + opened)

    def _advance(self, event: Event) -> None:
        run = replace(self._run(event), count=event.seq + 1, head=event.hash, updated_at=event.time)
        if isinstance(event, RunErased):
            if not run.ended:
                raise IntegrityError(f"event {event.seq} (run.erased) of run {event.run!r}: the run has not ended")
            self.run = run
            return
        match event:
            case RunPaused() | RunResumed():
                run = replace(run, paused=isinstance(event, RunPaused))
            case RunCancelled():
                run = replace(run, detail=event.reason)
            case CallFinished():
                run = replace(run, workspace=event.workspace or run.workspace)
            case _:
                pass
        open_status: RunStatus = "paused" if run.paused else "waiting" if run.waiting else "running"
        run = replace(run, status=open_status)
        self.run = _ended(run, event) if isinstance(event, RunEnded) else run


def _ended(run: RunRow, event: RunEnded) -> RunRow:
    return replace(
        run,
        status=event.status,
        ended_at=event.time,
        result=event.result,
        workspace=event.workspace or run.workspace,
        detail=event.detail or run.detail,
    )
