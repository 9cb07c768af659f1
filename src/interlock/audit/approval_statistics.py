"""What the ledger's approval requests say about rules and approvers. Reads columns, never whole rows or events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, get_args

import orjson
from sqlalchemy import Connection, case, func, select

from interlock.audit.codec import iso
from interlock.audit.tables import approvals
from interlock.errors import IntegrityError
from interlock.types.approval import RequestState

_STATES: Final = get_args(RequestState)
_PASSED: Final = ("approved", "consumed")
_PAGE: Final = 5_000


class VoteFact(NamedTuple):
    """One person's decision, and how long the request had waited for it."""

    rule: str
    approver: str
    verdict: str
    waited_s: float


@dataclass(frozen=True, slots=True)
class Repeated:
    """Requests about one call with one set of arguments, asked for by one rule."""

    rule: str
    tool: str
    subject: str
    """Digest of the arguments."""
    approved: int
    other: int
    """How many of them were rejected, edited, expired or withdrawn."""
    latest: str
    """One of the requests: the last of its kind."""


@dataclass(frozen=True, slots=True)
class ApprovalFacts:
    """All of it, as of one moment."""

    counts: dict[tuple[str, str], int]
    """Rule and state → how many requests."""
    votes: list[VoteFact]
    let_expire: Counter[tuple[str, str]]
    """Rule and person → how many requests expired on which they could have decided, and did not."""
    repeated: list[Repeated]


def approval_facts(connection: Connection, tenant: str, since: datetime, at_least: int) -> ApprovalFacts:
    """What there is about a tenant's requests since some time; `at_least` identical approvals count as repeated.

    Raises:
        IntegrityError: somebody wrote what this code never writes.
    """
    return ApprovalFacts(
        counts=counted(connection, tenant, since),
        votes=list(votes(connection, tenant, since)),
        let_expire=Counter(let_expire(connection, tenant, since)),
        repeated=repeated(connection, tenant, since, at_least),
    )


def counted(connection: Connection, tenant: str, since: datetime) -> dict[tuple[str, str], int]:
    """Rule and state → how many requests."""
    query = (
        select(approvals.c.rule, approvals.c.state, func.count().label("requests"))
        .where(*_within(tenant, since))
        .group_by(approvals.c.rule, approvals.c.state)
    )
    return {(row.rule, row.state): row.requests for row in connection.execute(query)}


def votes(connection: Connection, tenant: str, since: datetime) -> Iterator[VoteFact]:
    """Every decision of a person.

    Raises:
        IntegrityError: somebody wrote what this code never writes.
    """
    query = select(approvals.c.request_id, approvals.c.rule, approvals.c.requested_at, approvals.c.votes).where(
        *_within(tenant, since), approvals.c.votes != "[]"
    )
    read, moment = orjson.loads, datetime.fromisoformat
    for page in connection.execution_options(yield_per=_PAGE).execute(query).partitions():
        for request, rule, requested_at, cast in page:
            try:
                asked = moment(requested_at)
                for vote in read(cast):
                    waited = (moment(vote["at"]) - asked).total_seconds()
                    yield VoteFact(rule, str(vote["approver"]), str(vote["verdict"]), max(0.0, waited))
            except (ValueError, TypeError, KeyError) as error:
                raise IntegrityError(f"row {request!r} of table approvals was altered: {error}") from error


def let_expire(connection: Connection, tenant: str, since: datetime) -> Iterator[tuple[str, str]]:
    """Rule and person of everybody who could have decided on a request that expired, and did not.

    Raises:
        IntegrityError: somebody wrote what this code never writes.
    """
    query = select(
        approvals.c.request_id, approvals.c.rule, approvals.c.requester, approvals.c.approvers, approvals.c.votes
    ).where(approvals.c.tenant == tenant, approvals.c.state == "expired", approvals.c.requested_at >= iso(since))
    for row in connection.execution_options(yield_per=_PAGE).execute(query):
        try:
            decided = {vote["approver"] for vote in orjson.loads(row.votes)} | {row.requester}
            silent = [person for person in orjson.loads(row.approvers) if person not in decided]
        except (ValueError, TypeError, KeyError) as error:
            raise IntegrityError(f"row {row.request_id!r} of table approvals was altered: {error}") from error
        for person in silent:
            yield row.rule, str(person)


def repeated(connection: Connection, tenant: str, since: datetime, at_least: int) -> list[Repeated]:
    """Calls that were approved with the very same arguments so often, the most frequent first."""
    passed = func.sum(case((approvals.c.state.in_(_PASSED), 1), else_=0)).label("approved")
    query = (
        select(
            approvals.c.rule,
            approvals.c.tool,
            approvals.c.subject,
            passed,
            func.count().label("requests"),
            func.max(approvals.c.request_id).label("latest"),
        )
        .where(*_within(tenant, since), approvals.c.kind == "call", approvals.c.state != "pending")
        .group_by(approvals.c.rule, approvals.c.tool, approvals.c.subject)
        .having(passed >= at_least)
        .order_by(passed.desc(), approvals.c.rule, approvals.c.tool, approvals.c.subject)
        .limit(100)
    )
    return [
        Repeated(row.rule, row.tool, row.subject, int(row.approved), int(row.requests - row.approved), row.latest)
        for row in connection.execute(query)
    ]


def _within(tenant: str, since: datetime) -> tuple[Any, ...]:
    # Naming every state lets the index on state and time be used.
    states = approvals.c.state.in_(_STATES)
    return approvals.c.tenant == tenant, states, approvals.c.requested_at >= iso(since)
