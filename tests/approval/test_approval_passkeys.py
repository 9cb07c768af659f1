"""A route that demands a passkey's signature: what is signed, by whom, and what counts without."""

from __future__ import annotations

from typing import Any

import pytest
from support.authenticator import PRESENT, Authenticator
from support.signing_decisions import ORIGIN, registered, signed

from interlock.approval import ApprovalClaims, PendingApproval, check_quorum
from interlock.approval.passkeys import PasskeyClaims
from interlock.errors import Refused, TokenRejected
from interlock.types.route import Emergency, PinnedKeys

from .conftest import NOW, RUN, with_stage


@pytest.fixture
def pending(waiting) -> PendingApproval:
    waiting.route = with_stage(waiting.route, passkey=True)
    return PendingApproval(waiting.request(), "default")


@pytest.fixture
def authenticator() -> Authenticator:
    return Authenticator(ORIGIN, "localhost")


def signature(pending, authenticator, keys, *, person: str = "user:carol", passkey: str = "", **said: Any):
    request = pending.request
    decision = {"run": RUN, "request": request.request_id, "call": request.call_digest, "verdict": "approve"}
    passkey = passkey or registered(authenticator, keys.api, person)
    return signed(authenticator, passkey, **{**decision, **said})


def read(keys, claims: ApprovalClaims) -> ApprovalClaims:
    """As the workflow and the executor read it."""
    return ApprovalClaims.read(keys.verifier, claims.signed(keys.api), now=NOW)


def counted(pending, claims) -> list[str]:
    facts = {"run": RUN, "call": pending.request.call_digest, "requester": "user:alice", "tenant": "default"}
    return check_quorum([claims], pending.request.route, **facts)


def test_signed_decision_counts(pending, claim, keys, authenticator) -> None:
    claims = read(keys, claim(signature=signature(pending, authenticator, keys)))
    pending.check(claims, NOW)
    assert counted(pending, claims) == [claims.jti]


def test_unsigned_decision_does_not(pending, claim) -> None:
    with pytest.raises(Refused, match="must sign this decision with a passkey"):
        pending.check(claim(), NOW)
    with pytest.raises(Refused, match="must sign this decision with a passkey"):
        counted(pending, claim())


def test_rejection_needs_no_passkey(pending, claim) -> None:
    pending.check(claim(verdict="reject", message="no"), NOW)


def test_emergency_needs_one_too(pending, claim) -> None:
    glass = Emergency(people=("user:carol",), reviewers=("user:bob",), review_within_s=60)
    route = pending.request.route.model_copy(update={"emergency": glass})
    pending.request = pending.request.model_copy(update={"route": route})
    with pytest.raises(Refused, match="must sign"):
        pending.check(claim(emergency=True, message="now"), NOW)


@pytest.mark.parametrize(
    "said",
    [
        {"verdict": "reject"},
        {"request": f"{RUN}:a2"},
        {"run": "run-2"},
        {"call": "sha256:" + "0" * 64},
        {"edited": "sha256:" + "1" * 64},
        {"person": "user:bob"},
    ],
)
def test_signature_of_another_decision(pending, claim, keys, authenticator, said) -> None:
    with pytest.raises(TokenRejected, match="passkey"):
        read(keys, claim(signature=signature(pending, authenticator, keys, **said)))


def test_key_that_the_api_did_not_register(pending, claim, keys, authenticator) -> None:
    own = registered(authenticator, keys.executor, "user:carol")
    with pytest.raises(TokenRejected):
        read(keys, claim(signature=signature(pending, authenticator, keys, passkey=own)))


def test_registration_with_another_key(pending, claim, keys, authenticator) -> None:
    other = registered(Authenticator(ORIGIN, "localhost"), keys.api, "user:carol")
    with pytest.raises(TokenRejected, match="did not sign"):
        read(keys, claim(signature=signature(pending, authenticator, keys, passkey=other)))


@pytest.mark.parametrize(
    "change", [{"flags": PRESENT}, {"origin": "http://evil.example"}, {"rp_id": "evil.example"}]
)
def test_person_was_there_and_on_our_page(pending, claim, keys, authenticator, change) -> None:
    passkey = registered(authenticator, keys.api, "user:carol")
    for name, value in change.items():
        setattr(authenticator, name, value)
    with pytest.raises(TokenRejected, match="did not sign"):
        read(keys, claim(signature=signature(pending, authenticator, keys, passkey=passkey)))


def test_policy_may_name_the_keys_itself(pending, claim, keys, authenticator) -> None:
    """Then whoever holds the API's key and registers one of their own approves nothing."""
    own = registered(authenticator, keys.api, "user:carol")
    claims = read(keys, claim(signature=signature(pending, authenticator, keys, passkey=own)))
    other = PinnedKeys(person="user:carol", keys=("A" * 43,))
    for pinned, counts in (((), True), ((other,), False), ((_pinned(own),), True)):
        route = pending.request.route.model_copy(update={"pinned": pinned})
        pending.request = pending.request.model_copy(update={"route": route})
        if counts:
            pending.check(claims, NOW)
            assert counted(pending, claims) == [claims.jti]
            continue
        with pytest.raises(Refused, match="the policy does not have"):
            pending.check(claims, NOW)
        with pytest.raises(Refused, match="the policy does not have"):
            counted(pending, claims)


def _pinned(passkey: str) -> PinnedKeys:
    return PinnedKeys(person="user:carol", keys=("A" * 43, PasskeyClaims.peek(passkey).public_key))
