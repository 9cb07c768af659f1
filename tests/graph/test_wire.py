"""Real providers' clients against a server that speaks their protocol: the same agent, governed the same."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.provider import Provider, anthropic_reply, error_reply, openai_reply, provider
from support.runtime import Runtime, running, settings_for
from support.small import small_project

from interlock.events import CallRefused, ModelResponded
from interlock.run.contracts import RunOutcome


@asynccontextmanager
async def _on(tmp_path: Path, temporal: str, model: str, served: Provider) -> AsyncIterator[Runtime]:
    root = small_project(tmp_path / "project", [])
    suffix = "/v1" if model.startswith("openai") else ""
    name = "wire-" + tmp_path.name.replace("_", "-")[-40:]
    settings = settings_for(root, temporal, name=name, model=model, model_base_url=served.url + suffix)
    async with running(settings) as runtime:
        yield runtime


async def _run(runtime: Runtime) -> tuple[str, RunOutcome]:
    run = await runtime.start("tester", "note something")
    return run, await runtime.client.wait(run)


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")


async def test_openai_agent_runs_governed(tmp_path: Path, temporal_address: str) -> None:
    calls = [("id1", "note", '{"text": "hello"}'), ("id2", "note", '{"text": "a secret"}')]
    with provider(openai_reply("", *calls), openai_reply("All noted.")) as served:
        async with _on(tmp_path, temporal_address, "openai:test-model", served) as runtime:
            run, outcome = await _run(runtime)
            assert (outcome.status, runtime.text(outcome.result)) == ("completed", "All noted.")
            refused = [e for e in runtime.ledger.events(run) if isinstance(e, CallRefused)]
            replies = [e for e in runtime.ledger.events(run) if isinstance(e, ModelResponded)]
    first, second = served.requests
    assert (first["path"], first["model"]) == ("/v1/chat/completions", "test-model")
    assert served.headers[0]["authorization"] == "Bearer sk-test"
    assert first["messages"][0] == {"role": "system", "content": "Test."}
    offered = {tool["function"]["name"]: tool["function"]["parameters"] for tool in first["tools"]}
    assert offered["note"]["properties"]["text"]["type"] == "string"
    results = {m["tool_call_id"]: m["content"] for m in second["messages"] if m["role"] == "tool"}
    assert results["id1"] == "noted hello"
    assert "no_secrets" in results["id2"]
    assert [event.by for event in refused] == ["policy"]
    assert [(e.model, e.input_tokens, e.output_tokens) for e in replies] == [("openai:test-model", 11, 7)] * 2


async def test_anthropic_agent_runs_governed(tmp_path: Path, temporal_address: str) -> None:
    use = anthropic_reply("Noting.", ("id1", "note", {"text": "hello"}), ("id2", "note", {"text": "a secret"}))
    with provider(use, anthropic_reply("All noted.")) as served:
        async with _on(tmp_path, temporal_address, "anthropic:test-model", served) as runtime:
            run, outcome = await _run(runtime)
            assert (outcome.status, runtime.text(outcome.result)) == ("completed", "All noted.")
            replies = [e for e in runtime.ledger.events(run) if isinstance(e, ModelResponded)]
    first, second = served.requests
    assert (first["path"], first["model"]) == ("/v1/messages", "test-model")
    assert "sk-ant-test" in served.headers[0].get("x-api-key", served.headers[0].get("authorization", ""))
    assert "Test." in json.dumps(first["system"])
    assert {tool["name"] for tool in first["tools"]} == {"note", "save", "send", "charge"}
    results: dict[str, Any] = {
        block["tool_use_id"]: json.dumps(block["content"])
        for message in second["messages"]
        for block in message["content"]
        if isinstance(block, dict) and block.get("type") == "tool_result"
    }
    assert "noted hello" in results["id1"]
    assert "no_secrets" in results["id2"]
    assert [(e.input_tokens, e.output_tokens) for e in replies] == [(13, 5)] * 2


async def test_malformed_calls_come_back_as_errors(tmp_path: Path, temporal_address: str) -> None:
    calls = [
        ("id1", "note", '{"text": "unfinished'),
        ("id2", "ntoe", '{"text": "x"}'),
        ("id3", "note", '{"text": 0.5}'),
        ("id4", "note", "{}"),
        ("id4", "note", '{"text": "same id"}'),
        ("", "note", '{"text": "no id"}'),
        ("id7", "note", '{"text": "x", "more": 1}'),
    ]
    with provider(openai_reply("", *calls), openai_reply("Sorry.")) as served:
        async with _on(tmp_path, temporal_address, "openai:test-model", served) as runtime:
            run, outcome = await _run(runtime)
            assert outcome.status == "completed"
            finished = runtime.kinds(run).count("call.finished")
    results = [m for m in served.requests[1]["messages"] if m["role"] == "tool"]
    texts = {m["tool_call_id"]: m["content"] for m in results}
    assert len(results) == len(texts) == len(calls)
    assert "not a JSON object" in texts["id1"]
    assert "did you mean 'note'" in texts["id2"]
    assert "decimal" in texts["id3"]
    assert "text" in texts["id4"]
    assert "required" in texts["id4"]
    assert "more" in texts["id7"]
    assert sum("noted" in text for text in texts.values()) == finished == 2


async def test_wrong_key_fails_run_clearly(tmp_path: Path, temporal_address: str) -> None:
    with provider(error_reply(401)) as served:
        async with _on(tmp_path, temporal_address, "openai:test-model", served) as runtime:
            _, outcome = await _run(runtime)
    assert outcome.status == "failed"
    assert "OPENAI_API_KEY" in outcome.detail
    assert len(served.requests) == 1


async def test_rate_limited_model_is_asked_again(tmp_path: Path, temporal_address: str) -> None:
    with provider(error_reply(429, retry_after="1"), error_reply(503), openai_reply("At last.")) as served:
        async with _on(tmp_path, temporal_address, "openai:test-model", served) as runtime:
            _, outcome = await _run(runtime)
            assert (outcome.status, runtime.text(outcome.result)) == ("completed", "At last.")
    assert len(served.requests) == 3


async def test_missing_key_says_what_to_set(
    tmp_path: Path, temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with provider(anthropic_reply("never")) as served:
        async with _on(tmp_path, temporal_address, "anthropic:test-model", served) as runtime:
            _, outcome = await _run(runtime)
    assert outcome.status == "failed"
    assert "ANTHROPIC_API_KEY is not set" in outcome.detail
    assert not served.requests


async def test_unknown_model_fails_run_clearly(tmp_path: Path, temporal_address: str) -> None:
    with provider(openai_reply("never")) as served:
        async with _on(tmp_path, temporal_address, "nobody:test-model", served) as runtime:
            _, outcome = await _run(runtime)
    assert outcome.status == "failed"
    assert "openai:NAME" in outcome.detail
