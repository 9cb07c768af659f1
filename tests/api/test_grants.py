"""Standing grants over HTTP: given on a card, bounded by the route, used, listed from signed statements, ended."""

from __future__ import annotations

from typing import Any

import pytest
from support.api import Api
from support.runtime import eventually

from interlock.audit import ApprovalRow

pytestmark = pytest.mark.temporal


async def waiting(api: Api, agent: str = "payer") -> ApprovalRow:
    return await api.runtime.approval(await api.runtime.start(agent, "go"))


def terms(row: ApprovalRow, **more: Any) -> dict[str, Any]:
    return {"call_digest": row.call_digest, "hours": 1, "uses": 2, "reason": "often", **more}


async def test_a_grant_is_given_used_and_ended(api: Api) -> None:
    row, carol = await waiting(api), api.acting("user:carol")
    given = await carol.post(f"/v1/approvals/{row.request_id}/grants", json=terms(row))
    assert given.status_code == 201, given.text
    grant = given.json()["id"]
    approve = {"call_digest": row.call_digest, "decision": {"type": "approve"}}
    assert (await carol.post(f"/v1/approvals/{row.request_id}/decisions", json=approve)).status_code == 200
    await api.runtime.client.wait(row.run)
    run = await api.runtime.start("payer", "go")
    assert (await api.runtime.client.wait(run)).status == "completed", "nobody was asked"
    shown = (await carol.get(f"/v1/grants/{grant}")).json()
    assert (shown["used"], shown["uses"], shown["exact"], shown["holds"], shown["by"]) == (
        1, 2, True, True, "user:carol",
    )  # fmt: skip
    assert grant in [one["id"] for one in (await carol.get("/v1/grants")).json()]
    ended = await carol.post(f"/v1/grants/{grant}/revocation", json={"reason": "enough"})
    assert ended.status_code == 200, ended.text
    assert (await carol.get(f"/v1/grants/{grant}")).json()["holds"] is False
    late = await api.acting("user:alice").post(f"/v1/grants/{grant}/revocation", json={"reason": "again"})
    assert (late.status_code, "user:carol" in late.json()["detail"]) == (409, True)
    assert (await waiting(api)).state == "pending", "the next one asks again"


@pytest.mark.parametrize(
    ("person", "more", "status"),
    [
        ("user:carol", {"uses": 4}, 403),
        ("user:carol", {"hours": 9}, 403),
        ("user:carol", {"when": [{"argument": "text", "nonsense": 1}]}, 422),
        ("user:carol", {"call_digest": "sha256:" + "0" * 64}, 409),
        ("user:carol", {"reason": ""}, 422),
        ("user:dave", {}, 403),
        ("user:alice", {}, 403),
    ],
    ids=str,
)
async def test_a_grant_is_no_wider_than_its_route(api: Api, person: str, more: dict[str, Any], status: int) -> None:
    row = await waiting(api)
    answer = await api.acting(person).post(f"/v1/approvals/{row.request_id}/grants", json=terms(row, **more))
    assert answer.status_code == status, answer.text


async def test_a_route_without_grants_gives_none(api: Api) -> None:
    row = await waiting(api, "sender")
    answer = await api.acting("user:carol").post(f"/v1/approvals/{row.request_id}/grants", json=terms(row))
    assert answer.status_code == 403


async def test_a_row_that_nobody_signed_is_not_shown(api: Api) -> None:
    row, carol = await waiting(api), api.acting("user:carol")
    grant = (await carol.post(f"/v1/approvals/{row.request_id}/grants", json=terms(row))).json()["id"]
    await eventually(lambda: [one for one in api.held.ledger.grants("default") if one.grant == grant])
    triggers = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'grants'"
    with api.runtime.ledger._store.write() as connection:
        guards = connection.exec_driver_sql(triggers).all()
        for name, _ in guards:
            connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        connection.exec_driver_sql("UPDATE grants SET token = 'x.y.z' WHERE grant_id = ?", (grant,))
        for _, made in guards:
            connection.exec_driver_sql(made)
    assert (await carol.get(f"/v1/grants/{grant}")).status_code == 404
    assert grant not in (await carol.get("/v1/grants")).text
