"""Runs over HTTP: starting one, twice by mistake, reading, steering, and its record."""

from __future__ import annotations

from typing import Any

import pytest
from support.api import Api

from interlock.events import EVENT, check_chain
from interlock.run.catalogue import load_manifest

pytestmark = pytest.mark.temporal


async def started(api: Api, name: str = "noter", **more: Any) -> str:
    answer = await api.acting("user:alice").post("/v1/runs", json={"name": name, "input": "go", **more})
    assert answer.status_code == 201, answer.text
    run = str(answer.json()["run"])
    assert answer.headers["location"] == f"/v1/runs/{run}"
    return run


async def test_a_run_is_its_starters(api: Api) -> None:
    run = await started(api)
    assert (await api.runtime.client.wait(run)).status == "completed"
    row = (await api.acting("user:carol").get(f"/v1/runs/{run}")).json()
    assert (row["requester"], row["status"], row["parent"], row["children"]) == ("user:alice", "completed", "", [])
    verdict = await api.runtime.verdict(run)
    assert verdict.verified, verdict.differences


async def test_a_run_starts_from_files(api: Api) -> None:
    files = {"a/b.txt": "text", "c.txt": ""}
    run = await started(api, files=files)
    await api.runtime.client.wait(run)
    (first, *_) = api.held.ledger.events(run)
    tree = api.held.blobs.of(run).get(first.workspace)
    assert b"a/b.txt" in tree
    assert b"c.txt" in tree


@pytest.mark.parametrize(
    "body",
    [
        {"name": "nobody"},
        {"name": "noter", "input": "go", "files": {"../x": "y"}},
        {"name": "noter", "input": "go", "files": {"/etc/passwd": "y"}},
        {"name": "noter", "input": "go", "files": {"a": "1", "a/b": "2"}},
        {"name": "noter", "input": "go", "run": "../x"},
        {"name": "noter", "input": "go", "requester": "user:carol"},
        {"name": "noter", "input": 1e400},
        {"input": "go"},
        [],
    ],
    ids=str,
)
async def test_what_does_not_fit_starts_nothing(api: Api, body: Any) -> None:
    import json

    headers = {"content-type": "application/json"}
    answer = await api.acting("user:alice").post("/v1/runs", content=json.dumps(body), headers=headers)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]


async def test_a_key_starts_one_run(api: Api) -> None:
    client, headers = api.acting("user:alice"), {"idempotency-key": "start-1"}
    body = {"name": "noter", "input": "go"}
    first = await client.post("/v1/runs", json=body, headers=headers)
    again = await client.post("/v1/runs", json=body, headers=headers)
    assert first.json() == again.json()
    assert again.status_code == 201
    with api.held.accounts.store.write() as connection:
        connection.exec_driver_sql("DELETE FROM answers")  # the server died before it could keep its answer
    repeated = await client.post("/v1/runs", json=body, headers=headers)
    assert repeated.json() == first.json(), "the run is named by the key, so that it is not started again"
    runs = (await client.get("/v1/runs", params={"text": first.json()["run"]})).json()["runs"]
    assert len(runs) <= 1


async def test_an_id_is_used_once(api: Api) -> None:
    run = await started(api, run="api-one-1")
    again = await api.acting("user:alice").post("/v1/runs", json={"name": "noter", "input": "go", "run": run})
    assert again.status_code == 409


async def test_pages(api: Api) -> None:
    for _ in range(3):
        await api.runtime.client.wait(await started(api))
    client, found, cursor = api.acting("user:alice"), [], ""
    while True:
        page = (await client.get("/v1/runs", params={"limit": 2, "cursor": cursor, "status": "completed"})).json()
        found += [run["run"] for run in page["runs"]]
        if not (cursor := page["next"]):
            break
    assert len(found) == len(set(found))
    assert len(found) >= 3
    wrong = await client.get("/v1/runs", params={"cursor": "nonsense"})
    assert wrong.status_code == 422


async def test_steering(api: Api) -> None:
    run = (await api.runtime.approval(await started(api, "sender"))).run
    client = api.acting("user:alice")
    paused = await client.post(f"/v1/runs/{run}/control", json={"verb": "pause", "reason": "wait"})
    assert (paused.status_code, paused.json()["status"]) == (200, "paused")
    assert (await client.post(f"/v1/runs/{run}/control", json={"verb": "pause"})).status_code == 409
    assert (await client.post(f"/v1/runs/{run}/control", json={"verb": "resume"})).status_code == 200
    assert (await client.post(f"/v1/runs/{run}/control", json={"verb": "cancel"})).status_code == 200
    await api.runtime.client.wait(run)
    late = await client.post(f"/v1/runs/{run}/control", json={"verb": "cancel"})
    assert late.status_code == 409
    assert (await client.post(f"/v1/runs/{run}/control", json={"verb": "destroy"})).status_code == 422


async def test_the_record(api: Api) -> None:
    run = await started(api)
    await api.runtime.client.wait(run)
    client = api.acting("user:carol")
    page = (await client.get(f"/v1/runs/{run}/events")).json()
    assert [event["seq"] for event in page["events"]] == list(range(len(page["events"])))
    assert page["next"] == -1
    after = (await client.get(f"/v1/runs/{run}/events", params={"after": 1})).json()
    assert after["events"] == page["events"][2:]
    lines = (await client.get(f"/v1/runs/{run}/record")).content.splitlines()
    check_chain([EVENT.validate_json(line) for line in lines], run=run)
    audit = api.acting("user:carol")
    verified = (await audit.post(f"/v1/audit/runs/{run}/verification")).json()
    assert (verified["ok"], verified["findings"]) == (True, [])
    (last,) = (await audit.get(f"/v1/audit/runs/{run}/checkpoints")).json()
    assert last["head"] == verified["head"]


async def test_a_record_that_does_not_hold(api: Api) -> None:
    run = await started(api)
    await api.runtime.client.wait(run)
    with api.runtime.ledger._store.write() as connection:
        connection.exec_driver_sql("UPDATE runs SET requester = 'user:mallory' WHERE run = ?", (run,))
    found = (await api.acting("user:carol").post(f"/v1/audit/runs/{run}/verification")).json()
    assert not found["ok"]
    assert any("requester" in one["field"] or "requester" in one["message"] for one in found["findings"])


async def test_agents_and_tools_are_those_that_a_run_would_have(api: Api) -> None:
    client = api.acting("user:alice")
    agents = (await client.get("/v1/agents")).json()
    tools = (await client.get("/v1/tools")).json()
    manifest = load_manifest(api.held.blobs, agents["manifest"])
    assert {one["name"] for one in agents["agents"]} == set(manifest.agents)
    assert {one["name"]: one["source"] for one in tools["tools"]} == {
        name: entry.source for name, entry in manifest.tools.items()
    }
    assert (await client.get("/v1/agents/sender")).json()["tools"] == list(manifest.agents["sender"].tools)
    assert (await client.get("/v1/tools/send")).json()["action"] == "publish"
    assert (await client.get("/v1/agents/nobody")).status_code == 404
    assert (await client.get("/v1/tools/nothing")).status_code == 404


async def test_policies(api: Api) -> None:
    client = api.acting("user:alice")
    known = (await client.get("/v1/policies")).json()
    assert known["in_force"] in [one["digest"] for one in known["bundles"]]
    one = (await client.get(f"/v1/policies/{known['in_force']}")).json()
    assert {"asks_send", "people"} <= {rule["id"] for rule in one["rules"]}
    assert (await client.get("/v1/policies/sha256:" + "0" * 64)).status_code == 404
    call = {"agent": "sender", "requester": "user:alice", "tool": "send", "arguments": {"text": "x"}}
    found = (await client.post("/v1/policies/explanations", json=call)).json()
    assert found["explanation"]["decision"]["verdict"] == "ask"
    assert found["explanation"]["deciding"]["rule"] == "asks_send"
    for wrong in ({"requester": "user:mallory"}, {"agent": "nobody"}, {"tool": "nothing"}, {"arguments": {"y": 1}}):
        assert (await client.post("/v1/policies/explanations", json={**call, **wrong})).status_code == 422
