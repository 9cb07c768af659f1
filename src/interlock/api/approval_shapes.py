"""The shapes of approval requests, cards and what becomes of a decision."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field, JsonValue

from interlock.api.schemas import Shape
from interlock.types.approval import ApprovalVerdict, RequestKind, RequestState


class RequestShape(Shape):
    """A request in a list. What it is about, a list does not say: that is read from the card, which is verified."""

    request_id: str = Field(examples=["fix-issue-20261130-101500-3f9a1c:a1"])
    run: str
    requester: str
    kind: RequestKind
    agent: str
    tool: str
    route: str
    stage: str = Field(description="The stage of the route that decides; empty where it has one alone.")
    approvers: list[str] = Field(description="Who may decide at this stage.")
    quorum: int
    requested_at: datetime
    expires_at: datetime = Field(description="The deadline of this stage.")
    state: RequestState
    decided_by: str
    decided_at: datetime | None


class RequestPage(Shape):
    """Some requests."""

    approvals: list[RequestShape]
    next: str = Field(description="`cursor` of the next page; empty where this is the last.")


class VoteShape(Shape):
    """One person's decision."""

    approver: str
    verdict: ApprovalVerdict
    at: datetime
    message: str


class CardShape(Shape):
    """Everything that a decision is made on, proven from the run's events now. Texts of agents are made visible."""

    request_id: str
    run: str
    kind: RequestKind
    state: RequestState
    sentence: str
    agent: str
    tool: str
    call_id: str
    call_digest: str = Field(description="Send it back with the decision.")
    arguments: dict[str, JsonValue] = Field(description="The normalised arguments, exactly.")
    changes: list[JsonValue] | None = Field(description="Changes of files since the run began; null: does not say.")
    rule: str
    reason: str
    route: str
    stage: str
    stages: list[JsonValue] = Field(description="The stages of the route, in order.")
    approvers: list[str]
    quorum: int
    passkey: bool = Field(description="Whether this stage takes no approval, edit or answer without a passkey.")
    emergency: list[str] = Field(description="Who may let it run at once, alone, with a review afterwards.")
    requester: str
    requested_at: datetime
    expires_at: datetime
    warnings: list[str]
    votes: list[VoteShape]
    decisions: list[str] = Field(description="What may be decided.")
    seats: list[str] = Field(description="The approvers for whom you may decide while they are away.")


class Decided(Shape):
    """What became of the decision."""

    request_id: str
    call_id: str
    verdict: ApprovalVerdict
    state: RequestState
    closes: bool = Field(description="Whether the request is closed by it; else more people must approve.")


class Signing(Shape):
    """What a passkey is asked to sign."""

    options: dict[str, Any] = Field(description="For `navigator.credentials.get({publicKey: …})`.")


class Changed(Shape):
    """What became of the request."""

    request_id: str
    state: RequestState
