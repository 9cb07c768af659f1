"""Whatever goes wrong, in whatever order: runs end or wait for people, effects happen once, records hold.

`make chaos` does more of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos.campaign import Campaign
from chaos.faults import FAULTS
from chaos.judge import Judge
from chaos.schedule import Schedule
from chaos.world import world
from support.chaos_worker import POINTS
from support.engine import OwnEngine, own_engine
from support.schedule import CHAOS_SEED

from interlock.sandbox import build_image
from interlock.sandbox.images import tag_of
from interlock.settings import Settings

pytestmark = [pytest.mark.docker, pytest.mark.temporal, pytest.mark.postgres]


SHORT = 30
"""Runs of `make test`; more of them tell how far they are."""


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    settings = Settings()
    build_image(settings)
    with own_engine() as found:
        found.take_image(tag_of(settings, "default"))
        yield found


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
@pytest.mark.timeout(7200)
async def test_faults_lose_and_double_nothing(engine, store, pytestconfig, capsys):
    schedule, since = _schedule(store, pytestconfig), time.monotonic()

    def say(text: object) -> None:
        line = f"{time.monotonic() - since:6.1f} s  {text}"
        if schedule.runs <= SHORT:
            print(line)  # shown where it fails
            return
        with capsys.disabled():
            print(line, flush=True)

    say(schedule)
    async with world(engine, store) as there:
        say("the world is up")
        campaign = Campaign(there, schedule, say)
        await campaign.run()
        say("every run has ended or waits for a person")
        judge = Judge(campaign)
        await judge.judge()
        say(f"judged\n{judge.table()}")
        await judge.left()
        say("ended")
    assert not judge.wrong, "\n".join([str(schedule), *judge.wrong])


def _schedule(store, config):
    """Two runs of three are on SQLite, unless only one store is asked for."""
    runs, only = config.getoption("--chaos-runs"), config.getoption("--chaos-store")
    if only not in (None, store):
        pytest.skip(f"--chaos-store={only}")
    third = runs // 3
    return Schedule.drawn(
        config.getoption("--chaos-seed"), store, runs if only else third if store == "postgres" else runs - third
    )


def test_every_fault_is_described():
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "faults.md").read_text()
    assert [name for name in FAULTS if f"| `{name}` |" not in page] == []
    assert set(POINTS) <= set(FAULTS)


def test_short_form_meets_every_fault():
    drawn = [Schedule.drawn(CHAOS_SEED, store, runs) for store, runs in (("sqlite", 20), ("postgres", 10))]
    assert {step.fault for schedule in drawn for step in schedule.steps} == set(FAULTS)


def test_schedule_follows_its_seed():
    assert Schedule.drawn(1, "sqlite", 60) == Schedule.drawn(1, "sqlite", 60)
    assert Schedule.drawn(1, "sqlite", 60).steps != Schedule.drawn(2, "sqlite", 60).steps


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_schedule_has_every_fault(store):
    runs = 2 * len(FAULTS)
    drawn = {step.fault for step in Schedule.drawn(5, store, runs).steps}
    assert drawn == {name for name, fault in FAULTS.items() if store in fault.happens_to}
    assert sum(len(step.agents) for step in Schedule.drawn(5, store, runs).steps) == runs
