"""A request goes from pending to one end, and never leaves it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from interlock.approval import PendingApproval
from interlock.errors import Conflict

from .conftest import NOW, with_stage


@pytest.fixture
def pending(waiting) -> PendingApproval:
    return PendingApproval(waiting.request(), "default")


def take(pending: PendingApproval, claims) -> bool:
    pending.check(claims, NOW)
    return pending.take(claims, "token", NOW)


def test_approval_closes_the_request(pending, claim) -> None:
    assert take(pending, claim())
    assert (pending.state, pending.open) == ("approved", False)


def test_quorum_of_two_waits_for_two(waiting, claim) -> None:
    waiting.route = with_stage(waiting.route, quorum=2)
    pending = PendingApproval(waiting.request(), "default")
    assert not take(pending, claim("user:bob"))
    assert pending.state == "pending"
    assert take(pending, claim("user:carol"))
    assert [vote.claims.sub for vote in pending.approvals()] == ["user:bob", "user:carol"]


def test_same_person_cannot_fill_quorum(waiting, claim) -> None:
    waiting.route = with_stage(waiting.route, quorum=2)
    pending = PendingApproval(waiting.request(), "default")
    take(pending, claim("user:bob"))
    with pytest.raises(Conflict, match="user:bob decided on run-1:a1 already"):
        take(pending, claim("user:bob"))


def test_one_rejection_ends_a_quorum(waiting, claim) -> None:
    waiting.route = with_stage(waiting.route, quorum=3)
    pending = PendingApproval(waiting.request(), "default")
    take(pending, claim("user:bob"))
    assert take(pending, claim("user:carol", "reject", message="no"))
    assert pending.state == "rejected"


def test_second_decision_names_the_first(pending, claim) -> None:
    take(pending, claim("user:carol", "reject", message="no"))
    with pytest.raises(Conflict, match=r"decided: reject by user:carol at 2026-03-04T12:00:00"):
        take(pending, claim("user:dave"))


def test_edit_leaves_nothing_to_approve(pending, claim) -> None:
    assert take(pending, claim(verdict="edit", edited="sha256:" + "1" * 64))
    assert pending.state == "rejected"
    assert pending.approvals() == []


def test_answer_closes_a_question(waiting, claim) -> None:
    waiting.kind = "question"
    pending = PendingApproval(waiting.request(), "default")
    assert take(pending, claim(verdict="respond", message="main"))
    assert pending.state == "answered"


def test_expired_request_takes_no_decision(pending, claim) -> None:
    pending.expire()
    assert pending.state == "expired"
    with pytest.raises(Conflict, match="expired at 2026-03-04T13:00:00"):
        pending.check(claim(), NOW + timedelta(hours=2))


def test_decided_request_does_not_expire(pending, claim) -> None:
    take(pending, claim())
    pending.expire()
    assert pending.state == "approved"
