"""Deciding over HTTP: what is shown, in which words one decides, what is bound to what, and who was first."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.api import Api
from support.runtime import eventually

from interlock.api.decisions import Decide, meant
from interlock.audit import ApprovalRow
from interlock.digest import parse

pytestmark = pytest.mark.temporal
ZERO = "sha256:" + "0" * 64


async def waiting(api: Api, agent: str = "sender") -> ApprovalRow:
    return await api.runtime.approval(await api.runtime.start(agent, None if agent == "asks" else "go"))


def place(row: ApprovalRow) -> str:
    return f"/v1/approvals/{row.request_id}"


def body(row: ApprovalRow, type_: str = "approve", **more: Any) -> dict[str, Any]:
    return {"call_digest": row.call_digest, "decision": {"type": type_, **more}}


async def became(api: Api, row: ApprovalRow) -> Any:
    """The request once it is closed on record."""
    return await eventually(
        lambda: found if (found := api.held.ledger.approval(row.request_id)).state != "pending" else None
    )


async def test_a_card_is_all_that_one_decides_on(api: Api) -> None:
    row = await waiting(api)
    card = (await api.acting("user:carol").get(place(row))).json()
    assert card["call_digest"] == row.call_digest
    assert card["arguments"] == {"text": "hello"}
    assert card["requester"] == "user:alice"
    assert card["decisions"] == ["approve", "edit", "reject"]
    assert "Z" in card["expires_at"] or "+00:00" in card["expires_at"]
    listed = (await api.acting("user:carol").get("/v1/approvals", params={"run": row.run})).json()
    assert [one["request_id"] for one in listed["approvals"]] == [row.request_id]
    assert "call_digest" not in listed["approvals"][0], "a list is not verified, so nobody decides by one"


async def test_mine_are_those_on_which_i_may_decide(api: Api) -> None:
    row = await waiting(api)
    for person, sees in (("user:carol", True), ("user:alice", False)):
        answer = await api.acting(person).get("/v1/approvals", params={"run": row.run, "mine": True})
        assert bool(answer.json()["approvals"]) is sees


async def test_an_approval_lets_the_call_run(api: Api) -> None:
    row = await waiting(api)
    answer = await api.acting("user:carol").post(f"{place(row)}/decisions", json=body(row))
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "request_id": row.request_id,
        "call_id": row.call_id,
        "verdict": "approve",
        "state": "approved",
        "closes": True,
    }
    assert (await api.runtime.client.wait(row.run)).status == "completed"
    assert (await became(api, row)).decided_by == "user:carol"


WORDS: list[tuple[str, dict[str, Any], str, str]] = [
    ("sender", {"type": "approve"}, "approve", ""),
    ("sender", {"type": "accept", "args": None}, "approve", ""),
    ("sender", {"type": "edit", "edited_action": {"name": "send", "args": {"text": "bye"}}}, "edit", ""),
    ("sender", {"type": "edit", "args": {"action": "send", "args": {"text": "bye"}}}, "edit", ""),
    ("sender", {"type": "reject", "message": "not now"}, "reject", "not now"),
    ("sender", {"type": "ignore", "args": None}, "reject", "gave no reason"),
    ("sender", {"type": "response", "args": "say it politely"}, "reject", "say it politely"),
    ("asks", {"type": "respond", "message": "the first"}, "respond", "the first"),
    ("asks", {"type": "response", "args": "the first"}, "respond", "the first"),
]


@pytest.mark.parametrize(("agent", "decision", "verdict", "message"), WORDS, ids=str)
async def test_both_vocabularies_are_stored_as_one(
    api: Api, agent: str, decision: dict[str, Any], verdict: str, message: str
) -> None:
    row = await waiting(api, agent)
    sent = {"call_digest": row.call_digest, "decision": decision}
    answer = await api.acting("user:carol").post(f"{place(row)}/decisions", json=sent)
    assert answer.status_code == 200, answer.text
    assert answer.json()["verdict"] == verdict
    found = await became(api, row)
    assert found.votes[-1].verdict == verdict
    assert message in found.votes[-1].message
    if verdict == "edit":
        assert parse(api.held.blobs.of(row.run).get(found.votes[-1].edited)) == {"text": "bye"}
    await api.runtime.client.control(row.run, "cancel", by="user:alice") if verdict == "edit" else None


@pytest.mark.parametrize(
    "decision",
    [
        {"type": "edit"},
        {"type": "edit", "edited_action": {"name": "note", "args": {"text": "x"}}},
        {"type": "edit", "edited_action": {"name": "send", "args": {"txt": "x"}}},
        {"type": "edit", "edited_action": {"name": "send", "args": {"text": 1}}},
        {"type": "reject"},
        {"type": "reject", "message": "   "},
        {"type": "approve", "message": "x"},
        {"type": "allow"},
        {},
        [],
        "approve",
    ],
    ids=str,
)
async def test_a_decision_that_does_not_fit_changes_nothing(api: Api, decision: Any) -> None:
    row = await open_one(api)
    sent = {"call_digest": row.call_digest, "decision": decision}
    answer = await api.acting("user:carol").post(f"{place(row)}/decisions", json=sent)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await api.runtime.client.state(row.run)).status == "waiting"


_open: dict[int, ApprovalRow] = {}


async def open_one(api: Api) -> ApprovalRow:
    """One request on which no test decides."""
    if id(api) not in _open:
        _open[id(api)] = await waiting(api)
    return _open[id(api)]


async def test_a_decision_is_on_the_call_that_was_shown(api: Api) -> None:
    row = await open_one(api)
    for digest in (ZERO, (await waiting(api)).call_digest):
        sent = {"call_digest": digest, "decision": {"type": "approve"}}
        answer = await api.acting("user:carol").post(f"{place(row)}/decisions", json=sent)
        assert answer.status_code == 409
        assert "another call" in answer.json()["detail"]


async def test_the_requester_does_not_decide(api: Api) -> None:
    row = await open_one(api)
    answer = await api.acting("user:alice").post(f"{place(row)}/decisions", json=body(row))
    assert answer.status_code == 403
    assert "user:alice" in answer.json()["detail"]
    for seat in ("user:alice", "user:carol"):
        sent = {**body(row), "seat": seat}
        assert (await api.acting("user:alice").post(f"{place(row)}/decisions", json=sent)).status_code == 403
    alone = {**body(row), "emergency": True}
    assert (await api.acting("user:carol").post(f"{place(row)}/decisions", json=alone)).status_code in (403, 422)


async def test_who_was_first_is_said(api: Api) -> None:
    row = await waiting(api)
    first = await api.acting("user:carol").post(f"{place(row)}/decisions", json=body(row, "reject", message="no"))
    assert first.status_code == 200
    for _ in range(2):  # at once, from the workflow; later, from the record
        late = await api.acting("user:dave").post(f"{place(row)}/decisions", json=body(row))
        assert late.status_code == 409
        assert late.json()["type"] == "urn:interlock:problem:conflict"
        assert "user:carol" in late.json()["detail"]
        assert "20" in late.json()["detail"], "when"
        await became(api, row)
    closed = (await api.acting("user:dave").get(place(row))).json()
    assert (closed["state"], closed["decisions"]) == ("rejected", [])


async def test_two_must_approve(api: Api) -> None:
    row = await waiting(api, "signer")
    first = await api.acting("user:carol").post(f"{place(row)}/decisions", json=body(row))
    assert (first.json()["closes"], first.json()["state"]) == (False, "pending")
    again = await api.acting("user:carol").post(f"{place(row)}/decisions", json=body(row))
    assert again.status_code == 409, "one person counts once"
    second = await api.acting("user:dave").post(f"{place(row)}/decisions", json=body(row))
    assert (second.json()["closes"], second.json()["state"]) == (True, "approved")
    assert (await api.runtime.client.wait(row.run)).status == "completed"


async def test_a_key_makes_a_repeat_harmless(api: Api) -> None:
    row = await waiting(api)
    client, headers = api.acting("user:carol"), {"idempotency-key": "decision-1"}
    first = await client.post(f"{place(row)}/decisions", json=body(row), headers=headers)
    again = await client.post(f"{place(row)}/decisions", json=body(row), headers=headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = await client.post(f"{place(row)}/decisions", json=body(row, "reject", message="x"), headers=headers)
    assert other.status_code == 422
    assert "another request" in other.json()["detail"]
    dave = await api.acting("user:dave").post(f"{place(row)}/decisions", json=body(row), headers=headers)
    assert dave.status_code == 409, "a key is its sender's, and gives nobody another one's answer"


async def test_a_failed_request_keeps_its_key(api: Api) -> None:
    row = await waiting(api)
    client, headers = api.acting("user:carol"), {"idempotency-key": "decision-2"}
    sent = body(row, "reject", message="")
    assert (await client.post(f"{place(row)}/decisions", json=sent, headers=headers)).status_code == 422
    sent = body(row, "reject", message="a reason")
    assert (await client.post(f"{place(row)}/decisions", json=sent, headers=headers)).status_code == 200


async def test_etags(api: Api) -> None:
    row = await waiting(api, "signer")
    client = api.acting("user:carol")
    read = await client.get(place(row))
    tag = read.headers["etag"]
    same = await client.get(place(row), headers={"if-none-match": tag})
    assert (same.status_code, same.content) == (304, b"")
    dave = api.acting("user:dave")
    assert (await dave.post(f"{place(row)}/decisions", json=body(row))).status_code == 200
    await eventually(lambda: api.held.ledger.approval(row.request_id).votes)
    changed = await client.post(f"{place(row)}/decisions", json=body(row), headers={"if-match": tag})
    assert changed.status_code == 412, "somebody decided since it was read"
    fresh = (await client.get(place(row))).headers["etag"]
    assert fresh != tag
    done = await client.post(f"{place(row)}/decisions", json=body(row), headers={"if-match": f'"x", {fresh}'})
    assert done.status_code == 200
    listed = await client.get("/v1/policies")
    unchanged = await client.get("/v1/policies", headers={"if-none-match": listed.headers["etag"]})
    assert unchanged.status_code == 304


async def test_the_requester_withdraws(api: Api) -> None:
    row = await waiting(api)
    theirs = await api.acting("user:carol").post(f"{place(row)}/withdrawal", json={"reason": "x"})
    assert theirs.status_code == 403
    own = await api.acting("user:alice").post(f"{place(row)}/withdrawal", json={"reason": "not needed"})
    assert (own.status_code, own.json()["state"]) == (200, "withdrawn"), own.text
    late = await api.acting("user:carol").post(f"{place(row)}/decisions", json=body(row))
    assert late.status_code == 409


async def test_nobody_hands_on_a_decision_to_just_anybody(api: Api) -> None:
    row = await open_one(api)
    sent = {"to": "user:alice", "reason": "you do it"}
    answer = await api.acting("user:carol").post(f"{place(row)}/reassignment", json=sent)
    assert answer.status_code == 403


async def test_of_two_hundred_one_wins(api: Api) -> None:
    """200 decisions on one request at once, by two people: one is taken, the others are told who was first."""
    row = await waiting(api)
    clients = [api.acting("user:carol"), api.acting("user:dave")]

    async def one(number: int) -> Any:
        sent = body(row) if number % 3 else body(row, "reject", message=f"no {number}")
        return await clients[number % 2].post(f"{place(row)}/decisions", json=sent)

    answers = await asyncio.gather(*(one(number) for number in range(200)))
    codes = [answer.status_code for answer in answers]
    assert (codes.count(200), codes.count(409)) == (1, 199)
    winner = next(answer for answer in answers if answer.status_code == 200).json()
    found = await became(api, row)
    assert len(found.votes) == 1
    assert found.votes[0].verdict == winner["verdict"]
    assert all(
        found.votes[0].approver in answer.json()["detail"] for answer in answers if answer.status_code == 409
    )
    await api.runtime.client.wait(row.run)
    kinds = api.runtime.kinds(row.run)
    assert kinds.count("approval.decided") == 1


async def test_a_forged_read_model_is_not_shown(api: Api) -> None:
    """Whoever writes the ledger's database may name other approvers there: the card is refused."""
    row, forge = await waiting(api), "UPDATE approvals SET approvers = ? WHERE request_id = ?"
    (before,) = stored(api, "SELECT approvers FROM approvals WHERE request_id = ?", row.request_id)
    stored(api, forge, '["user:alice"]', row.request_id)
    answer = await api.acting("user:carol").get(place(row))
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:interlock:problem:record-does-not-hold"
    assert "do not approve" in answer.json()["next_step"]
    own = await api.acting("user:alice").post(f"{place(row)}/decisions", json=body(row))
    assert own.status_code == 403, "the workflow knows better"
    stored(api, forge, before, row.request_id)


def stored(api: Api, statement: str, *values: str) -> tuple[str, ...]:
    with api.runtime.ledger._store.write() as connection:
        done = connection.exec_driver_sql(statement, values)
        return tuple(done.one()) if done.returns_rows else ()


def test_a_response_to_a_call_is_a_rejection_that_the_agent_reads() -> None:
    sent = {"call_digest": ZERO, "decision": {"type": "response", "args": "ask again"}}
    found = meant(Decide.model_validate(sent).decision, kind="call", tool="send")
    assert (found.verdict, found.message) == ("reject", "ask again")
