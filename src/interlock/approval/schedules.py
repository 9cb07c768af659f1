"""What a person signs who schedules runs: which workflow, with which input, at which moments, until when.

A run of a schedule has no statement of its own. Its id names the moment for which it was meant, and the schedule's
statement counts for it only if the moment is one that the person named.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import StringConstraints

from interlock.approval.tokens import REQUESTER_LIFE, RequesterClaims, Statement
from interlock.errors import Refused, TokenRejected
from interlock.types.names import Digest
from interlock.types.timing import Timing

SCHEDULE_LIFE: Final = timedelta(days=90)
"""How long a schedule goes on unless its person says otherwise, or renews it."""
LONGEST_LIFE: Final = timedelta(days=366)

SCHEDULE_PATTERN: Final = r"^[a-z][a-z0-9_]{0,39}$"
ScheduleName = Annotated[str, StringConstraints(pattern=SCHEDULE_PATTERN)]
"""The name of a schedule; without a hyphen, so that its runs' ids are no other schedule's."""
_MOMENT: Final = "%Y%m%dT%H%M%SZ"


class ScheduleClaims(Statement):
    """A person asks for runs of one workflow with one input, under one manifest, at certain moments."""

    TYP = "interlock-schedule"

    schedule: ScheduleName
    workflow: str
    manifest: Digest
    input: Digest
    timing: Timing

    def run_at(self, moment: datetime) -> str:
        """The id of the run that is meant for a moment."""
        return f"{self.schedule}-{moment.astimezone(UTC):{_MOMENT}}"

    def moment_of(self, run: str) -> datetime:
        """The moment for which a run is meant.

        Raises:
            Refused: the run is none of this schedule.
        """
        if re.fullmatch(rf"{self.schedule}-\d{{8}}T\d{{6}}Z", run):
            try:
                return datetime.strptime(run.rpartition("-")[2], _MOMENT).replace(tzinfo=UTC)
            except ValueError:
                pass
        raise Refused(f"run {run!r} is none of schedule {self.schedule!r}")

    def requester(self, run: str, *, at: datetime) -> RequesterClaims:
        """What the person asks for in one run of the schedule, which starts at `at`.

        Raises:
            Refused: the run is none of the schedule, not of one of its moments, before its moment, or outside the
                time for which the schedule was signed.
        """
        moment = self.moment_of(run)
        stamp, said = int(moment.timestamp()), f"schedule {self.schedule!r} of {self.sub}"
        if not self.iat <= stamp < self.exp:
            raise TokenRejected(f"{said} does not hold at {moment.isoformat()}")
        if not self.timing.includes(moment):
            raise Refused(f"{said} names no run at {moment.isoformat()}")
        if at < moment:
            raise Refused(f"{said}: it starts at {at.isoformat()}, before its moment {moment.isoformat()}")
        return RequesterClaims(
            tenant=self.tenant,
            sub=self.sub,
            run=run,
            workflow=self.workflow,
            manifest=self.manifest,
            input=self.input,
            workspace="",
            iat=stamp,
            exp=stamp + int(REQUESTER_LIFE.total_seconds()),
            jti=self.jti,
        )
