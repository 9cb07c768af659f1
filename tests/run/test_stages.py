"""Routes of several stages in a real runtime: people decide in turn, deadlines escalate, the glass is broken and
reviewed; and the whole record is proven again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from support.authenticator import Authenticator
from support.runtime import Runtime, eventually, running, settings_for
from support.scenario import Tool, ask, call, playbook, project
from support.signing_decisions import ORIGIN, registered
from support.signing_decisions import signed as sign_decision
from support.verifying import verified
from temporalio.client import WorkflowUpdateFailedError

from interlock.approval import CONTROL_LIFE, AmendClaims, lifetime
from interlock.audit import ApprovalRow
from interlock.errors import Conflict, Refused, TokenRejected
from interlock.run.contracts import AmendInput
from interlock.run.inbox import request_card
from interlock.signing import load_signer

pytestmark = pytest.mark.temporal

ROUTES = """
calendars:
  - {name: always, zone: Europe/Berlin, days: [mon, tue, wed, thu, fri, sat, sun], from: "00:00", to: "24:00"}
routes:
  - name: staged
    stages:
      - {name: team, approvers: [user:carol, user:dave], quorum: 1, expires_after: 1h, hours: always}
      - {name: board, approvers: [user:dave, user:erin], quorum: 1, expires_after: 1h}
    stand_ins: [user:erin]
    emergency: {approvers: [user:erin], reviewers: [user:carol, user:dave], review_within: 1h}
  - {name: signed, approvers: [user:carol], expires_after: 1h, passkey: true}
  - name: hasty
    stages:
      - {name: team, approvers: [user:carol], expires_after: 3s, at_deadline: escalate, remind_after: 1s}
      - {name: lead, approvers: [user:dave], expires_after: 1h, only_escalated: true}
"""
PEOPLE = """
users:
  - {name: alice, tenants: default}
  - {name: carol, tenants: default}
  - {name: dave, tenants: default}
  - {name: erin, tenants: default}
"""
AGENTS: dict[str, Any] = {
    "payer": playbook(call("pay", text="x")),
    "hasty": playbook(call("hurry", text="x")),
    "signer": playbook(call("sign", text="x")),
}


@pytest.fixture(scope="module")
async def runtime(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runtime]:
    root = tmp_path_factory.mktemp("stages") / "project"
    tools = {name: Tool("return f'did {text}'") for name in ("pay", "hurry", "sign")}
    project(root, tools, AGENTS, [ask("pay", "staged"), ask("hurry", "hasty"), ask("sign", "signed")])
    (root / "permissions" / "routes.yaml").write_text(ROUTES)
    (root / "permissions" / "people.yaml").write_text(PEOPLE)
    async with running(settings_for(root, temporal_address, name="stages")) as found:
        yield found


async def waits(runtime: Runtime, run: str, **wanted: Any) -> ApprovalRow:
    """The pending request of a run once it is as wanted."""

    def probe() -> ApprovalRow | None:
        rows = runtime.ledger.approvals(run=run)
        return next((row for row in rows if all(getattr(row, n) == v for n, v in wanted.items())), None)

    return await eventually(probe)


async def proven(runtime: Runtime, run: str) -> list[str]:
    """The kinds of a run's events, once all of it is proven again from Temporal's history and the ledger."""
    await verified(runtime, run)
    return runtime.kinds(run)


async def test_stages_decide_in_turn(runtime: Runtime) -> None:
    run = await runtime.start("payer", "pay")
    row = await waits(runtime, run, stage="team")
    assert row.approvers == ("user:carol", "user:dave")
    assert not (await runtime.client.decide(row, "approve", approver="user:dave")).closes
    row = await waits(runtime, run, stage="board")
    with pytest.raises(Conflict, match="user:dave decided"):
        await runtime.client.decide(row, "approve", approver="user:dave")
    card = request_card(row, runtime.settings, runtime.ledger, runtime.blobs, now=row.requested_at)
    assert [(one.name, one.state) for one in card.stages] == [("team", "passed"), ("board", "decides")]
    assert (await runtime.client.decide(row, "approve", approver="user:erin")).closes
    assert (await runtime.client.wait(run)).status == "completed"
    kinds = await proven(runtime, run)
    assert kinds.count("call.finished") == 1
    assert "approval.advanced" in kinds


async def test_decision_of_a_stage_that_is_over(runtime: Runtime) -> None:
    run = await runtime.start("payer", "pay")
    row = await waits(runtime, run, stage="team")
    await runtime.client.decide(row, "approve", approver="user:carol")
    with pytest.raises(Conflict, match="stage 'board' decides now"):
        await runtime.client.decide(row, "approve", approver="user:dave")
    row = await waits(runtime, run, stage="board")
    await runtime.client.decide(row, "reject", approver="user:dave", message="too much")
    assert (await runtime.client.wait(run)).status == "completed"
    assert "call.finished" not in await proven(runtime, run)


async def test_deadline_escalates(runtime: Runtime) -> None:
    run = await runtime.start("hasty", "hurry")
    row = await waits(runtime, run, stage="lead")
    assert row.approvers == ("user:dave",)
    with pytest.raises(Refused, match="not an approver of stage 'lead'"):
        await runtime.client.decide(row, "approve", approver="user:carol")
    await runtime.client.decide(row, "approve", approver="user:dave")
    assert (await runtime.client.wait(run)).status == "completed"
    kinds = await proven(runtime, run)
    order = ("approval.requested", "approval.reminded", "approval.advanced", "approval.decided", "call.finished")
    assert [kind for kind in kinds if kind in order] == list(order)


async def test_decision_is_handed_on(runtime: Runtime) -> None:
    run = await runtime.start("payer", "pay")
    row = await waits(runtime, run, stage="team")
    with pytest.raises(Refused, match="stand in for nobody"):
        await runtime.client.reassign(row, by="user:carol", to="user:alice", reason="away")
    await runtime.client.reassign(row, by="user:carol", to="user:erin", reason="away")
    row = await waits(runtime, run, approvers=("user:dave", "user:erin"))
    with pytest.raises(Refused, match="handed this decision on"):
        await runtime.client.decide(row, "approve", approver="user:carol")
    await runtime.client.decide(row, "approve", approver="user:erin", seat="user:carol")
    row = await waits(runtime, run, stage="board")
    await runtime.client.decide(row, "approve", approver="user:dave")
    assert (await runtime.client.wait(run)).status == "completed"
    assert "call.finished" in await proven(runtime, run)


async def test_requester_withdraws(runtime: Runtime) -> None:
    run = await runtime.start("payer", "pay")
    row = await waits(runtime, run, stage="team")
    with pytest.raises(Refused, match="only user:alice"):
        await runtime.client.withdraw(row, by="user:carol", reason="no")
    await runtime.client.withdraw(row, by="user:alice", reason="a mistake")
    assert (await runtime.client.wait(run)).status == "completed"
    assert "call.finished" not in await proven(runtime, run)
    refused = next(event for event in runtime.ledger.events(run) if event.kind == "call.refused")
    assert refused.by == "withdrawn"
    assert runtime.ledger.approval(row.request_id).state == "withdrawn"


async def test_passkey_signs_what_the_route_demands(runtime: Runtime) -> None:
    run = await runtime.start("signer", "sign")
    row = await waits(runtime, run, route="signed")
    with pytest.raises(Refused, match="must sign this decision with a passkey"):
        await runtime.client.decide(row, "approve", approver="user:carol")
    hers = Authenticator(ORIGIN, "localhost")
    passkey = registered(hers, runtime.client.api, "user:carol")
    about = {"run": run, "request": row.request_id, "call": row.call_digest}
    for_another = sign_decision(hers, passkey, **about, verdict="reject")
    with pytest.raises(TokenRejected, match="did not sign"):
        await runtime.client.decide(row, "approve", approver="user:carol", signature=for_another)
    signature = sign_decision(hers, passkey, **about, verdict="approve")
    await runtime.client.decide(row, "approve", approver="user:carol", signature=signature)
    assert (await runtime.client.wait(run)).status == "completed"
    assert "call.finished" in await proven(runtime, run)


async def test_statement_that_the_api_did_not_sign(runtime: Runtime) -> None:
    """Somebody writes to Temporal by hand."""
    run = await runtime.start("payer", "pay")
    row = await waits(runtime, run, stage="team")
    executor = load_signer(runtime.settings.keys_folder, "executor")
    fields = {"tenant": "default", "run": run, "request": row.request_id, "reason": "mine"}
    for claims in (
        AmendClaims(sub="user:alice", verb="withdraw", **fields, **lifetime(datetime.now(UTC), CONTROL_LIFE)),
        AmendClaims(
            sub="user:carol",
            verb="reassign",
            to="user:erin",
            **fields,
            **lifetime(datetime.now(UTC), CONTROL_LIFE),
        ),
    ):
        said = AmendInput(token=claims.signed(executor))
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await runtime.client.handle(run).execute_update("amend", said)
        assert "TokenRejected" in repr(refused.value.cause)
    assert runtime.ledger.approval(row.request_id).state == "pending"
    await runtime.client.withdraw(row, by="user:alice", reason="done")


async def test_broken_glass_is_reviewed_before_the_run_ends(runtime: Runtime) -> None:
    run = await runtime.start("payer", "pay")
    row = await waits(runtime, run, stage="team")
    with pytest.raises(Refused, match="does not let user:carol"):
        await runtime.client.decide(row, "approve", approver="user:carol", emergency=True, message="now")
    await runtime.client.decide(row, "approve", approver="user:erin", emergency=True, message="the site is down")
    review = await waits(runtime, run, kind="review")
    assert review.approvers == ("user:carol", "user:dave")
    await eventually(lambda: "agent.finished" in runtime.kinds(run))
    with pytest.raises(Conflict, match="come to its end"):
        await runtime.client.control(run, "cancel", by="user:alice", reason="away with it")
    await runtime.client.decide(review, "respond", approver="user:carol", message="It was down.")
    assert (await runtime.client.wait(run)).status == "completed"
    kinds = await proven(runtime, run)
    assert kinds.index("approval.requested") < kinds.index("call.finished")
    states = {one.kind: one.state for one in runtime.ledger.approvals(run=run, state=None)}
    assert states == {"call": "consumed", "review": "answered"}


async def test_cancelling_evades_no_review(runtime: Runtime) -> None:
    run = await runtime.start("payer", "pay")
    row = await waits(runtime, run, stage="team")
    await runtime.client.control(run, "pause", by="user:alice")
    await runtime.client.decide(row, "approve", approver="user:erin", emergency=True, message="now")
    review = await waits(runtime, run, kind="review")
    await runtime.client.control(run, "cancel", by="user:alice", reason="away with it")
    await runtime.client.handle(run).cancel()
    await runtime.client.decide(review, "reject", approver="user:dave", message="Nothing was down.")
    assert (await runtime.client.wait(run)).status == "cancelled"
    states = {one.kind: one.state for one in runtime.ledger.approvals(run=run, state=None)}
    assert states["review"] == "rejected"
    await verified(runtime, run)
