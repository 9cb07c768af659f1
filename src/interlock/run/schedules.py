"""Schedules, from outside: made, shown, held, renewed and ended by people. Holds the API's signing key.

What lets a scheduled run act is the statement that is signed here. Temporal only says when, and whoever may write
to Temporal can pause, delete or trigger a schedule, but gets no run by it that the statement does not name.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import JsonValue
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleBackfill,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.converter import WorkflowSerializationContext
from temporalio.service import RPCError, RPCStatusCode

from interlock.approval import LONGEST_LIFE, SCHEDULE_PATTERN, ScheduleClaims, lifetime_until
from interlock.definitions import Manifest
from interlock.digest import canonical, digest_of
from interlock.errors import Conflict, InvalidInput, Unreachable
from interlock.run.asked_for import asked_for
from interlock.run.catalogue import load_manifest
from interlock.run.client import RunClient
from interlock.run.schedule_end import ending_rule_yaml
from interlock.run.schedule_spec import Manner, overlap_policy, spec_of
from interlock.run.scheduled import PREFIX, SCHEDULED, ScheduledInput
from interlock.types.timing import Timing

T = TypeVar("T")


@dataclass(frozen=True)
class Planned:
    """One schedule as it stands."""

    name: str
    claims: ScheduleClaims
    """What was signed."""
    value: JsonValue
    """The input of its runs."""
    manner: Manner
    paused: bool
    note: str
    upcoming: tuple[datetime, ...]
    """The next moments."""
    recent: tuple[str, ...]
    """Ids of runs that it started last."""
    problem: str
    """Why no run of it may act; empty: each may at its moment."""


@dataclass
class Schedules:
    """Acts on the schedules of one project for authenticated people."""

    client: RunClient

    async def create(
        self,
        name: str,
        manifest: Manifest,
        asked: tuple[str, JsonValue],
        timing: Timing,
        *,
        by: str,
        until: datetime,
        manner: Manner | None = None,
        paused: bool = False,
    ) -> ScheduleClaims:
        """Make a schedule; `asked` is a workflow or agent, and the input of each run.

        Raises:
            InvalidInput: no such workflow or agent, an input that does not fit, or a life that ends before it
                begins or is longer than a year.
            Conflict: there is one of this name.
        """
        manner = manner or Manner()
        signed, value = self._signed(name, manifest, asked, timing, by=by, until=until)
        state = ScheduleState(paused=paused, note=f"made by {by}")
        try:
            await self.client.temporal.create_schedule(self._id(name), self._schedule(signed, value, manner, state))
        except ScheduleAlreadyRunningError as error:
            raise Conflict(
                f"a schedule {name!r} exists already", next_step=f"interlock schedule delete {name}"
            ) from error
        except RPCError as error:
            raise Unreachable(f"Temporal did not make the schedule: {error.message}") from error
        return signed

    async def renew(self, name: str, manifest: Manifest, *, by: str, until: datetime) -> ScheduleClaims:
        """Sign a schedule anew: the project as it is now, for another while, in the name of whoever renews it.

        Raises:
            InvalidInput: see `create`; or there is no such schedule.
        """
        planned = await self.show(name)
        asked = (planned.claims.workflow, planned.value)
        signed, value = self._signed(name, manifest, asked, planned.claims.timing, by=by, until=until)

        def update(found: ScheduleUpdateInput) -> ScheduleUpdate:
            state = found.description.schedule.state
            return ScheduleUpdate(self._schedule(signed, value, planned.manner, state))

        await self._asked(self._handle(name).update(update), name)
        return signed

    async def show(self, name: str) -> Planned:
        """A schedule as it stands.

        Raises:
            InvalidInput: there is none of this name.
        """
        return await self._planned(name, await self._asked(self._handle(name).describe(), name))

    async def list(self) -> AsyncIterator[Planned]:
        """All schedules of the project, by name."""
        listed = await self._asked(self.client.temporal.list_schedules(), "")
        names = [one.id.removeprefix(self._id("")) async for one in listed if one.id.startswith(self._id(""))]
        for name in sorted(names):
            yield await self.show(name)

    async def pause(self, name: str, *, by: str, reason: str = "") -> None:
        """Start no more runs of it until it is resumed."""
        await self._asked(self._handle(name).pause(note=f"paused by {by}{_because(reason)}"), name)

    async def resume(self, name: str, *, by: str, reason: str = "") -> None:
        """Start runs of it again."""
        await self._asked(self._handle(name).unpause(note=f"resumed by {by}{_because(reason)}"), name)

    async def delete(self, name: str) -> str:
        """End it; runs that go on are not touched. Returns the rule, as YAML, without which its statements hold on.

        Raises:
            InvalidInput: there is none of this name.
        """
        _check_name(name)
        await self._asked(self._handle(name).delete(), name)
        return ending_rule_yaml(name, datetime.now(UTC))

    async def trigger(self, name: str, *, by: str) -> str:
        """Start what it runs, now. That is no moment of the schedule, so it is a run of whoever triggers it."""
        planned = await self.show(name)
        manifest = load_manifest(self.client.blobs, planned.claims.manifest)
        return await self.client.start(manifest, planned.claims.workflow, planned.value, requester=by)

    async def backfill(self, name: str, start: datetime, end: datetime, manner: Manner) -> None:
        """Start the runs of past moments that had none, from `start` to `end`.

        Raises:
            InvalidInput: the schedule was not signed for these moments.
        """
        planned = await self.show(name)
        first = datetime.fromtimestamp(planned.claims.iat, UTC)
        if not first <= start < end <= datetime.now(UTC):
            raise InvalidInput(
                f"schedule {name!r} holds since {first.isoformat()}: give moments from then till now",
                next_step="interlock run start starts a run for any other reason",
            )
        one = ScheduleBackfill(start, end, overlap_policy(manner.overlap))
        await self._asked(self._handle(name).backfill(one), name)

    # -- parts -------------------------------------------------------------------------------------------------

    def _signed(
        self,
        name: str,
        manifest: Manifest,
        asked: tuple[str, JsonValue],
        timing: Timing,
        *,
        by: str,
        until: datetime,
    ) -> tuple[ScheduleClaims, JsonValue]:
        _check_name(name)
        now = datetime.now(UTC)
        if not now < until <= now + LONGEST_LIFE:
            raise InvalidInput(f"--until: {until.isoformat()} is not within the next {LONGEST_LIFE.days} days")
        workflow, value = asked_for(manifest, *asked)
        claims = ScheduleClaims(
            tenant=self.client.settings.tenant,
            sub=by,
            schedule=name,
            workflow=workflow,
            manifest=self.client.blobs.put(canonical(manifest.as_hashed())),
            input=digest_of(value),
            timing=timing,
            **lifetime_until(now, until),
        )
        return claims, value

    def _schedule(self, claims: ScheduleClaims, value: JsonValue, manner: Manner, state: ScheduleState) -> Schedule:
        action = ScheduleActionStartWorkflow(
            SCHEDULED,
            ScheduledInput(token=claims.signed(self.client.api), value=value),
            id=f"{PREFIX}{claims.schedule}",
            task_queue=self.client.settings.graph_queue,
        )
        return Schedule(action=action, spec=spec_of(claims, manner), policy=manner.policy(), state=state)

    def _id(self, name: str) -> str:
        return f"interlock:{self.client.settings.name}:{name}"

    def _handle(self, name: str) -> ScheduleHandle:
        return self.client.temporal.get_schedule_handle(self._id(name))

    async def _planned(self, name: str, found: ScheduleDescription) -> Planned:
        given = await self._given(found.schedule.action)
        claims = ScheduleClaims.peek(given.token)
        manner = Manner.of(found.schedule.policy, found.schedule.spec)
        return Planned(
            name=name,
            claims=claims,
            value=given.value,
            manner=manner,
            paused=found.schedule.state.paused,
            note=found.schedule.state.note or "",
            upcoming=tuple(found.info.next_action_times),
            recent=tuple(claims.run_at(one.scheduled_at) for one in found.info.recent_actions),
            problem=_problem(name, claims, given.value),
        )

    async def _given(self, action: object) -> ScheduledInput:
        if not isinstance(action, ScheduleActionStartWorkflow) or action.workflow != SCHEDULED:
            raise InvalidInput("Temporal has another schedule under this name", next_step="give another name")
        temporal = self.client.temporal
        context = WorkflowSerializationContext(namespace=temporal.namespace, workflow_id=action.id)
        converter = temporal.data_converter.with_context(context)
        (given,) = await converter.decode(list(action.args), [ScheduledInput])
        return ScheduledInput.model_validate(given)

    async def _asked(self, awaitable: Awaitable[T], name: str) -> T:
        try:
            return await awaitable
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                raise InvalidInput(f"there is no schedule {name!r}", next_step="interlock schedule list") from error
            raise Unreachable(f"Temporal did not answer: {error.message}") from error


def _check_name(name: str) -> None:
    if not re.fullmatch(SCHEDULE_PATTERN, name):
        raise InvalidInput(f"schedule {name!r}: a name is lower-case letters, digits and _, at most 40 of them")


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _problem(name: str, claims: ScheduleClaims, value: JsonValue) -> str:
    """Whether what Temporal holds is still what was signed; runs of another would be refused."""
    now = int(datetime.now(UTC).timestamp())
    if claims.schedule != name:
        return f"its statement is schedule {claims.schedule!r}'s"
    if digest_of(value) != claims.input:
        return "its input is not the one that was signed"
    if now >= claims.exp:
        return f"its statement expired: interlock schedule renew {name}"
    return ""
