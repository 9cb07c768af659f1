"""Payments at a real server, from real containers: made once, though the result of the first attempt is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import docker
import pytest
from support.bank import Bank, bank
from support.payments import Losing, payments_project
from support.runtime import Runtime, eventually, running, settings_for
from support.verifying import verified

from interlock.digest import parse
from interlock.sandbox import build_image
from interlock.sandbox.claiming import container_name
from interlock.types import Tree

pytestmark = [pytest.mark.docker, pytest.mark.temporal, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def books() -> Iterator[Bank]:
    with bank() as found:
        yield found


@pytest.fixture(scope="module")
async def runtime(
    books: Bank, temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Runtime]:
    root = payments_project(tmp_path_factory.mktemp("payments") / "project", books.port)
    settings = settings_for(root, temporal_address, name="payments", sandbox_driver="docker")
    await asyncio.to_thread(build_image, settings)
    async with running(settings) as found:
        found.executor.driver = Losing(found.executor.driver)
        yield found


@pytest.fixture
def left_of() -> Iterator[Callable[[str], list[str]]]:
    """The containers that an id still has."""
    engine = docker.APIClient(**docker.utils.kwargs_from_env(), version="auto")
    yield lambda ident: [
        row["Id"]
        for row in engine.containers(all=True, filters={"label": "interlock.sandbox"})
        if f"/{container_name(ident)}" in (row["Names"] or ())
    ]
    engine.close()


async def ended(runtime: Runtime, agent: str) -> tuple[str, Any]:
    """A run of this agent to its end; its id and the end of its one call. Its record holds."""
    run = await runtime.start(agent, "go")
    assert (await runtime.client.wait(run)).status == "completed"
    await verified(runtime, run)
    (finished,) = [event for event in runtime.ledger.events(run) if event.kind == "call.finished"]
    return run, finished


def requests(runtime: Runtime, run: str) -> list[tuple[int, str, str]]:
    """Attempt, method and what became of each request on record."""
    found = [event.request for event in runtime.ledger.events(run) if event.kind == "egress.requested"]
    return [(one.attempt, one.method, one.verdict) for one in found]


@pytest.mark.parametrize("agent", ["python", "command", "http"])
async def test_payment_is_made_once_and_found(runtime: Runtime, books: Bank, agent: str) -> None:
    run, finished = await ended(runtime, agent)
    assert (finished.status, finished.start) == ("ok", "reconciled")
    (payment,) = books.to(agent)
    assert payment["id"] in runtime.text(finished.output)
    assert requests(runtime, run) == [(1, "POST", "failed"), (2, "GET", "sent")]
    assert [row.attempt for row in runtime.ledger.calls(run)] == [2]


async def test_payment_that_was_not_made_is_run(runtime: Runtime, books: Bank) -> None:
    """The question's request is on record as answered, though another attempt followed it."""
    run, finished = await ended(runtime, "offline")
    assert (finished.status, finished.start) == ("ok", "cold" if finished.start == "cold" else "warm")
    assert "was not done" in runtime.text(finished.output)
    assert requests(runtime, run) == [(2, "GET", "sent")]
    assert [row.attempt for row in runtime.ledger.calls(run)] == [3]


@pytest.mark.parametrize(
    ("agent", "told"),
    [
        ("floods", "output_limit"),
        ("hangs", "timeout"),
        ("forks", "nobody can tell"),
        ("forges", "a result that the tool cannot have"),
    ],
)
async def test_hostile_reconcile_ends_with_a_person(
    runtime: Runtime, books: Bank, left_of: Callable[[str], list[str]], agent: str, told: str
) -> None:
    run = await runtime.start(agent, "go")
    request = await runtime.approval(run, timeout_s=60)
    (unknown,) = [event for event in runtime.ledger.events(run) if event.kind == "call.unknown"]
    assert told in unknown.reason
    question = f"{run}:c1:reconcile2"
    assert runtime.executor.driver.asked.count(question) == 1  # type: ignore[attr-defined]
    assert await eventually(lambda: not left_of(question) and not left_of(f"{run}:c1"))
    await runtime.client.decide(request, "reject", approver="user:carol", message="it was not")
    assert (await runtime.client.wait(run)).status == "completed"
    await asyncio.sleep(4 if agent == "forks" else 0)  # the child would have paid by now
    assert books.to(agent) == []


async def test_files_of_a_reconcile_are_dropped(runtime: Runtime) -> None:
    run, finished = await ended(runtime, "writes")
    assert (finished.start, runtime.ledger.workspace(run)) == ("reconciled", finished.workspace)
    files = Tree.from_hashed(parse(runtime.stored(finished.workspace))).files if finished.workspace else {}
    assert list(files) == []


async def test_cancel_reaches_the_container(runtime: Runtime, left_of: Callable[[str], list[str]]) -> None:
    run = await runtime.start("slow", "go")
    await eventually(lambda: left_of(f"{run}:c1"))
    await runtime.client.control(run, "cancel", by="user:carol", reason="enough")
    assert await eventually(lambda: not left_of(f"{run}:c1"), timeout_s=10)
    assert (await runtime.client.wait(run)).status == "cancelled"
    (finished,) = [event for event in runtime.ledger.events(run) if event.kind == "call.finished"]
    assert finished.status == "cancelled"
