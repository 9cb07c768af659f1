"""Standing grants in a real runtime: given on a card, used by later runs, counted, bounded, revoked; and what
somebody tries who has none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from support.runtime import Runtime, eventually, running, settings_for
from support.scenario import Tool, ask, call, playbook, project
from support.verifying import verified

from interlock.approval import lifetime
from interlock.approval.grants import GrantClaims
from interlock.audit import ApprovalRow
from interlock.errors import Conflict, InvalidInput, Refused
from interlock.signing import load_signer

pytestmark = pytest.mark.temporal

ROUTES = """
routes:
  - name: payers
    approvers: [user:carol, user:dave]
    expires_after: 1h
    grants: {longest: 8h, uses: 3, patterns: true}
  - {name: exact, approvers: [user:carol], expires_after: 1h, grants: {longest: 1h, uses: 1}}
  - {name: plain, approvers: [user:carol], expires_after: 1h}
"""
RULES = [ask("pay", "payers"), ask("send", "exact"), ask("sign", "plain")]
AGENTS: dict[str, Any] = {
    "payer": playbook(call("pay", to="bob", amount=5)),
    "spender": playbook(call("pay", to="bob", amount=5), call("pay", to="bob", amount=500)),
    "sender": playbook(call("send", to="bob", amount=5)),
    "signer": playbook(call("sign", to="bob", amount=5)),
}
HOUR = timedelta(hours=1)


@asynccontextmanager
async def started(temporal_address: str, folder: Path) -> AsyncIterator[Runtime]:
    root = folder / "project"
    tool = Tool("return f'did {to}'", parameters="to: str, amount: int")
    project(root, dict.fromkeys(("pay", "send", "sign"), tool), AGENTS, RULES)
    (root / "permissions" / "routes.yaml").write_text(ROUTES)
    async with running(settings_for(root, temporal_address, name=f"grants-{folder.name}")) as found:
        yield found


@pytest.fixture
async def runtime(temporal_address: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    """Of one test: a grant that another gave would let its calls run."""
    async with started(temporal_address, tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
async def shared(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runtime]:
    """Of tests in which no grant is given."""
    async with started(temporal_address, tmp_path_factory.mktemp("none")) as found:
        yield found


async def granted(runtime: Runtime, agent: str = "payer", **terms: Any) -> tuple[str, str]:
    """A run on whose card somebody gave a grant and approved; run and grant."""
    run = await runtime.start(agent, "go")
    row = await runtime.approval(run)
    given = await runtime.client.grant(
        row, **{"by": "user:carol", "lasts": HOUR, "uses": 2, "reason": "often", **terms}
    )
    await runtime.client.decide(row, "approve", approver="user:carol")
    return run, given.grant


def used(runtime: Runtime, run: str) -> list[tuple[str, int]]:
    return [(event.grant, event.number) for event in runtime.ledger.events(run) if event.kind == "grant.used"]


async def test_later_runs_use_it_and_it_runs_out(runtime: Runtime) -> None:
    first, grant = await granted(runtime)
    assert (await runtime.client.wait(first)).status == "completed"
    assert used(runtime, first) == [], "its own call was approved"
    for number in (1, 2):
        run = await runtime.start("payer", "go")
        assert (await runtime.client.wait(run)).status == "completed"
        assert used(runtime, run) == [(grant, number)]
        assert "approval.requested" not in runtime.kinds(run)
        assert runtime.kinds(run).index("grant.used") < runtime.kinds(run).index("call.finished")
        await verified(runtime, run)
    third = await runtime.start("payer", "go")
    row = await runtime.approval(third)
    assert used(runtime, third) == []
    await runtime.client.decide(row, "reject", approver="user:dave", message="no")
    await verified(runtime, first)
    assert runtime.ledger.grant(grant).used == 2


async def test_pattern_fits_some_arguments(runtime: Runtime) -> None:
    when = ({"argument": "amount", "le": 10}, {"argument": "to", "eq": "bob"})
    first, grant = await granted(runtime, when=when)
    await runtime.client.wait(first)
    run = await runtime.start("payer", "go")
    assert (await runtime.client.wait(run)).status == "completed"
    assert used(runtime, run) == [(grant, 1)]


async def test_grant_is_of_one_agent_and_requester(runtime: Runtime) -> None:
    first, _ = await granted(runtime)
    await runtime.client.wait(first)
    other = await runtime.start("spender", "go")
    await runtime.approval(other)
    assert used(runtime, other) == []
    hers = await runtime.start("payer", "go", requester="user:dave")
    await runtime.approval(hers)
    assert used(runtime, hers) == []


async def test_pattern_asks_about_the_rest(runtime: Runtime) -> None:
    first = await runtime.start("spender", "go")
    row = await runtime.approval(first)
    await runtime.client.grant(
        row, by="user:carol", lasts=HOUR, uses=3, reason="small", when=({"argument": "amount", "le": 10},)
    )
    await runtime.client.decide(row, "approve", approver="user:carol")
    second = await eventually(lambda: next((r for r in runtime.ledger.approvals(run=first) if r != row), None))
    await runtime.client.decide(second, "reject", approver="user:carol", message="too much")
    await runtime.client.wait(first)
    again = await runtime.start("spender", "go")
    row = await runtime.approval(again)
    assert [number for _, number in used(runtime, again)] == [1], "the small one ran, the large one is asked about"
    await runtime.client.decide(row, "reject", approver="user:carol", message="too much")
    await runtime.client.wait(again)
    await verified(runtime, again)


@pytest.mark.parametrize(
    ("agent", "terms", "error", "why"),
    [
        ("payer", {"by": "user:alice"}, Refused, "not an approver"),
        ("payer", {"lasts": 9 * HOUR}, Refused, "lasts longer"),
        ("payer", {"uses": 4}, Refused, "not 4"),
        ("payer", {"when": ({"attribute": "run", "eq": "x"},)}, InvalidInput, "only the values of arguments"),
        ("payer", {"when": ({"argument": "amount", "over": 1},)}, InvalidInput, "when"),
        ("sender", {"uses": 1, "when": ({"argument": "amount", "le": 10},)}, Refused, "exact arguments only"),
        ("signer", {"uses": 1}, Refused, "nobody give standing grants"),
    ],
)
async def test_grant_wider_than_the_route(shared: Runtime, agent: str, terms: Any, error: Any, why: str) -> None:
    run = await shared.start(agent, "go")
    row = await shared.approval(run)
    with pytest.raises(error, match=why):
        await shared.client.grant(row, **{"by": "user:carol", "lasts": HOUR, "uses": 1, "reason": "often", **terms})
    assert "grant.made" not in shared.kinds(run)
    await shared.client.decide(row, "reject", approver="user:carol", message="no")
    with pytest.raises(Conflict):
        await shared.client.grant(row, by="user:carol", lasts=HOUR, uses=1, reason="late")


async def test_revoked_grant_lets_nothing_run(runtime: Runtime) -> None:
    first, grant = await granted(runtime)
    await runtime.client.wait(first)
    with pytest.raises(Refused, match="may not revoke"):
        await runtime.client.revoke(grant, by="user:mallory", reason="no")
    assert (await runtime.client.revoke(grant, by="user:dave", reason="enough")).by == "user:dave"
    with pytest.raises(Conflict, match="revoked by user:dave"):
        await runtime.client.revoke(grant, by="user:carol", reason="enough")
    with pytest.raises(InvalidInput, match="no grant"):
        await runtime.client.revoke("nothing", by="user:carol", reason="enough")
    run = await runtime.start("payer", "go")
    await runtime.approval(run)
    assert used(runtime, run) == []


async def test_policy_that_narrowed_since(runtime: Runtime) -> None:
    """The route in force counts, not the one under which the grant was given."""
    first, _ = await granted(runtime)
    await runtime.client.wait(first)
    routes = runtime.settings.root / "permissions" / "routes.yaml"
    routes.write_text(ROUTES.replace("approvers: [user:carol, user:dave]", "approvers: [user:dave]"))
    runtime.executor.policy.reload()
    run = await runtime.start("payer", "go")
    await runtime.approval(run)
    assert used(runtime, run) == []


async def test_row_that_somebody_wrote(runtime: Runtime) -> None:
    """Whoever writes to the ledger's database grants nothing, and changes no grant."""
    first, _ = await granted(runtime, "sender", uses=1)
    await runtime.client.wait(first)
    run = await runtime.start("payer", "go")
    row: ApprovalRow = await runtime.approval(run)
    forger = load_signer(runtime.settings.keys_folder, "executor")
    claims = GrantClaims(
        tenant="default",
        sub="user:carol",
        run=run,
        request=row.request_id,
        call=row.call_digest,
        route="payers",
        agent=row.agent,
        requester="user:alice",
        tool="pay",
        arguments=row.subject,
        uses=3,
        reason="mine",
        **lifetime(datetime.now(UTC), HOUR),
    )
    engine = create_engine(runtime.settings.effective_ledger_url)
    values = {"tenant": "default", "run": run, "request_id": row.request_id, "by": "user:carol", "agent": row.agent}
    with engine.begin() as connection:
        connection.execute(
            text(
                'INSERT INTO grants (grant_id, tenant, run, request_id, "by", agent, tool, token, made_at) '
                "VALUES (:grant_id, :tenant, :run, :request_id, :by, :agent, :tool, :token, '2026')"
            ),
            {**values, "grant_id": claims.jti, "tool": "pay", "token": claims.signed(forger)},
        )
    other = await runtime.start("payer", "go")
    await runtime.approval(other)
    assert used(runtime, other) == []
    assert any(alarm.kind == "grant.forged" for alarm in runtime.ledger.alarms(other))
    with pytest.raises(Exception, match="append-only"), engine.begin() as connection:
        connection.execute(text("UPDATE grants SET tool = 'pay'"))
    engine.dispose()
