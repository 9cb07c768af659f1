"""Who may hand work on to whom: said in an agent's file, checked by name, pinned, shown to its model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.bare import manifest_of

from interlock.definitions import agent
from interlock.errors import InvalidInput
from interlock.graph import Services
from interlock.graph.binding import bind
from interlock.project import check
from interlock.run.arguments import normalise
from interlock.run.catalogue import Scope, hand_off_meant, load_manifest
from interlock.run.contracts import HAND_OFF_TOOL
from interlock.scratch import ScratchBlobs
from interlock.settings import Settings

Change = Callable[[str, str, str], Path]


def lines(root: Path) -> list[str]:
    return [str(problem) for problem in check(root)]


def test_unknown_receiver_is_named(change: Change) -> None:
    root = change("agents/reader.py", 'tools=["look"],', 'tools=["look"],\n    hand_off=["raeder"],')
    assert lines(root) == ["agents/reader.py:7: unknown agent 'raeder' in hand_off (did you mean 'reader'?)"]


def test_playbook_hands_on_to_receivers_only(change: Change) -> None:
    root = change("agents/reader.py", 'tools=["look"],', 'tools=["look"],\n    hand_off=["reader"],')
    playbook = root / "agents" / "reader.playbook.yaml"
    playbook.write_text(playbook.read_text().replace("tool: look", "tool: hand_off_to_reader"))
    assert lines(root) == []
    playbook.write_text(playbook.read_text().replace("hand_off_to_reader", "hand_off_to_writer"))
    assert "this agent has no tool 'hand_off_to_writer'" in lines(root)[0]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"hand_off": ["b", "b"]}, "an agent is named twice"),
        ({"hand_off": ["b"], "tools": ["hand_off_to_b"]}, "is a tool and the name under which it hands work on"),
    ],
)
def test_ambiguous_definition_is_refused(more: dict[str, list[str]], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        agent("a", prompt="x", **more)


@pytest.fixture
def blobs() -> ScratchBlobs:
    return ScratchBlobs()


@pytest.fixture
def manifest(blobs: ScratchBlobs) -> str:
    """The blob of a manifest with an agent that may hand work on to itself and to another."""
    planner = agent("planner", prompt="x", tools=["look"], hand_off=["planner", "researcher"])
    return manifest_of(planner, blobs, [])


def test_model_sees_a_function_for_each_receiver(blobs: ScratchBlobs, manifest: str) -> None:
    binding = bind(Services(blobs, Settings.model_construct()), "planner", manifest)
    functions = {one["function"]["name"]: one["function"] for one in binding.tools}
    assert list(functions) == ["look", "hand_off_to_planner", "hand_off_to_researcher"]
    assert functions["hand_off_to_researcher"]["parameters"]["required"] == ["task"]
    assert set(binding.schemas) == set(functions)


def test_function_means_a_hand_off(blobs: ScratchBlobs, manifest: str) -> None:
    found = load_manifest(blobs, manifest)
    assert hand_off_meant(found, "planner", "hand_off_to_researcher") == (HAND_OFF_TOOL, {"agent": "researcher"})
    for name in ("look", "hand_off_to_writer", "hand_off_to_", "researcher"):
        assert hand_off_meant(found, "planner", name) == (name, {})


def test_hand_off_takes_receivers_only(blobs: ScratchBlobs, manifest: str) -> None:
    entry = Scope(load_manifest(blobs, manifest), ("planner",)).tool("planner", HAND_OFF_TOOL)
    parameters = entry.schema_.parameters
    assert normalise(parameters, {"agent": "researcher", "task": {"find": 1}})["agent"] == "researcher"
    with pytest.raises(InvalidInput, match="'writer' is not one of"):
        normalise(parameters, {"agent": "writer", "task": "x"})


def test_agent_without_receivers_hands_on_nothing(blobs: ScratchBlobs) -> None:
    lonely = load_manifest(blobs, manifest_of(agent("lonely", prompt="x"), blobs, []))
    with pytest.raises(InvalidInput, match="hands work on to nobody"):
        Scope(lonely, ("lonely",)).tool("lonely", HAND_OFF_TOOL)
