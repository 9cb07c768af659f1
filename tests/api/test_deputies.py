"""Deciding for somebody who is away: by their statement alone, in its time, where the route lets one stand in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.api import Api

from interlock.approval import DeputyClaims
from interlock.audit import ApprovalRow
from interlock.run.deputising import statement_for
from interlock.signing import Signer

pytestmark = pytest.mark.temporal


def until(**more: Any) -> str:
    return (datetime.now(UTC) + timedelta(**more)).isoformat()


async def waiting(api: Api, agent: str = "payer") -> ApprovalRow:
    return await api.runtime.approval(await api.runtime.start(agent, "go"))


def body(row: ApprovalRow, **more: Any) -> dict[str, Any]:
    return {"call_digest": row.call_digest, "decision": {"type": "approve"}, **more}


async def test_a_deputy_decides_while_the_approver_is_away(api: Api) -> None:
    row, dave = await waiting(api), api.acting("user:dave")
    place = f"/v1/approvals/{row.request_id}"
    for sent in (body(row), body(row, seat="user:carol")):
        assert (await dave.post(f"{place}/decisions", json=sent)).status_code == 403, "nobody named him"
    carol = await api.signed_in("user:carol")
    named = await carol.post("/v1/me/deputies", json={"to": "user:dave", "ends": until(hours=1), "reason": "away"})
    assert named.status_code == 201, named.text
    assert "statement" not in named.text, "it is not given away"
    assert (await dave.get(place)).json()["seats"] == ["user:carol"]
    assert (await dave.post(f"{place}/decisions", json=body(row))).status_code == 403, "for herself, not for him"
    taken = await dave.post(f"{place}/decisions", json=body(row, seat="user:carol"))
    assert (taken.status_code, taken.json()["state"]) == (200, "approved"), taken.text
    assert (await api.runtime.client.wait(row.run)).status == "completed"
    verdict = await api.runtime.verdict(row.run)
    assert verdict.verified, verdict.differences
    ended = await carol.delete(f"/v1/me/deputies/{named.json()['id']}")
    assert ended.json()["revoked_at"]
    late = await waiting(api)
    answer = await dave.post(f"/v1/approvals/{late.request_id}/decisions", json=body(late, seat="user:carol"))
    assert answer.status_code == 403, "she is back"


async def test_a_deputy_counts_where_the_route_lets_them(api: Api) -> None:
    carol = await api.signed_in("user:carol")
    named = (await carol.post("/v1/me/deputies", json={"to": "user:alice", "ends": until(hours=1)})).json()
    row = await waiting(api)
    answer = await api.acting("user:alice").post(
        f"/v1/approvals/{row.request_id}/decisions", json=body(row, seat="user:carol")
    )
    assert answer.status_code == 403
    await carol.delete(f"/v1/me/deputies/{named['id']}")


async def test_a_deputy_whose_time_has_not_come(api: Api) -> None:
    carol = await api.signed_in("user:carol")
    sent = {"to": "user:dave", "begins": until(hours=1), "ends": until(hours=2)}
    named = (await carol.post("/v1/me/deputies", json=sent)).json()
    assert statement_for(api.held.accounts, "default", seat="user:carol", stand_in="user:dave") == ""
    assert (await api.acting("user:dave").delete(f"/v1/me/deputies/{named['id']}")).status_code == 404
    await carol.delete(f"/v1/me/deputies/{named['id']}")


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": "user:carol"},
        {"to": "user:mallory"},
        {"ends": until(hours=-1)},
        {"ends": until(days=100)},
        {"ends": "2027-01-01T00:00:00"},
        {"begins": until(hours=5)},
    ],
    # Each worker process has its own clock, and all must find the same names.
    ids=("herself", "stranger", "past", "too long", "no zone", "after its end"),
)
async def test_a_deputy_that_does_not_fit(api: Api, wrong: dict[str, Any]) -> None:
    carol = await api.signed_in("user:carol")
    sent = {"to": "user:dave", "ends": until(hours=1), **wrong}
    assert (await carol.post("/v1/me/deputies", json=sent)).status_code == 422


async def test_a_token_names_no_deputy(api: Api) -> None:
    sent = {"to": "user:dave", "ends": until(hours=1)}
    assert (await api.acting("user:carol").post("/v1/me/deputies", json=sent)).status_code == 403


async def test_a_statement_that_somebody_else_signed_counts_for_nothing(api: Api, thief: Signer) -> None:
    """Whoever writes the accounts' database names deputies there; the workflow asks for the API's signature."""
    row, now = await waiting(api), datetime.now(UTC)
    ends = now + timedelta(hours=1)
    at = int(now.timestamp())
    claims = DeputyClaims(
        tenant="default", sub="user:carol", to="user:dave", iat=at, begins=at, exp=int(ends.timestamp())
    )
    api.held.accounts.deputies.add(
        "user:carol", "default", "user:dave", begins=now, ends=ends, reason="", statement=claims.signed(thief)
    )
    answer = await api.acting("user:dave").post(
        f"/v1/approvals/{row.request_id}/decisions", json=body(row, seat="user:carol")
    )
    assert answer.status_code == 403
