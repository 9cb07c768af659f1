"""A hostile graph worker and a route of stages: it skips, hastens and swaps them, hands decisions to its friends
and breaks the glass unseen. All statements of people are truly signed; the executor runs nothing on them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.hostile import LIFE, Attack, under_attack

from interlock.approval import AmendClaims, DeputyClaims, lifetime
from interlock.digest import digest_of
from interlock.events import (
    ApprovalAdvanced,
    ApprovalReassigned,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalWithdrawn,
)
from interlock.types.call import ToolCall

pytestmark = pytest.mark.temporal

TEAM, LEAD, LAST = "team", "lead", "last"
PEOPLE = {TEAM: ("user:carol", "user:dave"), LEAD: ("user:erin",), LAST: ("user:dave", "user:erin")}


@pytest.fixture(scope="module")
async def hostile(
    temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callable[[], Attack]]:
    root = tmp_path_factory.mktemp("hostile-stages") / "project"
    async with under_attack(temporal_address, root, "hostile-stages") as found:
        yield found


@pytest.fixture
def attack(hostile: Callable[[], Attack]) -> Attack:
    return hostile()


def approve(attack: Attack, call: ToolCall, request: str, by: str, stage: str, *, closes: bool, **said: Any) -> str:
    return attack.vote(attack.approval(call, request, sub=by, stage=stage, **said), closes=closes)


def advance(attack: Attack, request: str, stage: str, *, why: str = "approved", **said: Any) -> None:
    """Say that a stage decides now; it begins when the event before was recorded, or with this one."""
    began = attack.chain.at if why == "escalated" else attack.chain.at - timedelta(seconds=1)
    fields = {
        "why": why,
        "stage": stage,
        "approvers": PEOPLE[LEAD if why == "escalated" else stage],
        "quorum": 1,
        "expires_at": began + timedelta(minutes=10),
    }
    attack.chain.add(ApprovalAdvanced, request_id=request, **{**fields, **said})


async def test_every_stage_approves(attack: Attack) -> None:
    """The yardstick."""
    call, request = attack.asked("spend")
    one = approve(attack, call, request, "user:carol", TEAM, closes=False)
    advance(attack, request, LAST)
    two = approve(attack, call, request, "user:dave", LAST, closes=True)
    assert (await attack.execute(call, approvals=(one, two))).outcome == "finished"


async def test_escalated_stage_approves(attack: Attack) -> None:
    """The other yardstick."""
    call, request = attack.asked("spend")
    attack.chain.at += timedelta(minutes=10)
    advance(attack, request, LEAD, why="escalated")
    one = approve(attack, call, request, "user:erin", LEAD, closes=False)
    advance(attack, request, LAST)
    two = approve(attack, call, request, "user:dave", LAST, closes=True)
    assert (await attack.execute(call, approvals=(one, two))).outcome == "finished"


async def test_stage_that_is_left_out(attack: Attack) -> None:
    call, request = attack.asked("spend")
    await attack.not_run(
        call, "needs 1", approvals=(approve(attack, call, request, "user:carol", TEAM, closes=False),)
    )


async def test_last_stage_alone(attack: Attack) -> None:
    call, request = attack.asked("spend")
    approve(attack, call, request, "user:dave", LAST, closes=True)
    await attack.uncommitted("stage 'team' decides now")


async def test_first_stage_says_that_it_closes(attack: Attack) -> None:
    call, request = attack.asked("spend")
    approve(attack, call, request, "user:carol", TEAM, closes=True)
    await attack.uncommitted("closes")


async def test_request_begins_at_its_last_stage(attack: Attack) -> None:
    call = attack.start().propose("spend", "x")
    decision = attack.decide(call)
    attack.ask(call, decision, stage=LAST, approvers=PEOPLE[LAST])
    await attack.uncommitted("stage")


async def test_one_person_at_two_stages(attack: Attack) -> None:
    call, request = attack.asked("spend")
    approve(attack, call, request, "user:dave", TEAM, closes=False)
    advance(attack, request, LAST)
    approve(attack, call, request, "user:dave", LAST, closes=True)
    await attack.uncommitted("user:dave decided on")


async def test_stage_is_passed_over_early(attack: Attack) -> None:
    _, request = attack.asked("spend")
    attack.chain.at += timedelta(minutes=9, seconds=58)
    advance(attack, request, LEAD, why="escalated")
    await attack.uncommitted("not to be escalated now")


async def test_stage_is_passed_over_tomorrow(attack: Attack) -> None:
    """Dated so that the deadline has passed by its own word."""
    _, request = attack.asked("spend")
    attack.chain.at = datetime.now(UTC) + timedelta(hours=20)
    advance(attack, request, LEAD, why="escalated")
    with pytest.raises(Exception, match=r".*"):
        await attack.commit()
    assert all(event.kind != "approval.advanced" for event in attack.runtime.ledger.events(attack.run))


async def test_stage_that_denies_is_not_passed_over(attack: Attack) -> None:
    call, request = attack.asked("spend")
    approve(attack, call, request, "user:carol", TEAM, closes=False)
    advance(attack, request, LAST)
    attack.chain.at += timedelta(minutes=30)
    advance(attack, request, LAST, why="escalated")
    await attack.uncommitted("not to be escalated now")


@pytest.mark.parametrize(
    "said",
    [{"stage": LAST}, {"approvers": ("user:alice",)}, {"quorum": 0}, {"expires_at": datetime.now(UTC) + LIFE}],
    ids=("stage", "approvers", "quorum", "expires_at"),
)
async def test_next_stage_is_another_than_the_policys(attack: Attack, said: dict[str, Any]) -> None:
    _, request = attack.asked("spend")
    attack.chain.at += timedelta(minutes=10)
    advance(attack, request, **{"stage": LEAD, "why": "escalated", **said})
    await attack.uncommitted(next(iter(said)))


def amended(attack: Attack, request: str, by: str, verb: Any, to: str = "", **said: Any) -> AmendClaims:
    fields = {"tenant": "default", "sub": by, "run": attack.run, "request": request, "verb": verb, "to": to}
    return AmendClaims(**{**fields, "reason": "away", **lifetime(datetime.now(UTC), LIFE), **said})


def reassign(attack: Attack, claims: AmendClaims, **said: Any) -> None:
    fields = {"request_id": claims.request, "by": claims.sub, "to": claims.to, "reason": claims.reason}
    attack.chain.add(ApprovalReassigned, **{**fields, "token": claims.signed(attack.api), **said})


async def test_decision_that_was_handed_on(attack: Attack) -> None:
    """The yardstick."""
    call, request = attack.asked("spend")
    reassign(attack, amended(attack, request, "user:carol", "reassign", "user:erin"))
    one = approve(attack, call, request, "user:erin", TEAM, closes=False, seat="user:carol")
    advance(attack, request, LAST)
    two = approve(attack, call, request, "user:dave", LAST, closes=True)
    assert (await attack.execute(call, approvals=(one, two))).outcome == "finished"


async def test_decision_that_nobody_handed_on(attack: Attack) -> None:
    call, request = attack.asked("spend")
    approve(attack, call, request, "user:erin", TEAM, closes=False, seat="user:carol")
    await attack.uncommitted("did not hand this decision on")


@pytest.mark.parametrize(
    ("by", "to", "said", "why"),
    [
        ("user:carol", "user:alice", {}, "stand in for nobody"),
        ("user:erin", "user:erin", {}, "no decision here"),
        ("user:carol", "user:erin", {"to": "user:dave"}, "to:"),
        ("user:carol", "user:erin", {"by": "user:dave"}, "by:"),
    ],
)
async def test_handing_on_that_does_not_hold(
    attack: Attack, by: str, to: str, said: dict[str, Any], why: str
) -> None:
    _, request = attack.asked("spend")
    reassign(attack, amended(attack, request, by, "reassign", to), **said)
    await attack.uncommitted(why)


async def test_withdrawal_passed_off_as_handing_on(attack: Attack) -> None:
    _, request = attack.asked("spend")
    claims = amended(attack, request, "user:alice", "withdraw")
    reassign(attack, claims, to="user:erin")
    await attack.uncommitted("verb")


async def test_withdrawn_call_does_not_run(attack: Attack) -> None:
    """The worker asks again, and somebody approves."""
    call, request = attack.asked("send")
    claims = amended(attack, request, "user:alice", "withdraw")
    token = claims.signed(attack.api)
    attack.chain.add(ApprovalWithdrawn, request_id=request, by=claims.sub, token=token, reason=claims.reason)
    again = attack.ask(call, attack.decide(call))
    vote = attack.vote(attack.approval(call, again))
    await attack.refused(call, "turned down by user:alice", approvals=(vote,), alarm=False)


async def test_deputy_of_nobodys_making(attack: Attack) -> None:
    call, request = attack.asked("spend")
    moment = int(datetime.now(UTC).timestamp())
    said = DeputyClaims(
        tenant="default", sub="user:dave", to="user:erin", begins=moment, **lifetime(datetime.now(UTC), LIFE)
    )
    deputy = said.signed(attack.api)
    approve(attack, call, request, "user:erin", TEAM, closes=False, seat="user:carol", deputy=deputy)
    await attack.uncommitted("did not hand this decision on")


def broken(attack: Attack, by: str = "user:erin") -> tuple[ToolCall, str]:
    """A call that somebody lets run in an emergency; the token."""
    call, request = attack.asked("spend")
    claims = attack.approval(call, request, sub=by, emergency=True, message="the site is down")
    return call, attack.vote(claims)


def review(attack: Attack, call: ToolCall, **said: Any) -> None:
    decision = attack.decision(call)
    attack.chain.add(
        ApprovalRequested,
        **{
            "request_id": f"{attack.run}:a2",
            "about": "review",
            "call_id": call.call_id,
            "agent": call.agent,
            "tool": call.tool,
            "call_digest": digest_of(call.as_hashed()),
            "subject": call.arguments,
            "rule": decision.rule,
            "reason": decision.reason,
            "route": "staged",
            "approvers": ("user:carol",),
            "quorum": 1,
            "expires_at": attack.chain.at + LIFE,
            "ends_at": attack.chain.at + LIFE,
            **said,
        },
    )


async def test_glass_is_broken_in_sight(attack: Attack) -> None:
    """The yardstick."""
    call, token = broken(attack)
    review(attack, call)
    assert (await attack.execute(call, approvals=(token,))).outcome == "finished"


async def test_glass_is_broken_unseen(attack: Attack) -> None:
    call, token = broken(attack)
    await attack.not_run(call, "nobody was asked to review", approvals=(token,))


async def test_glass_that_this_person_may_not_break(attack: Attack) -> None:
    broken(attack, "user:carol")
    await attack.uncommitted("does not let user:carol")


async def test_review_by_friends(attack: Attack) -> None:
    call, _ = broken(attack)
    review(attack, call, approvers=("user:erin",))
    await attack.uncommitted("approvers")


async def test_review_of_nothing(attack: Attack) -> None:
    call, _ = attack.asked("spend")
    review(attack, call)
    await attack.uncommitted("nobody let this call run in an emergency")


async def test_emergency_of_an_honest_vote(attack: Attack) -> None:
    """The worker calls an ordinary vote an emergency."""
    call, request = attack.asked("spend")
    attack.vote(attack.approval(call, request, sub="user:carol", stage=TEAM), emergency=True)
    await attack.uncommitted("emergency")


async def test_reminder_of_no_request(attack: Attack) -> None:
    attack.start()
    attack.chain.add(ApprovalReminded, request_id=f"{attack.run}:a7", number=1)
    await attack.uncommitted("was never opened")
