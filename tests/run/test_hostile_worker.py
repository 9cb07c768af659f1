"""A hostile graph worker: it forges decisions, approvals, requester, events and receipts. The executor, which is
real and reached through a real Temporal server, runs nothing for it, says why, and raises an alarm.

The attacker has what a graph worker has and more: the blob store, the policy files, public keys, write access to
Temporal, every token it ever saw. It has no private key.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from support.hostile import Attack, Chain, under_attack

from interlock.digest import canonical, digest_bytes, digest_of
from interlock.events import CallFinished, CallProposed, RunEnded
from interlock.policy import load_bundle
from interlock.run.receipt import Receipt
from interlock.signing import Signer

pytestmark = pytest.mark.temporal


@pytest.fixture(scope="module")
async def hostile(
    temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callable[[], Attack]]:
    root = tmp_path_factory.mktemp("hostile") / "project"
    async with under_attack(temporal_address, root, "hostile") as found:
        yield found


@pytest.fixture
def attack(hostile: Callable[[], Attack]) -> Attack:
    return hostile()


async def test_honest_call_runs_once(attack: Attack) -> None:
    """The yardstick: what every attack below changes one thing of."""
    call = attack.start().propose("note", "fine")
    attack.decide(call)
    done = await attack.execute(call)
    assert (done.outcome, done.status) == ("finished", "ok")
    assert attack.driver.ran.count(call.call_id) == 1
    assert not attack.runtime.ledger.alarms(attack.run)


async def test_honest_approved_call_runs_once(attack: Attack) -> None:
    call = attack.start().propose("send", "fine")
    request = attack.ask(call, attack.decide(call))
    claims = attack.approval(call, request)
    token = claims.signed(attack.api)
    attack.vote(claims, token)
    assert (await attack.execute(call, approvals=(token,))).outcome == "finished"
    assert attack.driver.ran.count(call.call_id) == 1


# -- decisions -----------------------------------------------------------------------------------------------


async def test_forged_allow_of_denied_call(attack: Attack) -> None:
    call = attack.start().propose("note", "a secret")
    attack.decide(call, verdict="allow", rule="notes")
    await attack.refused(call, "verdict")


async def test_forged_allow_of_asking_call(attack: Attack) -> None:
    call = attack.start().propose("send", "x")
    attack.decide(call, verdict="allow", rule="notes")
    await attack.refused(call, "verdict")


async def test_decision_left_out_is_made_anyway(attack: Attack) -> None:
    denied = attack.start().propose("note", "a secret")
    done = await attack.execute(denied)
    assert (done.outcome, done.decision and done.decision.rule) == ("refused", "no_secrets")
    assert denied.call_id not in attack.driver.ran


async def test_question_left_out_is_asked_anyway(attack: Attack) -> None:
    call = attack.start().propose("send", "x")
    attack.decide(call)
    assert (await attack.execute(call)).outcome == "ask"
    assert call.call_id not in attack.driver.ran


async def test_decision_under_own_bundle(attack: Attack, tmp_path: Path) -> None:
    """A permissive bundle put among the blobs was never in force on an executor."""
    folder = tmp_path / "permissions"
    shutil.copytree(attack.runtime.settings.root / "permissions", folder)
    rules = folder / "rules.yaml"
    rules.write_text("\n".join(line for line in rules.read_text().splitlines() if "no_secrets" not in line))
    own = load_bundle(folder)
    attack.blobs.put(own.to_bytes())
    call = attack.start().propose("note", "a secret")
    assert attack.decide(call, own).verdict == "allow"
    await attack.refused(call, "never in force", alarm=False)


async def test_decision_about_another_request(attack: Attack) -> None:
    call = attack.start().propose("note", "a secret")
    harmless = attack.propose("note", "fine")
    attack.decide(call, request=attack.decision(harmless).request, verdict="allow", rule="notes")
    await attack.refused(call, "request")


# -- the requester ---------------------------------------------------------------------------------------------


async def test_requester_token_of_own_key(attack: Attack, thief: Signer) -> None:
    call = attack.start(attack.claims.signed(thief)).propose("note", "x")
    await attack.refused(call, "Signature verification failed")


@pytest.mark.parametrize(
    ("name", "value"), [("requester", "user:carol"), ("tenant", "other"), ("workflow", "fix_issue")]
)
async def test_start_says_other_than_its_token(attack: Attack, name: str, value: str) -> None:
    call = attack.start(**{name: value}).propose("note", "x")
    await attack.refused(call, name)


async def test_requester_token_of_another_run(attack: Attack, hostile: Callable[[], Attack]) -> None:
    other = hostile()
    call = attack.start(other.claims.signed(other.api)).propose("note", "x")
    await attack.refused(call, "run")


async def test_manifest_of_ones_own(attack: Attack) -> None:
    """More tools for the agent, or another source under a tool's name: the token pins the honest manifest."""
    own = attack.runtime.manifest.model_copy(update={"project": "mine"})
    digest = attack.blobs.put(canonical(own.as_hashed()))
    call = attack.start(manifest=digest).propose("note", "x")
    await attack.refused(call, "manifest")


async def test_expired_request(attack: Attack) -> None:
    attack.claims = attack.claims.model_copy(update={"exp": attack.claims.iat - 1})
    call = attack.start().propose("note", "x")
    await attack.refused(call, "has expired")


async def test_unsigned_requester(attack: Attack) -> None:
    claims = {**attack.claims.model_dump(mode="json"), "iss": "api"}
    call = attack.start(jwt.encode(claims, "", "none", {"typ": "interlock-requester"})).propose("note", "x")
    await attack.refused(call, "interlock-requester")


# -- approvals -------------------------------------------------------------------------------------------------


async def test_approval_of_own_key(attack: Attack, thief: Signer) -> None:
    call, request = attack.asked()
    claims = attack.approval(call, request)
    attack.vote(claims, claims.signed(thief))
    await attack.refused(call, "Signature verification failed", approvals=(claims.signed(thief),))


async def test_approval_of_own_key_outside_the_chain(attack: Attack, thief: Signer) -> None:
    call, request = attack.asked()
    token = attack.approval(call, request).signed(thief)
    await attack.refused(call, "Signature verification failed", approvals=(token,))


@pytest.mark.parametrize(
    "said",
    [
        {"sub": "user:alice"},
        {"sub": "user:mallory"},
        {"run": "another-run"},
        {"tenant": "other"},
        {"verdict": "reject", "message": "no"},
        {"about": "unknown"},
        {"call": digest_bytes(b"another call")},
        {"exp": 1, "iat": 0},
    ],
    ids=[
        "the requester",
        "nobody",
        "other run",
        "other tenant",
        "a rejection",
        "other kind",
        "other call",
        "expired",
    ],
)
async def test_signed_decision_that_is_no_approval(attack: Attack, said: dict[str, Any]) -> None:
    """Each is truly signed by the API, and none of them lets this call run."""
    call, request = attack.asked()
    token = attack.approval(call, request, **said).signed(attack.api)
    done = await attack.execute(call, approvals=(token,))
    assert done.outcome == "refused"
    assert call.call_id not in attack.driver.ran


async def test_requester_token_as_approval(attack: Attack) -> None:
    call, _ = attack.asked()
    await attack.refused(call, "interlock-approval", approvals=(attack.claims.signed(attack.api),))


async def test_vote_event_says_other_approver(attack: Attack) -> None:
    call, request = attack.asked()
    claims = attack.approval(call, request)
    token = claims.signed(attack.api)
    attack.vote(claims.model_copy(update={"sub": "user:dave"}), token)
    await attack.refused(call, "approver", approvals=(token,))


async def test_approval_is_used_for_one_call(attack: Attack) -> None:
    call, request = attack.asked()
    claims = attack.approval(call, request)
    token = claims.signed(attack.api)
    attack.vote(claims, token)
    assert (await attack.execute(call, approvals=(token,))).outcome == "finished"
    second = attack.propose("send", "x")
    attack.decide(second)
    done = await attack.execute(second, approvals=(token,))
    assert done.outcome == "refused"
    assert second.call_id not in attack.driver.ran


async def test_same_call_again_gives_the_first_result(attack: Attack) -> None:
    call = attack.start().propose("note", "once")
    attack.decide(call)
    first, second = await attack.execute(call), await attack.execute(call)
    assert first.receipt == second.receipt
    assert attack.driver.ran.count(call.call_id) == 1


async def test_softened_route(attack: Attack) -> None:
    """The request names the attacker's friend as approver."""
    call = attack.start().propose("send", "x")
    attack.ask(call, attack.decide(call), approvers=("user:mallory",))
    await attack.refused(call, "approvers")


async def test_request_without_a_decision_that_asked(attack: Attack) -> None:
    call = attack.start().propose("note", "x")
    decision = attack.decide(call)
    sends = attack.propose("send", "x")
    asked = attack.decision(sends)
    attack.ask(call, asked, rule=decision.rule)
    await attack.refused(call, "asked nobody")


# -- the call --------------------------------------------------------------------------------------------------


async def test_call_that_nobody_proposed(attack: Attack) -> None:
    """A call is named by its id alone: what it is, its proposal on record says."""
    call = attack.start().propose("note", "fine")
    attack.decide(call)
    await attack.refused(call.model_copy(update={"call_id": f"{attack.run}:c9"}), "was proposed")


async def test_proposal_under_the_digest_of_another(attack: Attack) -> None:
    call = attack.start().propose("note", "fine")
    swapped = attack.blobs.put(canonical({"text": "a secret"}))
    attack.chain.events.pop()
    digest = digest_of(call.as_hashed())
    fields = call.model_dump(exclude={"tenant", "run", "arguments"})
    attack.chain.add(CallProposed, **fields, arguments=swapped, call_digest=digest)
    await attack.refused(call, "call_digest")


async def test_tool_of_own_source(attack: Attack) -> None:
    source = attack.blobs.put(b"import os")
    call = attack.start().propose("note", "x", tool_digest=source)
    await attack.refused(call, "tool_digest")


async def test_agent_that_has_no_part(attack: Attack) -> None:
    call = attack.start().propose("note", "x", agent="agent:admin")
    await attack.refused(call, "no part in this run")


VALUES = {
    "interlock.ask": {"question": "May I?"},
    "interlock.settle": {"call_id": "c1", "tool": "note", "reason": "lost"},
}


@pytest.mark.parametrize("tool", ["interlock.ask", "interlock.settle"])
async def test_built_in_call_is_not_executed(attack: Attack, tool: str) -> None:
    call = attack.start().propose(tool, values=VALUES[tool])
    await attack.refused(call, "runs nothing", alarm=False)


async def test_call_for_another_run(attack: Attack) -> None:
    """One workflow speaks for another run: Temporal's server says who scheduled the activity."""
    call = attack.start().propose("note", "x")
    attack.decide(call)
    impostor = f"{attack.run}-impostor"
    await attack.refused(call, "run: the event says", alarm=False, workflow_id=impostor)
    assert attack.runtime.ledger.alarms(impostor)


async def test_forged_tenant_in_call(attack: Attack) -> None:
    call = attack.start().propose("note", "x")
    attack.chain.events.pop()
    other = digest_of(call.model_copy(update={"tenant": "other"}).as_hashed())
    attack.chain.add(CallProposed, **call.model_dump(exclude={"tenant", "run"}), call_digest=other)
    await attack.refused(call, "call_digest")


# -- the chain -------------------------------------------------------------------------------------------------


async def test_history_rewritten_after_commit(attack: Attack, hostile: Callable[[], Attack]) -> None:
    call = attack.start().propose("note", "fine")
    attack.decide(call)
    await attack.execute(call)
    forger = hostile()
    forger.run, forger.claims = attack.run, attack.claims
    forger.chain = Chain(attack.run)
    other = forger.start().propose("note", "another")
    forger.decide(other)
    await forger.refused(other, "not the one that its workflow has")


async def test_gap_in_the_chain(attack: Attack) -> None:
    call = attack.start().propose("note", "x")
    attack.decide(call)
    rows = attack.chain.rows()
    await attack.refused(call, "no such call was proposed", rows=[rows[0], *rows[2:]])
    later = attack.chain.batch(rows[1:]).model_copy(update={"first": 1})
    await attack.refused(call, "are missing", batch=later)


async def test_start_twice(attack: Attack) -> None:
    attack.start()
    call = attack.start().propose("note", "x")
    await attack.refused(call, "only once")


async def test_event_of_no_known_kind(attack: Attack) -> None:
    call = attack.start().propose("note", "x")
    rows = attack.chain.rows()
    await attack.refused(call, "not an event", rows=[*rows, {**rows[-1], "kind": "call.blessed"}])


async def test_receipt_for_a_call_that_never_ran(attack: Attack, thief: Signer) -> None:
    call = attack.start().propose("note", "x")
    digest = digest_of(call.as_hashed())
    now = datetime.now(UTC)
    output = attack.blobs.put(b"done, believe me")
    receipt = Receipt(
        run=attack.run,
        call_id=call.call_id,
        call=digest,
        rule="notes",
        bundle=digest,
        request=digest,
        approvals=(),
        status="ok",
        output=output,
        workspace_before="",
        workspace="",
        profile="default",
        image="",
        executor="me",
        attempt=1,
        started_at=now,
        ended_at=now,
    )
    token = Signer("executor", thief.private_key).sign("interlock-receipt", receipt.model_dump(mode="json"))
    said = {"status": "ok", "output": output, "workspace": "", "receipt": attack.blobs.put(token.encode())}
    attack.chain.add(CallFinished, call_id=call.call_id, call_digest=digest, **said)
    await attack.refused(call, "Signature verification failed")


async def test_cancel_in_somebodys_name(attack: Attack, thief: Signer) -> None:
    call = attack.start().propose("note", "x")
    claims = attack.statement("cancel")
    attack.control(claims, claims.signed(thief))
    await attack.refused(call, "Signature verification failed")


async def test_ended_run_runs_nothing(attack: Attack) -> None:
    call = attack.start().propose("note", "x")
    attack.decide(call)
    attack.chain.add(RunEnded, status="completed", result="", workspace="", count=len(attack.chain.events) + 1)
    await attack.refused(call, "has ended", alarm=False)


async def test_paused_run_runs_nothing(attack: Attack) -> None:
    call = attack.start().propose("note", "x")
    attack.decide(call)
    attack.control(attack.statement("pause"))
    await attack.refused(call, "is paused", alarm=False)


async def test_bad_events_are_not_committed(attack: Attack, thief: Signer) -> None:
    """`commit_events` judges as `execute_call` does."""
    attack.start(attack.claims.signed(thief))
    await attack.uncommitted("Signature verification failed")
    assert attack.runtime.ledger.head(attack.run).count == 0
    assert [alarm.kind for alarm in attack.runtime.ledger.alarms(attack.run)][:1] == ["event.forged"]
