"""A route of several stages: who decides when, what a deadline does, who may stand in, who counts as one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from interlock.approval import AmendClaims, DeputyClaims, PendingApproval, Seats, check_quorum, lifetime
from interlock.errors import Conflict, InvalidInput, Refused, TokenRejected
from interlock.types.route import Emergency, Route, Stage

from .conftest import NOW, RUN

HOUR = timedelta(hours=1)
TEAM = Stage(
    name="team",
    approvers=("user:bob", "user:carol"),
    quorum=2,
    expires_after_s=3600,
    at_deadline="escalate",
    remind_after_s=(600, 1800),
)
LEAD = Stage(name="lead", approvers=("user:dave", "user:erin"), expires_after_s=7200, only_escalated=True)
LEGAL = Stage(name="legal", approvers=("user:carol", "user:fay"), expires_after_s=3600)
STAGED = Route(name="payments", stages=(TEAM, LEAD, LEGAL), stand_ins=("user:gus", "user:alice"))


@pytest.fixture
def staged(waiting) -> PendingApproval:
    waiting.route = STAGED
    return PendingApproval(waiting.request(), "default")


def take(pending: PendingApproval, claims, at=NOW) -> bool:
    pending.check(claims, at)
    return pending.take(claims, "token", at)


def counted(pending: PendingApproval, route: Route = STAGED) -> list[str]:
    """What the executor makes of the approvals."""
    request = pending.request
    return check_quorum(
        [vote.claims for vote in pending.approvals()],
        route,
        run=RUN,
        call=request.call_digest,
        requester="user:alice",
        tenant="default",
        passed_over=pending.passed_over,
        seats=Seats(pending.moved),
    )


def test_stages_decide_in_turn(staged, claim) -> None:
    assert not take(staged, claim("user:bob", stage="team"))
    assert not take(staged, claim("user:carol", stage="team"))
    assert (staged.stage.name, staged.state) == ("legal", "pending"), "the lead decides only when escalated"
    assert staged.deadline == NOW + HOUR
    assert take(staged, claim("user:fay", stage="legal"))
    assert staged.state == "approved"
    assert len(counted(staged)) == 3


def test_a_later_stage_cannot_decide_early(staged, claim) -> None:
    with pytest.raises(Conflict, match="stage 'team' decides now"):
        staged.check(claim("user:fay", stage="legal"), NOW)
    with pytest.raises(Refused, match="not an approver of stage 'team'"):
        staged.check(claim("user:fay", stage="team"), NOW)


def test_nobody_decides_at_two_stages(staged, claim) -> None:
    take(staged, claim("user:bob", stage="team"))
    take(staged, claim("user:carol", stage="team"))
    with pytest.raises(Conflict, match="user:carol decided"):
        staged.check(claim("user:carol", stage="legal"), NOW)


def test_deadline_escalates_after_reminders(staged, claim) -> None:
    take(staged, claim("user:bob", stage="team"))
    moments = []
    while staged.stage.name == "team":
        moments.append((staged.next_moment, staged.lapse(staged.next_moment)))
    assert [(at - NOW, what) for at, what in moments] == [
        (timedelta(seconds=600), "reminded"),
        (timedelta(seconds=1800), "reminded"),
        (HOUR, "escalated"),
    ]
    assert staged.stage.name == "lead"
    assert staged.deadline == NOW + 3 * HOUR
    take(staged, claim("user:dave", stage="lead"), NOW + 2 * HOUR)
    assert staged.stage.name == "legal"
    take(staged, claim("user:fay", stage="legal"), NOW + 2 * HOUR)
    assert len(counted(staged)) == 2, "the approval of the stage that was passed over is not needed"


def test_nothing_lapses_early(staged) -> None:
    assert staged.lapse(NOW + timedelta(seconds=599)) is None
    with pytest.raises(InvalidInput, match="not to be escalated"):
        staged.escalate(NOW + HOUR - timedelta(microseconds=1))


def test_last_deadline_denies(staged, claim) -> None:
    at = NOW
    while staged.open:
        at = staged.next_moment
        staged.lapse(at)
    assert (staged.state, at) == ("expired", NOW + 3 * HOUR)
    assert staged.request.ends_at == NOW + 4 * HOUR, "what the legal stage could have had"
    with pytest.raises(Conflict, match="expired at"):
        staged.check(claim("user:fay", stage="legal"), at)


def test_executor_needs_the_stage_unless_it_was_passed_over(staged, claim) -> None:
    take(staged, claim("user:bob", stage="team"))
    take(staged, claim("user:carol", stage="team"))
    take(staged, claim("user:fay", stage="legal"))
    staged.votes.pop(0)
    with pytest.raises(Refused, match="stage 'team', needs 2 approval"):
        counted(staged)
    staged.passed_over.add("team")
    with pytest.raises(Refused, match="stage 'lead', needs 1 approval"):
        counted(staged)
    strict = STAGED.model_copy(update={"stages": (TEAM.model_copy(update={"at_deadline": "deny"}), LEGAL)})
    with pytest.raises(Refused, match="stage 'team', needs 2"):
        counted(staged, strict)


def test_two_rejections_where_the_stage_says_so(waiting, claim) -> None:
    stage = Stage(approvers=("user:bob", "user:carol", "user:dave"), quorum=2, rejections=2, expires_after_s=60)
    waiting.route = Route(name="board", stages=(stage,))
    pending = PendingApproval(waiting.request(), "default")
    assert not take(pending, claim("user:bob", "reject", message="no"))
    with pytest.raises(Conflict, match="decided"):
        pending.check(claim("user:bob"), NOW)
    assert take(pending, claim("user:carol", "reject", message="no"))
    assert pending.state == "rejected"


def test_one_of_a_team_counts(waiting, claim) -> None:
    stage = Stage(approvers=("user:bob", "user:carol", "user:dave"), quorum=2, expires_after_s=60)
    waiting.route = Route(name="apart", stages=(stage,), teams=(("user:bob", "user:carol"),))
    pending = PendingApproval(waiting.request(), "default")
    take(pending, claim("user:bob"))
    with pytest.raises(Refused, match="same team"):
        pending.check(claim("user:carol"), NOW)
    take(pending, claim("user:dave"))
    assert len(counted(pending, waiting.route)) == 2
    pending.votes[1] = pending.votes[0].__class__(claim("user:carol"), "token", NOW)
    with pytest.raises(Refused, match="same team"):
        counted(pending, waiting.route)


def amend(by: str, verb: str, **changed) -> AmendClaims:
    fields = {"tenant": "default", "sub": by, "run": RUN, "request": f"{RUN}:a1", "verb": verb, "reason": "away"}
    return AmendClaims(**{**fields, **lifetime(NOW, HOUR), **changed})


def test_decision_is_handed_on(staged, claim) -> None:
    handed = amend("user:bob", "reassign", to="user:gus")
    staged.check_amendment(handed, NOW)
    staged.amend(handed)
    assert staged.deciders == ("user:carol", "user:gus")
    with pytest.raises(Refused, match="handed this decision on to user:gus"):
        staged.check(claim("user:bob", stage="team"), NOW)
    with pytest.raises(Refused, match="user:gus decides here for user:bob only"):
        staged.check(claim("user:gus", stage="team"), NOW)
    take(staged, claim("user:gus", stage="team", seat="user:bob"))
    with pytest.raises(Conflict, match="decided"):
        staged.check(claim("user:bob", stage="team"), NOW)
    take(staged, claim("user:carol", stage="team"))
    take(staged, claim("user:fay", stage="legal"))
    assert len(counted(staged)) == 3
    staged.moved.clear()
    with pytest.raises(Refused, match="did not hand this decision on"):
        counted(staged)


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        (amend("user:bob", "reassign", to="user:mallory"), "stand in for nobody"),
        (amend("user:bob", "reassign", to="user:alice"), "separation of duties"),
        (amend("user:fay", "reassign", to="user:gus"), "no decision here"),
        (amend("user:bob", "withdraw"), "only user:alice"),
        (amend("user:alice", "withdraw", tenant="other"), "another|about"),
        (amend("user:alice", "withdraw", run="run-2"), "about"),
    ],
)
def test_amendment_that_is_nobodys_to_make(staged, claims, why: str) -> None:
    with pytest.raises(Refused, match=why):
        staged.check_amendment(claims, NOW)


def test_requester_withdraws(staged, claim) -> None:
    claims = amend("user:alice", "withdraw")
    staged.check_amendment(claims, NOW)
    staged.amend(claims)
    assert staged.state == "withdrawn"
    with pytest.raises(Conflict, match="withdrawn"):
        staged.check(claim("user:bob", stage="team"), NOW)


def deputy(keys, by: str = "user:bob", **changed) -> str:
    start = int(NOW.timestamp())
    fields = {"tenant": "default", "sub": by, "to": "user:gus", "begins": start, **lifetime(NOW, 24 * HOUR)}
    return DeputyClaims(**{**fields, **changed}).signed(keys.api)


def test_deputy_decides_while_the_approver_is_away(staged, claim, keys) -> None:
    take(staged, claim("user:gus", stage="team", seat="user:bob", deputy=deputy(keys)))
    with pytest.raises(Conflict, match="decided"):
        staged.check(claim("user:bob", stage="team"), NOW)


@pytest.mark.parametrize(
    "changed",
    [
        {"to": "user:dave"},
        {"sub": "user:carol"},
        {"tenant": "other"},
        {"begins": int((NOW + HOUR).timestamp())},
        {"iat": 1, "begins": 1, "exp": int(NOW.timestamp())},
    ],
)
def test_statement_that_makes_no_deputy(staged, claim, keys, changed) -> None:
    with pytest.raises(Refused, match="did not hand"):
        staged.check(claim("user:gus", stage="team", seat="user:bob", deputy=deputy(keys, **changed)), NOW)


def test_deputy_needs_the_apis_signature(claim, keys) -> None:
    forged = DeputyClaims.peek(deputy(keys)).signed(keys.executor)
    token = claim("user:gus", stage="team", seat="user:bob", deputy=forged).signed(keys.api)
    with pytest.raises(TokenRejected):
        type(claim()).read(keys.verifier, token, now=NOW)


def test_requester_is_nobodys_deputy(staged, claim, keys) -> None:
    with pytest.raises(Refused, match="separation of duties"):
        staged.check(claim("user:alice", stage="team", seat="user:bob", deputy=deputy(keys, to="user:alice")), NOW)


GLASS = Emergency(people=("user:bob", "user:ops"), reviewers=("user:bob", "user:fay"), review_within_s=60)


def test_glass_is_broken_with_a_reason(waiting, claim) -> None:
    waiting.route = STAGED.model_copy(update={"emergency": GLASS})
    pending = PendingApproval(waiting.request(), "default")
    with pytest.raises(InvalidInput, match="needs a reason"):
        pending.check(claim("user:ops", emergency=True), NOW)
    assert take(pending, claim("user:ops", emergency=True, message="the site is down"))
    assert pending.state == "approved"
    assert counted(pending, waiting.route) == [pending.last.claims.jti]
    assert waiting.route.review("user:bob").approvers == ("user:fay",)


@pytest.mark.parametrize(
    ("by", "changed", "why"),
    [
        ("user:carol", {}, "does not let user:carol"),
        ("user:alice", {}, "separation of duties"),
        ("user:ops", {"seat": "user:bob"}, "nothing else"),
        ("user:ops", {"verdict": "reject"}, "nothing else"),
    ],
)
def test_glass_that_stays_whole(waiting, claim, by: str, changed, why: str) -> None:
    glass = GLASS.model_copy(update={"people": ("user:alice", *GLASS.people)})
    waiting.route = STAGED.model_copy(update={"emergency": glass})
    pending = PendingApproval(waiting.request(), "default")
    with pytest.raises((Refused, InvalidInput), match=why):
        pending.check(claim(by, **{"message": "now", "emergency": True, **changed}), NOW)


def test_no_glass_without_a_reviewer(waiting, claim) -> None:
    alone = GLASS.model_copy(update={"reviewers": ("user:ops",)})
    waiting.route = STAGED.model_copy(update={"emergency": alone})
    with pytest.raises(Refused, match="nobody would be left to review"):
        PendingApproval(waiting.request(), "default").check(claim("user:ops", emergency=True, message="now"), NOW)


@pytest.mark.parametrize(
    ("stages", "short"),
    [
        ((TEAM, LEAD, LEGAL), None),
        ((TEAM, LEGAL.model_copy(update={"approvers": ("user:carol",)})), "legal"),
        ((TEAM.model_copy(update={"quorum": 1}), LEGAL.model_copy(update={"approvers": ("user:bob",)})), None),
        ((LEAD.model_copy(update={"quorum": 3}),), "lead"),
    ],
)
def test_people_are_counted_once(stages, short) -> None:
    found = Route(name="r", stages=stages).short_of()
    assert (found and found.name) == short
