"""The ledger: append-only events of every run, and what an executor must remember before it acts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from interlock.audit import checkpoint as checkpoint_
from interlock.audit import egress, erasures, finding, grants, hand_offs, queries, reservation, workspace
from interlock.audit import remembered as kept
from interlock.audit.alarms import Alarming, raise_alarm, read_alarms
from interlock.audit.append import append, head
from interlock.audit.approval_statistics import ApprovalFacts, approval_facts
from interlock.audit.lengths import RunLength, lengths
from interlock.audit.migrate import migrate
from interlock.audit.remembered import KnownBundle
from interlock.audit.rows import (
    Alarm,
    ApprovalRow,
    CallRow,
    Checkpoint,
    GrantRow,
    GrantUse,
    HandOffRow,
    Head,
    Reservation,
    ReserveOutcome,
    RunRow,
    RunStatus,
)
from interlock.database import Store
from interlock.errors import InterlockError, InvalidInput
from interlock.events import CallDecided, Event, RunErased, check_chain
from interlock.signing import Signer
from interlock.types.approval import RequestState
from interlock.types.egress import EgressRecord
from interlock.types.names import Digest

_PAGE: Final = 1_000


class Ledger:
    """SQLite or PostgreSQL, by URL. Safe to call from threads; each call is one short transaction.

    Every method raises `LedgerUnavailable` when the database fails, and each that writes raises `Refused`
    on a ledger that was opened for reading only.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        """Open the ledger; make it and bring its tables up to date, unless `read_only`.

        Raises:
            InvalidInput: the URL does not fit.
            LedgerUnavailable: the database cannot be reached or written.
        """
        self._store = Store("ledger", url, read_only=read_only)
        migrate(self._store)

    def close(self) -> None:
        """Close every connection."""
        self._store.close()

    def append(self, run: str, events: Sequence[Event]) -> Head:
        """Store events of a run, all of them or none. Events that are stored already change nothing.

        Returns:
            Where the stored chain ends now.

        Raises:
            IntegrityError: an event differs from the stored one or does not continue the chain (an alarm is
                kept), or events before these are missing.
            Conflict: the run has ended.
        """
        with self._alarmed(run) as connection:
            self._store.lock(connection, f"run {run}")
            return append(connection, run, events)

    def head(self, run: str) -> Head:
        """Where the stored chain of a run ends; count 0 and GENESIS for an unknown run."""
        with self._store.read() as connection:
            return head(connection, run)

    def events(self, run: str, after: int = -1) -> list[Event]:
        """The run's events behind `after`. Raises IntegrityError if stored bytes are not an event."""
        with self._store.read() as connection:
            return queries.read_events(connection, run, after)

    def decided(self, runs: Sequence[str] | None = None, since: datetime | None = None) -> Iterator[CallDecided]:
        """Every `call.decided` of runs, by run and place; read in pages, so that any number will do.

        Args:
            runs: only these.
            since: only decisions at or after this time.

        Raises:
            IntegrityError: stored bytes are not such an event.
        """
        after, more = ("", -1), True
        while more:
            with self._store.read() as connection:
                page = queries.read_decided(connection, runs, since, after, _PAGE)
            yield from (event for event in page if since is None or event.time >= since)
            more = len(page) == _PAGE
            after = (page[-1].run, page[-1].seq) if page else after

    def raw_events(self, run: str) -> list[bytes]:
        """The run's events as stored: canonical bytes, the hash included."""
        with self._store.read() as connection:
            return queries.raw_events(connection, run)

    def runs(
        self, limit: int = 50, before: str = "", status: RunStatus | None = None, tenant: str | None = None
    ) -> list[RunRow]:
        """Runs, newest first.

        Args:
            limit: at most so many.
            before: the `cursor` of the last row of the page before.
            status: only these.
            tenant: only this tenant's.
        """
        with self._store.read() as connection:
            return queries.list_runs(connection, limit, before, status, tenant)

    def run(self, run: str) -> RunRow:
        """One run. Raises InvalidInput if unknown; the message says which may be meant."""
        with self._store.read() as connection:
            return queries.one_run(connection, run)

    def approvals(self, state: RequestState | None = "pending", run: str | None = None) -> list[ApprovalRow]:
        """Approval requests, oldest first; of any state with None."""
        with self._store.read() as connection:
            return queries.list_approvals(connection, state, run)

    def approval(self, request_id: str) -> ApprovalRow:
        """One request. Raises InvalidInput if unknown; the message says which may be meant."""
        with self._store.read() as connection:
            return queries.one_approval(connection, request_id)

    def find_runs(
        self,
        limit: int = 50,
        before: str = "",
        *,
        tenant: str,
        status: RunStatus | None = None,
        workflow: str = "",
        requester: str = "",
        text: str = "",
    ) -> list[RunRow]:
        """A tenant's runs that fit, newest first; `text` is a part of the id, `before` as in `runs`."""
        with self._store.read() as connection:
            return finding.find_runs(
                connection,
                limit,
                before,
                tenant=tenant,
                status=status,
                workflow=workflow,
                requester=requester,
                text=text,
            )

    def find_closed(
        self,
        limit: int = 50,
        before: str = "",
        *,
        tenant: str,
        tool: str = "",
        states: Sequence[RequestState] = finding.CLOSED,
    ) -> list[ApprovalRow]:
        """A tenant's approval requests that wait no more, newest first; `before` is `cursor_of` a row."""
        with self._store.read() as connection:
            return finding.find_closed(connection, limit, before, tenant=tenant, tool=tool, states=states)

    def lengths(self, tenant: str, runs: Sequence[str] | None = None, newest: int | None = None) -> list[RunLength]:
        """How long the chains of a tenant's runs are: of those named, of the `newest` ones, or of all."""
        with self._store.read() as connection:
            return lengths(connection, tenant, runs, newest)

    def approval_facts(self, tenant: str, since: datetime, at_least: int) -> ApprovalFacts:
        """What statistics are made of: see `interlock.audit.approval_statistics`."""
        with self._store.read() as connection:
            return approval_facts(connection, tenant, since, at_least)

    def erasure(self, run: str) -> RunErased | None:
        """The event of a run's erasure: by whom, when and why; None where it was not erased."""
        with self._store.read() as connection:
            return erasures.erasure(connection, run)

    def erased_runs(self) -> list[str]:
        """Every run that was erased."""
        with self._store.read() as connection:
            return erasures.erased_runs(connection)

    def reserve(self, wish: Reservation) -> ReserveOutcome:
        """Claim a call before acting, and consume its approvals: once, ever.

        Raises:
            IntegrityError: the call id is reserved for another digest (an alarm is kept).
            Conflict: an approval was consumed before (an alarm is kept), or the run has ended.
            InvalidInput: the call id is of another run, or the ledger does not know the run.
        """
        with self._alarmed(wish.run) as connection:
            self._store.lock(connection, *reservation.locks(wish.call_id, wish.approvals))
            return reservation.reserve(connection, wish)

    def finished(self, call_id: str, call_digest: Digest) -> bytes | None:
        """The stored result of a call that ran before; None if it did not, or not with this digest."""
        with self._store.read() as connection:
            return reservation.finished(connection, call_id, call_digest)

    def retake(self, call_id: str, executor: str, attempt: int, approvals: Sequence[str] = ()) -> int:
        """Take over a call in doubt at `attempt`; returns the attempt to act under. Of several takers one wins.

        Raises:
            Conflict: never reserved, finished, taken over by another, an approval was consumed before, or the
                run has ended.
        """
        with self._alarmed(reservation.run_of(call_id)) as connection:
            self._store.lock(connection, *reservation.locks(call_id, approvals))
            return reservation.retake(connection, call_id, executor, attempt, approvals)

    def complete(
        self,
        call_id: str,
        attempt: int,
        result: bytes,
        receipt: str,
        workspace_before: str = "",
        workspace_after: str = "",
    ) -> None:
        """Store what a call gave, and move the run's workspace if the call changed it. Repeating changes nothing.

        Raises:
            IntegrityError: it finished with something else (an alarm is kept).
            Conflict: never reserved, another attempt is in force, or the workspace moved meanwhile.
        """
        run = reservation.run_of(call_id)
        finish = reservation.Finish(result, receipt, workspace_before, workspace_after)
        with self._alarmed(run) as connection:
            self._store.lock(connection, *reservation.locks(call_id, ()), f"workspace {run}")
            reservation.complete(connection, call_id, attempt, finish)

    def calls(self, run: str) -> list[CallRow]:
        """The run's reserved calls in order: the executor's own record of what this run did."""
        with self._store.read() as connection:
            return queries.list_calls(connection, run)

    def leaving(self, call_id: str, record: EgressRecord) -> None:
        """Note a request of a call's sandbox before it leaves.

        Raises:
            LedgerUnavailable: it is not on record, so it must not leave.
            Conflict: nor may it, since a later attempt at the call is in force; also for a number noted before.
        """
        with self._store.write() as connection:
            self._store.lock(connection, *reservation.locks(call_id, ()))
            egress.add(connection, call_id, record)

    def left(self, call_id: str) -> list[EgressRecord]:
        """The requests of all attempts at a call, as they stood when each was noted."""
        with self._store.read() as connection:
            return egress.of_call(connection, call_id)

    def left_by(self, run: str) -> list[tuple[str, EgressRecord]]:
        """The requests of all calls of a run, with each call's id, as they stood when each was noted."""
        with self._store.read() as connection:
            return egress.of_run(connection, run)

    def hand_on(self, row: HandOffRow, root: str) -> HandOffRow:
        """Note a hand-off before its run can start; returns the one on record, where the call has one already.

        Args:
            row: the hand-off.
            root: the run that a person started, of which all this came.

        Raises:
            Refused: the run, or all that came of `root`, handed on as much as they may.
        """
        with self._store.write() as connection:
            self._store.lock(connection, f"hand_offs {root}")
            return hand_offs.add(connection, row, root)

    def handed_on(self, call_id: str) -> HandOffRow | None:
        """What a call handed on, if it did."""
        with self._store.read() as connection:
            return hand_offs.of_call(connection, call_id)

    def origin(self, run: str) -> HandOffRow | None:
        """The hand-off that a run came of; None for a run that a person started."""
        with self._store.read() as connection:
            return hand_offs.to(connection, run)

    def hand_offs(self, run: str) -> list[HandOffRow]:
        """What a run handed on, in the order in which it did."""
        with self._store.read() as connection:
            return hand_offs.by(connection, run)

    def use_grant(self, grant: str, call_id: str, most: int) -> int | None:
        """Count one use of a standing grant for a call: its number; None where all `most` are used or it is
        revoked. A call that used it before gets the same number.

        Raises:
            Conflict: the call used another grant.
        """
        with self._store.write() as connection:
            self._store.lock(connection, f"grant {grant}")
            return grants.use(connection, grant, call_id, most)

    def revoke_grant(self, grant: str, *, by: str, token: str, reason: str) -> GrantRow:
        """End a standing grant.

        Raises:
            InvalidInput: there is no such grant. Conflict: it was revoked before.
        """
        with self._store.write() as connection:
            self._store.lock(connection, f"grant {grant}")
            return grants.revoke(connection, grant, by, token, reason)

    def grant(self, grant: str) -> GrantRow:
        """One standing grant. Raises InvalidInput where there is none of this id."""
        with self._store.read() as connection:
            return grants.one(connection, grant)

    def grants(self, tenant: str) -> list[GrantRow]:
        """A tenant's standing grants, oldest first; ended ones too."""
        with self._store.read() as connection:
            return grants.all_of(connection, tenant)

    def grants_for(self, tenant: str, agent: str, tool: str) -> list[GrantRow]:
        """Those for calls of a tool by an agent that nobody revoked, oldest first."""
        with self._store.read() as connection:
            return grants.of_calls(connection, tenant, agent, tool)

    def grant_used_by(self, call_id: str) -> GrantUse | None:
        """The grant that a call used, if one."""
        with self._store.read() as connection:
            return grants.used_by(connection, call_id)

    def workspace(self, run: str) -> str:
        """Digest of the run's workspace now. Raises InvalidInput for an unknown run."""
        with self._store.read() as connection:
            return workspace.current(connection, run)

    def remember_bundle(self, digest: Digest) -> None:
        """Note a policy bundle that the executor loaded itself from permissions/."""
        if self.knows_bundle(digest):
            return
        with self._store.write() as connection:
            self._store.lock(connection, f"remembered {digest}")
            kept.add_bundle(connection, digest)

    def knows_bundle(self, digest: Digest) -> bool:
        """Whether an executor ever loaded this bundle itself."""
        with self._store.read() as connection:
            return kept.has_bundle(connection, digest)

    def bundles(self) -> list[KnownBundle]:
        """Every bundle that an executor ever loaded, by when it did so first."""
        with self._store.read() as connection:
            return kept.list_bundles(connection)

    def remember_release(self, serial: int, bundle: Digest) -> None:
        """Note a signed release of a policy before it is in force."""
        with self._store.write() as connection:
            self._store.lock(connection, "remembered releases")
            kept.add_release(connection, serial, bundle)

    def newest_release(self) -> tuple[int, Digest] | None:
        """Serial number and bundle of the newest release that ever was in force."""
        with self._store.read() as connection:
            return kept.newest_release(connection)

    def alarm(self, run: str, kind: str, detail: str) -> None:
        """Keep an alarm; the same one again changes nothing."""
        raise_alarm(self._store, run, kind, detail)

    def alarms(self, run: str | None = None) -> list[Alarm]:
        """Alarms, oldest first."""
        with self._store.read() as connection:
            return read_alarms(connection, run)

    def checkpoint(self, run: str, signer: Signer) -> Checkpoint:
        """Sign how far the run's chain reaches; once for each length.

        Raises:
            IntegrityError: the stored chain does not hold; it is not signed, and an alarm is kept.
            InvalidInput: the run has no events.
        """
        with self._alarmed(run) as connection:
            self._store.lock(connection, f"run {run}")
            return self._checkpoint(connection, run, signer)

    def checkpoints(self, run: str) -> list[Checkpoint]:
        """The run's checkpoints, oldest first. `verify_checkpoint` checks their signatures."""
        with self._store.read() as connection:
            return checkpoint_.read(connection, run)

    def record(self, run: str) -> queries.RunRecord:
        """Everything stored about a run, of one moment and unchecked: material for `verify_run`."""
        with self._store.read() as connection:
            return queries.record(connection, run)

    def _checkpoint(self, connection: Connection, run: str, signer: Signer) -> Checkpoint:
        at = head(connection, run)
        if not at.count:
            raise InvalidInput(f"run {run!r} has no events to sign", next_step="interlock run list")
        try:
            check_chain(queries.read_events(connection, run, -1), run=run)
        except InterlockError as error:
            raise Alarming("event.altered", error) from error
        for earlier in checkpoint_.read(connection, run):
            if earlier.count == at.count:
                return earlier
        signed = checkpoint_.sign(run, at, signer)
        checkpoint_.store(connection, signed)
        return signed

    @contextmanager
    def _alarmed(self, run: str) -> Iterator[Connection]:
        """A writing transaction; what it finds alarming is kept after it was rolled back."""
        try:
            with self._store.write() as connection:
                yield connection
        except Alarming as found:
            try:
                raise_alarm(self._store, run, found.kind, found.error.reason)
            except InterlockError as failed:
                found.error.add_note(f"the alarm could not be kept: {failed}")
            raise found.error from found.__cause__
