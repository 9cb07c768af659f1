"""Attacks on handed-on work: a run that acts for nobody, or for more than it was given, or outlives its parent."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from support.hostile import Attack, under_attack, words
from temporalio.client import WorkflowFailureError

from interlock.digest import canonical
from interlock.events import RunEnded
from interlock.run.catalogue import built_in_source
from interlock.run.contracts import HAND_OFF_TOOL, ExecuteOutput
from interlock.run.delegation import DelegationClaims
from interlock.signing import Signer
from interlock.types.call import ToolCall

pytestmark = pytest.mark.temporal

RULES = """
  - {id: hands_on, effect: allow, owner: tests, agent: "agent:tester", tool: interlock.hand_off}
  - {id: helper_sends, effect: allow, owner: tests, agent: "agent:helper", tool: send}
"""


@pytest.fixture(scope="module")
async def hostile(
    temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callable[[], Attack]]:
    root = tmp_path_factory.mktemp("hostile-hand-off") / "project"
    async with under_attack(temporal_address, root, "hostile-hand-off", rules=RULES) as found:
        yield found


@pytest.fixture
def attack(hostile: Callable[[], Attack]) -> Attack:
    return hostile()


@dataclass
class Handed:
    """A parent that honestly handed work on, and the child's worker in the attacker's hands."""

    parent: Attack
    call: ToolCall
    child: Attack
    token: str

    def begin(self, token: str = "", **said: Any) -> Attack:
        claims = DelegationClaims.peek(self.token)
        told = {"parent": claims.parent, "parent_call": claims.call, "labels": claims.labels}
        return self.child.start(token or self.token, **{**told, "delegators": claims.delegators, **said})

    async def closed(self) -> ExecuteOutput:
        return await self.parent.execute(self.call, give_up=True)


def proposed(attack: Attack) -> ToolCall:
    attack.blobs.put(built_in_source(HAND_OFF_TOOL))
    call = attack.propose(HAND_OFF_TOOL, values={"agent": "helper", "task": "x"})
    attack.decide(call)
    return call


@pytest.fixture
async def handed(attack: Attack) -> Handed:
    call = proposed(attack.start())
    done = await attack.execute(call)
    assert done.handed_on is not None, done
    child = Attack(attack.runtime, attack.driver, done.handed_on.run, agent="helper", delegators=("agent:tester",))
    child.claims = DelegationClaims.peek(done.handed_on.delegation)
    return Handed(attack, call, child, done.handed_on.delegation)


async def test_honest_child_runs_its_call(handed: Handed) -> None:
    """The yardstick: what every attack below changes one thing of."""
    call = handed.begin().propose("note", "fine")
    handed.child.decide(call)
    done = await handed.child.execute(call)
    assert (done.outcome, done.status) == ("finished", "ok")
    assert not handed.parent.runtime.ledger.alarms(handed.child.run)


# -- a run that acts for nobody ------------------------------------------------------------------------------


async def test_child_without_delegation(attack: Attack, thief: Signer) -> None:
    """Nobody but the executor lets a run act for another."""
    child = Attack(attack.runtime, attack.driver, f"{attack.run}.s1", agent="helper", delegators=("agent:tester",))
    claims = {**child.claims.model_dump(), "run": child.run, "workflow": "agent_run"}
    more = {"parent": attack.run, "call": f"{attack.run}:c1", "call_digest": claims["input"], "agent": "helper"}
    own = DelegationClaims(**claims, **more, delegators=("agent:tester",), max_steps=9, max_tokens=0)
    fake = own.signed(Signer("executor", thief.private_key))
    told = {"parent": own.parent, "parent_call": own.call, "delegators": own.delegators}
    call = child.start(fake, **told).propose("note", "x")
    child.decide(call)
    await child.refused(call, "Signature verification failed")


async def test_persons_key_delegates_nothing(handed: Handed) -> None:
    """The API's key speaks for people; a delegation under it is none."""
    claims = DelegationClaims.peek(handed.token)
    token = claims.signed(Signer("executor", handed.parent.api.private_key))
    call = handed.begin(token).propose("note", "x")
    handed.child.decide(call)
    await handed.child.refused(call, "Signature verification failed")


async def test_delegation_moved_to_another_run(handed: Handed) -> None:
    """One delegation is one run; a second child with it is nobody's."""
    second = Attack(handed.child.runtime, handed.child.driver, agent="helper", delegators=("agent:tester",))
    second.claims = DelegationClaims.peek(handed.token)
    handed.child = second
    call = handed.begin().propose("note", "x")
    second.decide(call)
    await second.refused(call, "run: the event says")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input", {"agent": "tester", "task": "x"}),
        ("input", {"agent": "helper", "task": "something else"}),
        ("manifest", {}),
        ("workflow", "pair"),
        ("requester", "user:carol"),
        ("workspace", {"v": 1, "files": []}),
        ("delegators", ()),
        ("delegators", ("agent:helper",)),
        ("parent", ""),
        ("parent_call", "another:c1"),
        ("labels", ("public",)),
    ],
)
async def test_start_that_says_otherwise(handed: Handed, field: str, value: Any) -> None:
    said = handed.child.blobs.put(canonical(value)) if isinstance(value, dict) else value
    call = handed.begin(**{field: said}).propose("note", "x")
    handed.child.decide(call)
    await handed.child.refused(call, field)


async def test_edited_statement(handed: Handed) -> None:
    """A statement with more steps in it is signed by nobody."""
    head, _, signature = handed.token.split(".")
    claims = {**DelegationClaims.peek(handed.token).model_dump(mode="json"), "max_steps": 10**6, "iss": "executor"}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    call = handed.begin(f"{head}.{body}.{signature}").propose("note", "x")
    handed.child.decide(call)
    await handed.child.refused(call, "Signature verification failed")


# -- more than it was given ----------------------------------------------------------------------------------


async def test_call_that_its_parent_may_not_make(handed: Handed) -> None:
    """`helper_sends` allows it to the helper; of the tester it is asked, so it is asked."""
    call = handed.begin().propose("send", "x")
    assert handed.child.decide(call).verdict == "ask"
    done = await handed.child.execute(call)
    assert (done.outcome, call.call_id in handed.child.driver.ran) == ("ask", False)


async def test_decision_without_delegators(handed: Handed) -> None:
    handed.begin()
    handed.child.delegators = ()
    call = handed.child.propose("send", "x")
    assert handed.child.decide(call).verdict == "allow"
    await handed.child.refused(call, "request: the event says")


async def test_agent_that_is_not_the_delegate(handed: Handed) -> None:
    call = handed.begin().propose("note", "x", agent="agent:tester")
    handed.child.decide(call)
    await handed.child.refused(call, "agent 'tester' has no part in this run")


# -- one that outlives its parent ----------------------------------------------------------------------------


async def acting(handed: Handed) -> ToolCall:
    call = handed.begin().propose("note", "x")
    handed.child.decide(call)
    await handed.child.commit()
    return call


async def test_child_of_cancelled_parent(handed: Handed) -> None:
    call = await acting(handed)
    handed.parent.control(handed.parent.statement("cancel"), reason="")
    await handed.parent.commit()
    await handed.child.refused(call, "which was cancelled", alarm=False)


async def test_child_of_paused_parent(handed: Handed) -> None:
    call = await acting(handed)
    handed.parent.control(handed.parent.statement("pause"))
    await handed.parent.commit()
    await handed.child.refused(call, "is paused", alarm=False)


async def test_child_of_ended_parent(handed: Handed) -> None:
    call = await acting(handed)
    chain = handed.parent.chain
    chain.add(RunEnded, status="completed", result="", workspace="", count=len(chain.events) + 1)
    await handed.parent.commit(final=True)
    await handed.child.refused(call, "which has ended", alarm=False)


async def test_child_that_was_given_up(handed: Handed) -> None:
    call = await acting(handed)
    done = await handed.closed()
    assert done.child is not None
    assert (done.outcome, done.status, done.child.status) == ("finished", "error", "lost")
    await handed.child.refused(call, "waits for it no more", alarm=False)


async def test_grandchild_of_cancelled_parent(handed: Handed) -> None:
    """Whoever is above counts, however far above."""
    handed.parent.control(handed.parent.statement("cancel"), reason="")
    await handed.parent.commit()
    call = handed.begin().propose("note", "x")
    handed.child.decide(call)
    await handed.child.refused(call, "which was cancelled", alarm=False)


# -- what it gives back --------------------------------------------------------------------------------------


async def test_hand_off_is_begun_once(handed: Handed) -> None:
    again = await handed.parent.execute(handed.call)
    assert again.handed_on is not None
    assert (again.outcome, again.handed_on.delegation) == ("handed_on", handed.token)
    assert len(handed.parent.runtime.ledger.hand_offs(handed.parent.run)) == 1


async def test_end_is_the_ledgers(handed: Handed) -> None:
    """What a child's worker claims without a record of it ends nothing."""
    await acting(handed)
    assert (await handed.parent.execute(handed.call)).outcome == "handed_on"
    chain = handed.child.chain
    result = handed.child.blobs.put(b"the answer")
    chain.add(RunEnded, status="completed", result=result, workspace="", count=len(chain.events) + 1)
    await handed.child.commit(final=True)
    done = await handed.parent.execute(handed.call)
    assert done.child is not None
    assert (done.outcome, done.status, done.child.head) == ("finished", "ok", chain.events[-1].hash)
    assert await handed.parent.execute(handed.call) == done


async def test_altered_end_of_child(handed: Handed) -> None:
    await acting(handed)
    done = await handed.closed()
    assert done.child is not None
    better = done.child.model_copy(update={"status": "completed"})
    handed.parent.finished(handed.call, done, child=better, workspace="")
    await handed.parent.uncommitted("child: the event says")


async def test_hidden_tokens_of_child(handed: Handed) -> None:
    await acting(handed)
    done = await handed.closed()
    handed.parent.finished(handed.call, done, child=None, workspace="")
    await handed.parent.uncommitted("child: the event says")


async def test_nothing_to_give_up(attack: Attack) -> None:
    call = proposed(attack.start())
    await attack.refused(call, "handed nothing on", alarm=False, give_up=True)
    assert not attack.runtime.ledger.hand_offs(attack.run)


async def test_hand_off_to_an_agent_not_named(attack: Attack) -> None:
    call = attack.start().propose(HAND_OFF_TOOL, values={"agent": "reader", "task": "x"})
    attack.decide(call)
    with pytest.raises(WorkflowFailureError) as failure:
        await attack.execute(call)
    assert "'reader' is not one of ['helper']" in words(failure.value)


async def test_run_that_took_the_childs_id(hostile: Callable[[], Attack]) -> None:
    """A person's own run of that id is not taken for the child."""
    attack = hostile()
    squatter = Attack(attack.runtime, attack.driver, f"{attack.run}.s1")
    await squatter.start().commit()
    call = proposed(attack.start())
    await attack.not_run(call, "exists, and is none of this run's")
