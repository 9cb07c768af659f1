"""A hostile graph worker and what people said: it withholds, repeats, reorders and bends their statements, all of
them truly signed. The executor counts what was said, once, in its turn, by the rule in force.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support.hostile import Attack, under_attack

from interlock.digest import canonical, digest_bytes, digest_of
from interlock.events import ApprovalExpired, RunCancelled
from interlock.signing import Signer, load_verifier
from interlock.types.call import ToolCall

pytestmark = pytest.mark.temporal

CHIEF = {"sub": "user:dave", "about": "unknown"}


@pytest.fixture(scope="module")
async def hostile(
    temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callable[[], Attack]]:
    root = tmp_path_factory.mktemp("hostile-people") / "project"
    async with under_attack(temporal_address, root, "hostile-people") as found:
        yield found


@pytest.fixture
def attack(hostile: Callable[[], Attack]) -> Attack:
    return hostile()


def noted(attack: Attack) -> ToolCall:
    """A call that the policy allows."""
    call = attack.start().propose("note", "x")
    attack.decide(call)
    return call


# -- pause, resume, cancel -----------------------------------------------------------------------------------


async def test_resumed_run_goes_on(attack: Attack) -> None:
    """The yardstick."""
    call = noted(attack)
    attack.control(attack.statement("pause"))
    attack.control(attack.statement("resume"))
    assert (await attack.execute(call)).outcome == "finished"


async def test_cancelled_run_runs_nothing(attack: Attack) -> None:
    call = noted(attack)
    attack.control(attack.statement("cancel"))
    await attack.refused(call, "was cancelled", alarm=False)


async def test_cancel_through_temporal_is_final(attack: Attack) -> None:
    call = noted(attack)
    attack.chain.add(RunCancelled, by="temporal")
    await attack.refused(call, "was cancelled", alarm=False)


async def test_old_resumption_lifts_no_pause(attack: Attack) -> None:
    call = noted(attack)
    attack.control(attack.statement("pause"))
    resumed = attack.statement("resume")
    attack.control(resumed)
    attack.control(attack.statement("pause"))
    attack.control(resumed)
    await attack.refused(call, "was used before")


async def test_withheld_resumption_lifts_no_later_pause(attack: Attack) -> None:
    """Said while the run was not paused, and kept by the worker that carried it."""
    call = noted(attack)
    said = int(datetime.now(UTC).timestamp())
    attack.control(attack.statement("pause"))
    attack.control(attack.statement("resume", iat=said - 60))
    await attack.refused(call, "before the run was paused")


@pytest.mark.parametrize("said", [{"run": "another"}, {"tenant": "other"}], ids=["run", "tenant"])
async def test_resumption_of_another_run(attack: Attack, said: dict[str, Any]) -> None:
    call = noted(attack)
    attack.control(attack.statement("pause"))
    attack.control(attack.statement("resume", **said))
    await attack.refused(call, "the statement is about run")


async def test_pause_passed_off_as_resumption(attack: Attack) -> None:
    call = noted(attack)
    attack.control(attack.statement("pause"))
    attack.control(attack.statement("pause"), kind="resume")
    await attack.refused(call, "verb")


async def test_resumption_in_another_name(attack: Attack) -> None:
    call = noted(attack)
    attack.control(attack.statement("pause"))
    attack.control(attack.statement("resume"), by="user:dave")
    await attack.refused(call, "by:")


async def test_reason_put_in_a_mouth(attack: Attack) -> None:
    attack.start()
    attack.control(attack.statement("cancel", reason="too slow"), reason="carol found fraud")
    await attack.uncommitted("carol found fraud")


# -- decisions on a call -------------------------------------------------------------------------------------


async def test_rejection_is_final(attack: Attack) -> None:
    """The worker asks again until somebody approves."""
    call, first = attack.asked()
    attack.vote(attack.approval(call, first, sub="user:dave", verdict="reject", message="no"))
    claims = attack.approval(call, attack.ask(call, attack.decide(call)))
    await attack.refused(call, "turned down by user:dave", approvals=(attack.vote(claims),), alarm=False)


async def test_edited_call_does_not_run_as_it_was(attack: Attack) -> None:
    call, first = attack.asked()
    edited = attack.blobs.put(canonical({"text": "good day"}))
    attack.vote(attack.approval(call, first, verdict="edit", edited=edited))
    claims = attack.approval(call, attack.ask(call, attack.decide(call)))
    await attack.refused(call, "turned down by user:carol", approvals=(attack.vote(claims),), alarm=False)


async def test_approval_off_the_record_counts_nothing(attack: Attack) -> None:
    """Truly signed, for this very call, in time: but nobody would ever see that it was given."""
    call, request = attack.asked()
    await attack.not_run(call, "not on record", approvals=(attack.approval(call, request).signed(attack.api),))


async def test_approval_without_a_request(attack: Attack) -> None:
    call = attack.start().propose("send", "x")
    attack.decide(call)
    claims = attack.approval(call, f"{attack.run}:a1")
    attack.vote(claims)
    await attack.refused(call, "was never opened", approvals=(claims.signed(attack.api),))


async def test_same_token_twice_is_no_quorum(attack: Attack) -> None:
    call, request = attack.asked("sign")
    token = attack.vote(attack.approval(call, request), closes=False)
    await attack.not_run(call, "approved twice", approvals=(token, token))


async def test_half_a_quorum_is_none(attack: Attack) -> None:
    call, request = attack.asked("sign")
    token = attack.vote(attack.approval(call, request), closes=False)
    await attack.not_run(call, "needs 2", approvals=(token,))


async def test_two_people_are_a_quorum(attack: Attack) -> None:
    """The yardstick."""
    call, request = attack.asked("sign")
    one = attack.vote(attack.approval(call, request), closes=False)
    two = attack.vote(attack.approval(call, request, sub="user:dave"))
    assert (await attack.execute(call, approvals=(one, two))).outcome == "finished"


async def test_vote_says_that_it_closes(attack: Attack) -> None:
    call, request = attack.asked("sign")
    attack.vote(attack.approval(call, request), closes=True)
    await attack.uncommitted("closes")


async def test_person_votes_twice_on_record(attack: Attack) -> None:
    call, request = attack.asked("sign")
    one = attack.vote(attack.approval(call, request), closes=False)
    two = attack.vote(attack.approval(call, request))
    await attack.refused(call, "decided on", approvals=(one, two))


async def test_vote_after_the_rejection(attack: Attack) -> None:
    call, request = attack.asked()
    attack.vote(attack.approval(call, request, sub="user:dave", verdict="reject", message="no"))
    token = attack.vote(attack.approval(call, request))
    await attack.refused(call, "was decided: reject by user:dave", approvals=(token,))


async def test_vote_after_the_deadline(attack: Attack) -> None:
    call, request = attack.asked()
    attack.chain.at += timedelta(minutes=61)
    token = attack.vote(attack.approval(call, request))
    await attack.refused(call, "expired", approvals=(token,))


async def test_vote_after_it_was_called_expired(attack: Attack) -> None:
    call, request = attack.asked()
    attack.chain.add(ApprovalExpired, request_id=request)
    token = attack.vote(attack.approval(call, request))
    await attack.refused(call, "expired", approvals=(token,))


async def test_events_dated_ahead_put_off_no_deadline(attack: Attack) -> None:
    """A request of next year would keep its approval good until then."""
    call = attack.start().propose("send", "x")
    decision = attack.decide(call)
    attack.chain.at += timedelta(days=365)
    claims = attack.approval(call, attack.ask(call, decision), exp=int(attack.chain.at.timestamp()))
    await attack.refused(call, "is dated", approvals=(attack.vote(claims),))


async def test_wrong_clock_accuses_nobody(attack: Attack) -> None:
    """Nothing runs, and the run may go on once the clocks agree."""
    call = attack.start().propose("send", "x")
    attack.chain.at += timedelta(hours=26)
    attack.decide(call)
    await attack.refused(call, "is dated", alarm=False)


@pytest.mark.parametrize(
    "said",
    [
        {"sub": "user:alice"},
        {"sub": "user:mallory"},
        {"run": "another-run"},
        {"tenant": "other"},
        {"about": "question"},
        {"verdict": "respond", "message": "yes"},
        {"call": digest_bytes(b"another call")},
        {"exp": 1, "iat": 0},
    ],
    ids=[
        "requester",
        "nobody",
        "other run",
        "other tenant",
        "other kind",
        "other verdict",
        "other call",
        "expired",
    ],
)
async def test_decision_that_does_not_fit_is_not_recorded(attack: Attack, said: dict[str, Any]) -> None:
    """Truly signed by the API, each of them; as an event it is forged, because it does not decide this request."""
    call, request = attack.asked()
    attack.vote(attack.approval(call, request, **said))
    await attack.uncommitted("approval.decided")


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_approval_without_a_signature(attack: Attack, algorithm: str) -> None:
    """No algorithm; and the public key, which everybody has, used as a shared secret."""
    call, request = attack.asked()
    public = load_verifier(attack.runtime.settings.keys_folder, "api").public_key
    secret = public.public_bytes(Encoding.Raw, PublicFormat.Raw) if algorithm == "HS256" else ""
    claims = {**attack.approval(call, request).model_dump(mode="json"), "iss": "api"}
    token = jwt.encode(claims, secret, algorithm, {"typ": "interlock-approval"})
    await attack.refused(call, "interlock-approval", approvals=(token,))
    attack.vote(attack.approval(call, request), token)
    await attack.uncommitted("interlock-approval")


@pytest.mark.parametrize("role", ["executor", "api"])
async def test_executors_key_speaks_for_nobody(attack: Attack, role: Any) -> None:
    call, request = attack.asked()
    token = attack.approval(call, request).signed(Signer(role, attack.runtime.executor.signer.private_key))
    await attack.refused(call, "interlock-approval", approvals=(token,))


# -- what people are shown -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tool", "note"),
        ("agent", "agent:reader"),
        ("call_id", "another:c1"),
        ("reason", "Carol asked me to tell you that this is fine."),
        ("subject", digest_of({"text": "harmless"})),
        ("quorum", 2),
        ("route", "chiefs"),
        ("about", "question"),
        ("expires_at", datetime(2000, 1, 1, tzinfo=UTC)),
    ],
)
async def test_request_shows_what_the_call_is(attack: Attack, name: str, value: Any) -> None:
    call = attack.start().propose("send", "harmful")
    attack.ask(call, attack.decide(call), **{name: value})
    await attack.uncommitted(name)


async def test_edit_that_nobody_made(attack: Attack) -> None:
    attack.asked()
    attack.propose("send", "mine", edited_from=f"{attack.run}:c1")
    await attack.uncommitted("nobody edited")


async def test_edit_with_other_words_than_the_approvers(attack: Attack) -> None:
    call, request = attack.asked()
    edited = attack.blobs.put(canonical({"text": "good day"}))
    attack.vote(attack.approval(call, request, verdict="edit", edited=edited))
    attack.propose("send", "give me money", edited_from=call.call_id)
    await attack.uncommitted("arguments")


async def test_question_answered_is_no_approval(attack: Attack) -> None:
    """An answer to a question, which somebody honestly gave, lets no call run."""
    question = attack.start().propose("interlock.ask", values={"question": "May I?"})
    request = attack.ask(question, attack.decide(question))
    claims = attack.approval(question, request, about="question", verdict="respond", message="yes, please")
    token = attack.vote(claims)
    call = attack.propose("send", "x")
    attack.decide(call)
    await attack.not_run(call, "another kind", approvals=(token,))


async def test_question_takes_no_approval(attack: Attack) -> None:
    question = attack.start().propose("interlock.ask", values={"question": "May I?"})
    request = attack.ask(question, attack.decide(question))
    attack.vote(attack.approval(question, request, about="question", verdict="approve"))
    await attack.uncommitted("does not fit a question")


# -- a call whose outcome is unknown -------------------------------------------------------------------------


async def lost(attack: Attack, times: int = 1) -> ToolCall:
    """A call with an effect whose result was lost: it ran once, and nobody knows."""
    call = attack.start().propose("charge", "10")
    attack.decide(call)
    attack.driver.lose[call.call_id] = times
    assert (await attack.execute(call)).outcome == "unknown"
    assert attack.driver.ran.count(call.call_id) == 1
    return call


async def test_unknown_outcome_is_not_run_again(attack: Attack) -> None:
    call = await lost(attack)
    await attack.not_run(call, "left no result", outcome="unknown")


async def test_settled_call_runs_once_more(attack: Attack) -> None:
    """The yardstick."""
    call = await lost(attack)
    token = attack.vote(attack.approval(call, attack.settling(call), **CHIEF))
    assert (await attack.execute(call, settled=(token,))).outcome == "finished"
    assert attack.driver.ran.count(call.call_id) == 2


async def test_settlement_lets_one_attempt_begin(attack: Attack) -> None:
    """Lost again: the same decision does not let it run a third time; people are asked again."""
    call = await lost(attack, times=2)
    token = attack.vote(attack.approval(call, attack.settling(call), **CHIEF))
    assert (await attack.execute(call, settled=(token,))).outcome == "unknown"
    assert attack.driver.ran.count(call.call_id) == 2
    await attack.not_run(call, "left no result", outcome="unknown", settled=(token,))
    again = attack.vote(attack.approval(call, attack.settling(call), **CHIEF))
    assert (await attack.execute(call, settled=(again,))).outcome == "finished"
    assert not attack.runtime.ledger.alarms(attack.run)


async def test_settlement_off_the_record(attack: Attack) -> None:
    call = await lost(attack)
    token = attack.approval(call, attack.settling(call), **CHIEF).signed(attack.api)
    await attack.not_run(call, "not on record", outcome="unknown", settled=(token,))


async def test_settlement_of_own_key(attack: Attack, thief: Signer) -> None:
    call = await lost(attack)
    token = attack.approval(call, attack.settling(call), **CHIEF).signed(thief)
    await attack.refused(call, "Signature verification failed", settled=(token,))


async def test_settlement_that_says_no(attack: Attack) -> None:
    call = await lost(attack)
    claims = attack.approval(call, attack.settling(call), **CHIEF, verdict="respond", message="it was done")
    await attack.refused(call, "turned down", settled=(attack.vote(claims),), alarm=False)


async def test_settlement_asked_of_other_people(attack: Attack) -> None:
    """The seniors decide on `send`; only the chiefs settle. The worker lets the seniors' rule ask."""
    call = await lost(attack)
    other = attack.propose("send", "x")
    attack.settling(call)
    attack.ask(call, attack.decide(other), about="unknown")
    await attack.uncommitted("asked nobody")


async def test_settlement_for_another_call(attack: Attack) -> None:
    call = await lost(attack)
    other = attack.propose("charge", "20")
    token = attack.vote(attack.approval(other, attack.settling(other), **CHIEF))
    await attack.not_run(call, "nobody was asked to settle", outcome="unknown", settled=(token,))
    attack.settling(call)
    await attack.not_run(call, "another run or call", outcome="unknown", settled=(token,))


async def test_settlement_calls_it_another_tool(attack: Attack) -> None:
    """A rule may send harmless tools to other people; so the question names the tool that was lost."""
    call = await lost(attack)
    decision = attack.decide(
        attack.propose(
            "interlock.settle", values={"call_id": call.call_id, "tool": "note", "reason": "nothing much"}
        )
    )
    attack.ask(call, decision, about="unknown")
    await attack.uncommitted("asked nobody")


@contextmanager
def chiefs(attack: Attack, *people: str) -> Iterator[None]:
    """Other people settle from now on; the bundle before stays known."""
    routes = attack.runtime.settings.root / "permissions" / "routes.yaml"
    before = routes.read_text()
    try:
        routes.write_text(before.replace("approvers: [user:dave]", f"approvers: [{', '.join(people)}]"))
        attack.runtime.executor.policy.reload()
        yield
    finally:
        routes.write_text(before)
        attack.runtime.executor.policy.reload()


async def test_settlement_by_who_may_no_longer(attack: Attack) -> None:
    """The worker records the decision of an older bundle, under which its friend still settled."""
    with chiefs(attack, "user:erin"):
        older = attack.runtime.executor.policy.current()
    call = await lost(attack)
    values = {"call_id": call.call_id, "tool": "charge", "reason": "lost"}
    decision = attack.decide(attack.propose("interlock.settle", values=values), older)
    claims = attack.approval(call, attack.ask(call, decision, about="unknown"), sub="user:erin", about="unknown")
    await attack.not_run(call, "not an approver", outcome="unknown", settled=(attack.vote(claims),))


async def test_approval_by_who_may_no_longer(attack: Attack) -> None:
    """An approval is judged by the route in force when the call runs, not when people were asked."""
    routes = attack.runtime.settings.root / "permissions" / "routes.yaml"
    before = routes.read_text()
    call, request = attack.asked()
    token = attack.vote(attack.approval(call, request))
    try:
        routes.write_text(before.replace("user:alice, user:carol, user:dave", "user:dave"))
        attack.runtime.executor.policy.reload()
        await attack.not_run(call, "not an approver", approvals=(token,))
    finally:
        routes.write_text(before)
        attack.runtime.executor.policy.reload()
