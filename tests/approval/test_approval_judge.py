"""Whose decision counts: the rules that the workflow applies on arrival and the executor from tokens alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from interlock.approval import PendingApproval, check_quorum
from interlock.errors import Conflict, InvalidInput, Refused

from .conftest import NOW, RUN, with_stage


def vote(waiting, claims, *, now=NOW) -> None:
    PendingApproval(waiting.request(), "default").check(claims, now)


def test_approver_may_approve(waiting, claim) -> None:
    vote(waiting, claim())


def test_requester_cannot_approve(waiting, claim, route) -> None:
    waiting.route = with_stage(route, approvers=("user:alice", *route.approvers))
    with pytest.raises(Refused, match="separation of duties"):
        vote(waiting, claim("user:alice"))


def test_stranger_cannot_approve(waiting, claim) -> None:
    with pytest.raises(Refused, match="not an approver") as refused:
        vote(waiting, claim("user:mallory"))
    assert "user:bob" in refused.value.next_step


def test_other_tenant_cannot_approve(waiting, claim) -> None:
    with pytest.raises(Refused, match="another tenant"):
        vote(waiting, claim(tenant="other"))


@pytest.mark.parametrize(
    ("field", "value"),
    [("run", "run-2"), ("request", f"{RUN}:a2"), ("call", "sha256:" + "0" * 64), ("about", "unknown")],
)
def test_decision_binds_to_its_request(waiting, claim, field: str, value: str) -> None:
    with pytest.raises(Refused):
        vote(waiting, claim(**{field: value}))


def test_late_decision_is_refused(waiting, claim) -> None:
    vote(waiting, claim(), now=NOW + timedelta(minutes=59, seconds=59))
    with pytest.raises(Refused, match="expired at 2026-03-04T13:00:00"):
        vote(waiting, claim(), now=NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    ("kind", "verdict", "fits"),
    [
        ("call", "approve", True),
        ("call", "edit", True),
        ("call", "reject", True),
        ("call", "respond", False),
        ("question", "approve", False),
        ("question", "edit", False),
        ("question", "respond", True),
        ("question", "reject", True),
        ("unknown", "approve", True),
        ("unknown", "respond", True),
        ("unknown", "reject", True),
        ("unknown", "edit", False),
    ],
)
def test_each_kind_takes_its_verdicts(waiting, claim, kind: str, verdict: str, fits: bool) -> None:
    waiting.kind = kind
    claims = claim(verdict=verdict, message="because", edited="sha256:" + "1" * 64 if verdict == "edit" else "")
    if fits:
        vote(waiting, claims)
    else:
        with pytest.raises(InvalidInput, match="does not fit"):
            vote(waiting, claims)


@pytest.mark.parametrize("verdict", ["reject", "respond"])
def test_agent_needs_something_to_read(waiting, claim, verdict: str) -> None:
    waiting.kind = "unknown"
    with pytest.raises(InvalidInput, match="needs a message"):
        vote(waiting, claim(verdict=verdict, message=" \n"))


def test_edit_needs_new_arguments(waiting, claim) -> None:
    with pytest.raises(InvalidInput, match="needs the new arguments"):
        vote(waiting, claim(verdict="edit"))


def quorum(waiting, votes, *, count: int = 1, **changed):
    request = waiting.request()
    facts = {"run": RUN, "call": request.call_digest, "requester": "user:alice", "tenant": "default", **changed}
    return check_quorum(votes, with_stage(waiting.route, quorum=count), **facts)


def test_quorum_returns_consumed_nonces(waiting, claim) -> None:
    votes = [claim("user:bob"), claim("user:carol")]
    assert quorum(waiting, votes, count=2) == sorted(vote.jti for vote in votes)


def test_quorum_counts_people_not_votes(waiting, claim) -> None:
    with pytest.raises(Conflict, match="approved twice"):
        quorum(waiting, [claim("user:bob"), claim("user:bob")], count=2)


def test_missing_approval_fails_quorum(waiting, claim) -> None:
    with pytest.raises(Refused, match="needs 2 approval"):
        quorum(waiting, [claim("user:bob")], count=2)


def test_no_votes_fail_quorum(waiting) -> None:
    with pytest.raises(Refused, match="needs 1 approval"):
        quorum(waiting, [])


def test_requesters_vote_fails_quorum(waiting, claim, route) -> None:
    waiting.route = with_stage(route, approvers=("user:alice", "user:bob"))
    with pytest.raises(Refused, match="separation of duties"):
        quorum(waiting, [claim("user:bob"), claim("user:alice")])


@pytest.mark.parametrize(
    "changed", [{"run": "run-2"}, {"call": "sha256:" + "0" * 64}, {"tenant": "other"}, {"requester": "user:carol"}]
)
def test_approval_counts_for_one_call(waiting, claim, changed) -> None:
    with pytest.raises(Refused):
        quorum(waiting, [claim("user:carol")], **changed)


@pytest.mark.parametrize("verdict", ["reject", "respond", "edit"])
def test_only_approvals_approve(waiting, claim, verdict: str) -> None:
    with pytest.raises(Refused, match="approves nothing"):
        quorum(waiting, [claim(verdict=verdict, message="no", edited="sha256:" + "1" * 64)])
