"""Schedules: runs that start at their moments, for the person who signed, and for nothing that nobody signed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.hostile import words
from support.runtime import Runtime, eventually, running, settings_for
from support.scenario import ASKS, Tool, allow, ask, call, playbook, project
from support.verifying import verified
from temporalio.client import WorkflowFailureError

from interlock.approval import LONGEST_LIFE, ScheduleClaims, lifetime, lifetime_until
from interlock.audit import RunRow
from interlock.digest import canonical, digest_of
from interlock.errors import Conflict, InvalidInput
from interlock.run.contracts import RunInput, RunOutcome
from interlock.run.schedule_end import ending_rule
from interlock.run.schedule_spec import Manner
from interlock.run.schedules import Schedules
from interlock.run.timing_text import timing
from interlock.signing import Signer, load_signer

pytestmark = pytest.mark.temporal

TOOLS = {
    "note": Tool("return f'noted {text}'", 'action="read"'),
    "send": Tool("return f'sent {text}'", 'action="publish"'),
}
RULES = [allow("note"), ask("send"), ASKS]
AGENTS: dict[str, Any] = {
    "noter": playbook(call("note", text="a")),
    "sender": playbook(call("send", text="a")),
}
EVERY_SECOND = timing(cron=[], every=["1s"], calendar=[], zone="UTC")
NIGHTLY = timing(cron=["0 3 * * *"], every=[], calendar=[], zone="UTC")


@dataclass
class World:
    """A runtime, its schedules, and the API's key, which the tests of forgeries use as nobody may."""

    runtime: Runtime
    schedules: Schedules
    api: Signer

    async def make(self, name: str, agent: str = "noter", value: Any = "look", **options: Any) -> ScheduleClaims:
        options = {"by": "user:alice", "until": datetime.now(UTC) + timedelta(days=30), **options}
        moments = options.pop("timing", EVERY_SECOND)
        return await self.schedules.create(name, self.runtime.manifest, (agent, value), moments, **options)

    def runs(self, name: str) -> list[RunRow]:
        return [row for row in self.runtime.ledger.runs(limit=1000) if row.run.startswith(f"{name}-")]

    async def ended(self, name: str, count: int = 1) -> list[RunRow]:
        found: list[RunRow] = await eventually(
            lambda: [row for row in self.runs(name) if row.ended][count - 1 :] and self.runs(name), 60
        )
        return found

    def statement(self, schedule: str, /, **said: Any) -> ScheduleClaims:
        fields = {
            "tenant": "default",
            "sub": "user:alice",
            "schedule": schedule,
            "workflow": "agent_run",
            "manifest": self.runtime.blobs.put(canonical(self.runtime.manifest.as_hashed())),
            "input": digest_of({"agent": "noter", "task": "look"}),
            "timing": EVERY_SECOND,
            **lifetime_until(datetime.now(UTC) - timedelta(days=10), datetime.now(UTC) + timedelta(days=10)),
        }
        return ScheduleClaims(**{**fields, **said})

    async def by_hand(
        self, claims: ScheduleClaims, run: str, signer: Signer | None = None, **said: Any
    ) -> RunOutcome:
        """Somebody who can write to Temporal starts a run with the statement of a schedule."""
        fields = {
            "run": run,
            "tenant": "default",
            "workflow": claims.workflow,
            "requester": claims.sub,
            "requester_token": claims.signed(signer or self.api),
            "manifest": claims.manifest,
            "input": {"agent": "noter", "task": "look"},
        }
        request = RunInput(**{**fields, **said})
        return await self.runtime.temporal.execute_workflow(
            request.workflow,
            request,
            id=run,
            task_queue=self.runtime.settings.graph_queue,
            result_type=RunOutcome,
        )

    async def never_starts(self, claims: ScheduleClaims, run: str, reason: str, *more: Any, **said: Any) -> None:
        with pytest.raises(WorkflowFailureError) as failure:
            await self.by_hand(claims, run, *more, **said)
        assert reason in words(failure.value), words(failure.value)
        assert self.runtime.ledger.head(run).count == 0
        assert self.runtime.ledger.alarms(run)


@pytest.fixture(scope="module")
async def world(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    root = project(tmp_path_factory.mktemp("schedules") / "project", TOOLS, AGENTS, RULES)
    settings = settings_for(root, temporal_address, name="schedules")
    async with running(settings) as runtime:
        yield World(runtime, Schedules(runtime.client), load_signer(settings.keys_folder, "api"))


def moment(ago: timedelta = timedelta(0)) -> datetime:
    return (datetime.now(UTC) - ago).replace(microsecond=0)


# -- what people do --------------------------------------------------------------------------------------------


async def test_scheduled_run_acts_for_its_person(world: World) -> None:
    claims = await world.make("steady")
    row = (await world.ended("steady"))[-1]
    await world.schedules.delete("steady")
    assert (row.requester, row.workflow, row.status) == ("user:alice", "agent_run", "completed")
    assert claims.run_at(claims.moment_of(row.run)) == row.run
    await verified(world.runtime, row.run)


async def test_paused_schedule_starts_nothing(world: World) -> None:
    await world.make("held", paused=True)
    await asyncio.sleep(2.5)
    assert world.runs("held") == []
    await world.schedules.resume("held", by="user:carol", reason="ready")
    await world.ended("held")
    await world.schedules.pause("held", by="user:carol", reason="enough")
    planned = await world.schedules.show("held")
    assert (planned.paused, planned.note) == (True, "paused by user:carol: enough")
    await world.schedules.delete("held")


async def test_run_that_goes_on_is_not_overlapped(world: World) -> None:
    """Each waits for a person: the second starts only when the first has its answer."""
    await world.make("careful", "sender")
    request = await eventually(
        lambda: next((r for r in world.runtime.ledger.approvals() if "careful" in r.run), None)
    )
    await asyncio.sleep(2.5)
    assert len(world.runs("careful")) == 1
    await world.runtime.client.decide(request, "approve", approver="user:carol")
    await eventually(lambda: len(world.runs("careful")) > 1)
    await world.schedules.delete("careful")


async def test_overlap_cancel_ends_the_run_before(world: World) -> None:
    await world.make("eager", "sender", manner=Manner(overlap="cancel"))
    (*_, first) = await world.ended("eager")
    await world.schedules.delete("eager")
    assert first.status == "cancelled"
    await verified(world.runtime, first.run)


async def test_jitter_puts_off_a_start_and_not_its_moment(world: World) -> None:
    every = timing(cron=[], every=["5s"], calendar=[], zone="UTC")
    claims = await world.make("loose", timing=every, manner=Manner(jitter_s=4))
    (*_, row) = await world.ended("loose")
    await world.schedules.delete("loose")
    assert claims.timing.includes(claims.moment_of(row.run))
    assert row.status == "completed"


async def test_trigger_is_a_run_of_whoever_triggers(world: World) -> None:
    await world.make("nightly_one", timing=NIGHTLY)
    run = await world.schedules.trigger("nightly_one", by="user:carol")
    assert (await world.runtime.client.wait(run)).status == "completed"
    assert world.runtime.ledger.run(run).requester == "user:carol"
    await world.schedules.delete("nightly_one")


async def test_schedules_are_listed_with_what_was_signed(world: World) -> None:
    signed = await world.make("nightly_two", timing=NIGHTLY, manner=Manner(catch_up_s=600))

    async def listed() -> list[str]:
        return [one.name async for one in world.schedules.list()]

    for _ in range(50):
        if "nightly_two" in await listed():
            break
        await asyncio.sleep(0.2)
    planned = await world.schedules.show("nightly_two")
    assert planned.claims == signed
    assert planned.value == {"agent": "noter", "task": "look"}
    assert planned.manner == Manner(catch_up_s=600)
    assert planned.problem == ""
    assert all(signed.timing.includes(one) for one in planned.upcoming)
    await world.schedules.delete("nightly_two")
    with pytest.raises(InvalidInput, match="no schedule 'nightly_two'"):
        await world.schedules.show("nightly_two")


async def test_renewal_is_signed_by_whoever_renews(world: World) -> None:
    first = await world.make("nightly_three", timing=NIGHTLY, paused=True, until=moment() + timedelta(days=1))
    end = moment() + timedelta(days=80)
    signed = await world.schedules.renew("nightly_three", world.runtime.manifest, by="user:carol", until=end)
    planned = await world.schedules.show("nightly_three")
    assert planned.claims == signed
    assert (signed.sub, signed.timing, signed.exp) == ("user:carol", first.timing, int(end.timestamp()))
    assert planned.paused
    await world.schedules.delete("nightly_three")


async def test_backfill_starts_the_moments_that_were_missed(world: World) -> None:
    claims = await world.make("late", paused=True)
    await asyncio.sleep(4)
    start = datetime.fromtimestamp(claims.iat, UTC)
    await world.schedules.backfill("late", start, start + timedelta(seconds=2), Manner(overlap="buffer_all"))
    rows = await world.ended("late", 2)
    await world.schedules.delete("late")
    assert {claims.moment_of(row.run) for row in rows} <= {start + timedelta(seconds=n) for n in range(3)}
    await verified(world.runtime, rows[0].run)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "No-Name"}, "lower-case letters"),
        ({"agent": "noher"}, "did you mean 'noter'"),
        ({"until": datetime(2020, 1, 1, tzinfo=UTC)}, "not within the next"),
        ({"until": datetime(2999, 1, 1, tzinfo=UTC)}, "not within the next"),
    ],
    ids=["name", "agent", "past", "for ever"],
)
async def test_schedule_that_does_not_fit_is_refused(world: World, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        await world.make(**{"name": "fits", **change})


async def test_second_schedule_of_a_name_is_refused(world: World) -> None:
    await world.make("nightly_four", timing=NIGHTLY)
    with pytest.raises(Conflict, match="exists already"):
        await world.make("nightly_four", timing=NIGHTLY)
    await world.schedules.delete("nightly_four")


async def test_backfill_before_the_signature_is_refused(world: World) -> None:
    await world.make("nightly_five", timing=NIGHTLY)
    with pytest.raises(InvalidInput, match="holds since"):
        await world.schedules.backfill("nightly_five", moment(timedelta(days=9)), moment(), Manner())
    await world.schedules.delete("nightly_five")


# -- what somebody does who can write to Temporal --------------------------------------------------------------


async def test_statement_starts_the_runs_that_it_names(world: World) -> None:
    """A moment that was left out, started by hand: what the person asked for, once, and on record as such."""
    claims = world.statement("spare")
    run = claims.run_at(moment(timedelta(minutes=5)))
    assert (await world.by_hand(claims, run)).status == "completed"
    assert world.runtime.ledger.run(run).requester == "user:alice"
    await verified(world.runtime, run)
    head = world.runtime.ledger.head(run)
    with pytest.raises(WorkflowFailureError) as failure:
        await world.by_hand(claims, run)
    assert "is not the one that its workflow has" in words(failure.value)
    assert world.runtime.ledger.head(run) == head


async def test_schedule_signed_by_somebody_else(world: World, thief: Signer) -> None:
    claims = world.statement("stolen")
    await world.never_starts(claims, claims.run_at(moment()), "Signature verification failed", thief)


async def test_run_under_an_id_of_its_own(world: World) -> None:
    for run in ("free-1", "other-20260101T000000Z", "free-20260101T000000Z.s1", "free-20269901T000000Z"):
        await world.never_starts(world.statement("free"), run, "is none of schedule 'free'")


async def test_run_at_a_moment_that_nobody_named(world: World) -> None:
    claims = world.statement("odd", timing=NIGHTLY)
    found = moment(timedelta(days=1)).replace(hour=4, minute=0, second=0)
    await world.never_starts(claims, claims.run_at(found), "names no run at")


async def test_run_before_its_moment(world: World) -> None:
    claims = world.statement("early")
    await world.never_starts(claims, claims.run_at(moment(-timedelta(minutes=2))), "before its moment")


async def test_run_outside_the_life_of_its_schedule(world: World) -> None:
    claims = world.statement("over", **lifetime(moment(timedelta(days=3)), timedelta(days=1)))
    for ago in (timedelta(days=4), timedelta(hours=1)):
        await world.never_starts(claims, claims.run_at(moment(ago)), "does not hold at")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"input": {"agent": "sender", "task": "look"}}, "input"),
        ({"requester": "user:carol"}, "requester"),
        ({"tenant": "other"}, "tenant"),
    ],
    ids=["input", "requester", "tenant"],
)
async def test_schedule_used_for_something_else(world: World, said: dict[str, Any], name: str) -> None:
    claims = world.statement(f"else_{name}")
    await world.never_starts(claims, claims.run_at(moment(timedelta(minutes=1))), f"{name}: the event says", **said)


async def test_trigger_through_temporal_starts_no_other_moment(world: World) -> None:
    """Its own words of the schedule are not enough: the moment is not one that was signed."""
    await world.make("pulled", timing=NIGHTLY)
    handle = world.runtime.temporal.get_schedule_handle("interlock:schedules:pulled")
    await handle.trigger()
    alarm = await eventually(
        lambda: next((a for a in world.runtime.ledger.alarms() if a.run.startswith("pulled-")), None)
    )
    assert "names no run at" in alarm.detail
    assert world.runs("pulled") == []
    await world.schedules.delete("pulled")


# -- what ends a schedule that was deleted ---------------------------------------------------------------------


async def test_statement_of_a_deleted_schedule_runs_nothing_once_a_rule_says_so(world: World) -> None:
    """Whoever may write to Temporal still has the statement, and starts the run of a moment that was left out."""
    claims, other = world.statement("retired"), world.statement("retired_not")
    before, after = moment(timedelta(hours=2)), moment(timedelta(hours=1))
    await world.make("retired", paused=True)
    assert (await world.by_hand(claims, claims.run_at(before))).status == "completed"
    text = await world.schedules.delete("retired")
    (world.runtime.settings.root / "permissions" / "ended.yaml").write_text(f"rules:\n{text}")
    policy = world.runtime.executor.policy
    await eventually(lambda: policy.current().rule("ended_retired"))
    for row in (claims, other):
        await world.by_hand(row, row.run_at(after))
    denied, allowed = (world.runtime.ledger.events(row.run_at(after)) for row in (claims, other))
    (refused,) = [event for event in denied if event.kind == "call.refused"]
    assert "schedule retired was deleted" in refused.detail
    assert [event.kind for event in denied].count("call.finished") == 0
    assert [event.kind for event in allowed].count("call.finished") == 1
    await verified(world.runtime, claims.run_at(before))
    await verified(world.runtime, claims.run_at(after))


async def test_schedule_that_is_none_cannot_be_deleted(world: World) -> None:
    for name in ("nothing", "no-name", "x: y"):
        with pytest.raises(InvalidInput):
            await world.schedules.delete(name)


def test_ending_rule_outlives_every_statement() -> None:
    now = datetime(2027, 3, 1, 23, 59, tzinfo=UTC)
    rule = ending_rule("nightly", now)
    assert rule.expires is not None
    assert rule.expires > (now + LONGEST_LIFE).date()
