"""The standard loop: flat history, one transcript, and models that write what cannot be used."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from support.provider import openai_reply, provider

from interlock.definitions import agent
from interlock.digest import parse
from interlock.graph import resolve_model
from interlock.graph.reader import Reader
from interlock.graph.transcript import load
from interlock.settings import Settings

pytestmark = pytest.mark.temporal

FIXER = agent("team", prompt="Be brief.", tools=["look", "forbidden", "silent"])


def turns(count: int) -> list[dict[str, Any]]:
    """A playbook of `count` calls and an answer."""
    look = {"say": "I look once more.", "calls": [{"tool": "look", "arguments": {"path": "a/b.py"}}]}
    return [look] * count + [{"say": "done"}]


def transcript(ran: Any) -> list[Any]:
    """The messages of a run."""
    reader = Reader(ran.blobs)
    return load(ran.outcome.transcript, reader.link, reader.read)


async def test_history_a_step_stays_flat(drive_graph: Any) -> None:
    sizes = {}
    for count in (10, 50):
        ran = await drive_graph(FIXER, playbook=turns(count), cached=100, again=False)
        assert ran.outcome.steps == count + 1
        sizes[count] = sum(event.ByteSize() for event in ran.history.events) / (count + 1)
    assert sizes[50] / sizes[10] < 1.1, sizes


async def test_history_holds_no_message(drive_graph: Any) -> None:
    ran = await drive_graph(FIXER, "a task of words", playbook=turns(3))
    later = ran.history.events[len(ran.history.events) // 2 :]
    text = b"".join(event.SerializeToString() for event in later)
    assert b"I look once more" not in text
    assert b"a/b.py" not in text
    assert b"Be brief" not in text


async def test_transcript_links_every_message(drive_graph: Any) -> None:
    ran = await drive_graph(FIXER, {"issue": 7, "text": "ü"}, playbook=turns(1))
    said = transcript(ran)
    assert [type(message) for message in said] == [HumanMessage, AIMessage, ToolMessage, AIMessage]
    assert said[0].text == '{"issue":7,"text":"ü"}'
    assert (said[2].text, said[3].text, ran.text) == ("look answered", "done", "done")
    first, second = ran.seen["replies"]
    assert (first["before"], second["before"]) == ("", first["head"])
    assert parse(ran.blobs.get(first["head"]))["prev"] == ""
    assert parse(ran.blobs.get(second["head"]))["prev"] == first["head"]
    assert second["head"] == ran.outcome.transcript


async def test_results_answer_calls_by_id(drive_graph: Any) -> None:
    """This gate answers backwards, and one call not at all."""
    calls = [{"tool": "look"}, {"tool": "silent"}, {"tool": "forbidden"}]
    ran = await drive_graph(FIXER, playbook=[{"say": "a", "calls": calls}, {"say": "done"}])
    reply, *results = transcript(ran)[1:5]
    assert [m.tool_call_id for m in results] == [call["id"] for call in reply.tool_calls]
    assert [m.text for m in results] == ["look answered", "There is no result for this call.", "forbidden answered"]


async def test_scripted_model_reads_how_calls_went(drive_graph: Any) -> None:
    playbook = [
        {"say": "a", "calls": [{"tool": "forbidden"}]},
        {"when": "ok", "say": "went well"},
        {"when": "refused", "say": "b", "calls": [{"tool": "look", "arguments": "{broken"}]},
        {"when": "error", "say": "stopping"},
    ]
    ran = await drive_graph(FIXER, playbook=playbook)
    assert ran.text == "stopping"
    assert ["error" in call for call in ran.seen["calls"]] == [False, True]


async def test_exhausted_playbook_says_so(drive_graph: Any) -> None:
    ran = await drive_graph(FIXER, playbook=[{"say": "a", "calls": [{"tool": "look"}]}])
    assert ran.outcome.status == "completed"
    assert "no turn left in agents/team.playbook.yaml" in ran.text


async def test_wrong_playbook_fails_agent_clearly(drive_graph: Any) -> None:
    ran = await drive_graph(FIXER, playbook=[{"say": "a"}, {"says": "b"}])
    assert ran.outcome.status == "failed"
    assert "agents/team.playbook.yaml: turn 2: says" in ran.outcome.detail


async def _on_provider(drive_graph: Any, monkeypatch: pytest.MonkeyPatch, *answers: Any) -> tuple[Any, Any]:
    """Drive FIXER on an OpenAI model that gives these answers."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with provider(*answers) as served:

        def resolve(spec: str, settings: Settings, *rest: Any) -> Any:
            wired = Settings.model_construct(model_base_url=served.url + "/v1")
            return resolve_model("openai:m", wired, *rest)

        ran = await drive_graph(FIXER, resolve=resolve)
    return ran, served


@pytest.mark.parametrize("arguments", ["[1, 2]", '"text"', "5"])
async def test_arguments_that_are_no_object_come_back(
    drive_graph: Any, monkeypatch: pytest.MonkeyPatch, arguments: str
) -> None:
    bad, good = openai_reply("", ("id1", "look", arguments)), openai_reply("Sorry.")
    ran, served = await _on_provider(drive_graph, monkeypatch, bad, good)
    assert (ran.outcome.status, ran.text) == ("completed", "Sorry.")
    assert "Write the arguments of each call as one JSON object" in served.requests[1]["messages"][-1]["content"]
    assert ran.seen["calls"] == []
    assert "could not be read" in transcript(ran)[1].text


async def test_model_that_never_writes_an_object_fails(drive_graph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ran, served = await _on_provider(drive_graph, monkeypatch, openai_reply("", ("id1", "look", "[1]")))
    assert ran.outcome.status == "failed"
    assert "3 replies in a row could not be read" in ran.outcome.detail
    assert len(served.requests) == 3
