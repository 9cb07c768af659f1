"""The values of graphs without a server: arguments, messages, transcripts, playbooks, errors in words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage
from langgraph.types import Command, Overwrite, Send
from pydantic import BaseModel
from support.bare import manifest_of

from interlock.definitions import agent
from interlock.digest import canonical
from interlock.errors import IntegrityError, InvalidInput, Refused
from interlock.graph import CallResult, ProposedCall, read_playbook, resolve_model
from interlock.graph.arguments import read_arguments
from interlock.graph.failures import MAX_DELAY, explained
from interlock.graph.messages import dump, revive, type_key
from interlock.graph.plain import from_plain, to_plain
from interlock.graph.proposals import from_wire, proposals, to_wire, with_call_ids
from interlock.graph.reader import Reader
from interlock.graph.results import MAX_TEXT, answered, by_reference, filled, message_of
from interlock.graph.scripted import ScriptedModel
from interlock.graph.transcript import append, load
from interlock.scratch import ScratchBlobs
from interlock.settings import Settings

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_plain_values_come_back(value: Any) -> None:
    text = to_plain(value)
    canonical(text)
    assert from_plain(text) == to_comparable(value)


def to_comparable(value: Any) -> Any:
    """Lone surrogates are replaced: they are no text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [to_comparable(item) for item in value]
    if isinstance(value, dict):
        return {to_comparable(key): to_comparable(item) for key, item in value.items()}
    return value


@given(JSON)
def test_state_crosses_boundary_unchanged(value: Any) -> None:
    assert revive(json.loads(json.dumps(dump(value)))) == value


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "price": {"type": "string", "format": "decimal"},
        "count": {"type": "integer"},
        "either": {"anyOf": [{"type": "string", "format": "decimal"}, {"type": "null"}]},
        "rows": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "integer"}}},
        "text": {"type": "string"},
    },
}


def test_float_becomes_the_decimal_that_was_written() -> None:
    given = {"price": 19.90, "either": 1e-7, "count": 3.0, "rows": [{"a": 2.0}]}
    expected = {"price": "19.9", "either": "0.0000001", "count": 3, "rows": [{"a": 2}]}
    assert read_arguments(given, SCHEMA) == expected


@pytest.mark.parametrize("value", [0.5, float("nan"), float("inf")])
@pytest.mark.parametrize("key", ["text", "count", "unknown"])
def test_other_float_is_refused_in_words(key: str, value: float) -> None:
    with pytest.raises(InvalidInput, match=rf"\$\.{key}: a float .* send a decimal as a string"):
        read_arguments({key: value}, SCHEMA)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([1], "must be a JSON object, not list"),
        ({"price": float("nan")}, "float"),
        ({"count": 2**60}, "below 2\\^53"),
        ({"ü": 1}, "ASCII"),
        ({"text": "x" * 5_000_000}, "the limit is"),
        ({"text": "\ud800"}, "lone surrogate"),
    ],
)
def test_arguments_that_cannot_be_hashed_are_refused(arguments: Any, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read_arguments(arguments, SCHEMA)


def test_unusable_calls_become_errors() -> None:
    bad = [{"name": "look", "args": "{oops", "id": None, "error": "x", "type": "invalid_tool_call"}]
    calls = [
        {"name": "a-b", "args": {"x": 1}, "id": "1", "type": "tool_call"},
        {"name": "\x00\n" * 3, "args": {"x": 0.5}, "id": "1", "type": "tool_call"},
    ]
    reply = with_call_ids(AIMessage("", tool_calls=calls, invalid_tool_calls=bad), "call_x")
    found = proposals(reply, {}, lambda arguments: arguments)
    assert len({call.model_call_id for call in found}) == 3
    assert found[0] == ProposedCall(model_call_id="1", tool="a.b", arguments={"x": 1})
    assert found[1].tool == "(no name)"
    assert "send a decimal as a string" in found[1].error
    assert "'{oops'" in found[2].error
    assert all(call.arguments == {} for call in found if call.error)


def test_doubled_ids_leave_content_blocks() -> None:
    """A provider that repeats calls as blocks would send the doubled id back."""
    calls = [{"name": "a", "args": {}, "id": "1", "type": "tool_call"} for _ in range(2)]
    blocks = [{"type": "text", "text": "x"}, {"type": "tool_use", "id": "1", "name": "a", "input": {}}]
    reply = with_call_ids(AIMessage(content=blocks, tool_calls=calls), "call_x")
    assert [call["id"] for call in reply.tool_calls] == ["1", "call_x_2"]
    assert reply.content == [{"type": "text", "text": "x"}]


def test_tool_names_have_one_wire_name() -> None:
    assert from_wire(to_wire("files.read_it")) == "files.read_it"
    assert to_wire("files.read_it") != to_wire("files_read_it")


def test_every_call_gets_one_result() -> None:
    calls = tuple(ProposedCall(model_call_id=str(n), tool=f"t{n}") for n in range(3))
    given = [CallResult(model_call_id=i, tool="x", status="ok", text=i) for i in ("2", "9", "0")]
    results = answered(calls, given)
    assert [(r.model_call_id, r.status) for r in results] == [("0", "ok"), ("1", "error"), ("2", "ok")]


class Money(BaseModel):
    amount: Decimal


def test_state_values_keep_their_classes() -> None:
    state = {
        "messages": [HumanMessage("a"), AIMessage("b"), ToolMessage("c", tool_call_id="1"), RemoveMessage(id="x")],
        "tuple": (1, {2, 3}),
        "money": Money(amount=Decimal("1.20")),
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "id": UUID(int=5),
        ("key", 1): "tuple as a key",
        "$message": "a key that looks like a tag",
    }
    crossed = revive(json.loads(json.dumps(dump(state))), {type_key(Money): Money})
    assert crossed == state
    assert [type(m) for m in crossed["messages"]] == [HumanMessage, AIMessage, ToolMessage, RemoveMessage]


def test_commands_keep_their_parts() -> None:
    command = Command(goto=[Send("n", {"m": HumanMessage("a")})], update={"x": Overwrite([1])})
    crossed = revive(json.loads(json.dumps(dump(command))))
    assert crossed.goto[0].node == "n"
    assert crossed.goto[0].arg == {"m": HumanMessage("a")}
    assert crossed.update["x"].value == [1]


def test_foreign_types_are_not_revived() -> None:
    """Payloads name types; only those of the graph's own schemas are made."""
    dumped = dump(Money(amount=Decimal(1)))
    with pytest.raises(InvalidInput, match="not a type of this graph's schemas"):
        revive(dumped)
    with pytest.raises(InvalidInput, match="unknown kind"):
        revive({"$module": "os"})


def test_unknown_object_names_its_place() -> None:
    with pytest.raises(InvalidInput, match=r"state\.a\[1\]: a object cannot pass"):
        dump({"a": [1, object()]})


def test_outputs_travel_by_reference() -> None:
    blobs = ScratchBlobs()
    digest = blobs.put("größer".encode())
    result = CallResult(model_call_id="1", tool="look", status="ok", output=digest)
    message = message_of(result)
    assert "größer" not in message.text
    full = filled(message, blobs.get)
    assert full.text == "größer"
    assert by_reference(full) == message
    edited = full.model_copy(update={"content": "redacted"})
    assert by_reference(edited).text == "redacted"
    assert filled(by_reference(edited), blobs.get).text == "redacted"


def test_note_of_an_edit_stays_with_output() -> None:
    """A call that a person edited has a note besides its output."""
    blobs = ScratchBlobs()
    result = CallResult(
        model_call_id="1", tool="look", status="ok", output=blobs.put(b"out"), text="carol edited this call."
    )
    assert filled(message_of(result), blobs.get).text == "carol edited this call.\nout"


def test_long_output_is_shortened_visibly() -> None:
    blobs = ScratchBlobs()
    digest = blobs.put(b"a" * MAX_TEXT + b"b" * MAX_TEXT)
    message = filled(message_of(CallResult(model_call_id="1", tool="t", status="ok", output=digest)), blobs.get)
    assert len(message.text) < MAX_TEXT + 200
    assert f"{MAX_TEXT} characters left out" in message.text
    assert digest in message.text
    assert (message.text[0], message.text[-1]) == ("a", "b")


def test_transcript_is_read_back() -> None:
    blobs = ScratchBlobs()
    said = AIMessage([{"type": "text", "text": "hm"}], response_metadata={"p": 0.25, "ü": 2**60})
    head = append(blobs, "", [HumanMessage("a")])
    head = append(blobs, head, [said, ToolMessage("c", tool_call_id="1")])
    reader = Reader(blobs)
    assert load(head, reader.link, reader.read) == [HumanMessage("a"), said, ToolMessage("c", tool_call_id="1")]


def test_only_new_links_are_read() -> None:
    blobs, read = ScratchBlobs(), []
    get = blobs.get
    blobs.get = lambda digest: read.append(digest) or get(digest)  # type: ignore[method-assign]
    reader, head = Reader(blobs), ""
    for number in range(5):
        head = append(blobs, head, [HumanMessage(str(number))])
        load(head, reader.link, reader.read)
    assert len(read) == 5


def test_foreign_blob_is_no_link() -> None:
    blobs = ScratchBlobs()
    with pytest.raises(IntegrityError, match="not one that this version wrote"):
        Reader(blobs).link(blobs.put(b'{"v":1,"prev":7}'))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not YAML"),
        ("say: x", "a playbook is a list"),
        ("[]", "a playbook is a list"),
        ("- say: a\n- when: maybe", "turn 2: when"),
        ("- calls: [{arguments: {}}]", "turn 1: calls.0.tool"),
        ("- !!python/object/apply:os.system [id]", "p.yaml"),
    ],
)
def test_wrong_playbook_names_file_and_turn(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as caught:
        read_playbook(text, "p.yaml")
    assert "p.yaml" in str(caught.value)


def test_scripted_turn_follows_from_conversation() -> None:
    """Without state: another worker, asked again, gives the same reply."""
    text = "- calls: [{tool: a}]\n- {when: error, say: sorry}\n- calls: [{tool: b}]\n- {say: end}"
    turns, said = read_playbook(text, "p.yaml"), [SystemMessage("s"), HumanMessage("go")]
    for expected in ("a", "b", ""):
        reply = ScriptedModel(turns=turns).reply(said)
        assert reply == ScriptedModel(turns=turns).reply(said)
        assert [call["name"] for call in reply.tool_calls] == ([expected] if expected else [])
        said = [*said, reply, *(ToolMessage("fine", tool_call_id=call["id"]) for call in reply.tool_calls)]
    assert said[-1].text == "end"


def test_scripted_model_says_that_it_is() -> None:
    model = ScriptedModel(turns=read_playbook("- say: x", "p.yaml"))
    reply = model.invoke("hello")
    assert model._llm_type == "scripted"
    assert reply.response_metadata["model_name"] == "scripted"


def resolve(spec: str, **settings: Any) -> Any:
    blobs, who = ScratchBlobs(), agent("team", prompt="p")
    reader = Reader(blobs)
    manifest = reader.manifest(manifest_of(who, blobs, [{"say": "x"}]))
    return resolve_model(spec, Settings.model_construct(**settings), "team", manifest, reader)


def test_default_model_is_what_settings_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    assert resolve("default")._llm_type == "scripted"
    assert resolve("default", model="openai:gpt-x").model_name == "gpt-x"


@pytest.mark.parametrize("spec", ["gpt-5", "openai:", "openai", "azure:x", ""])
def test_unknown_model_is_refused(spec: str) -> None:
    with pytest.raises(InvalidInput, match="scripted, openai:NAME, anthropic:NAME"):
        resolve(spec)


@pytest.mark.parametrize("extra", ["openai", "anthropic"])
def test_missing_package_names_the_command(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, f"langchain_{extra}", None)
    with pytest.raises(InvalidInput, match=rf"pip install 'interlock-runtime\[{extra}\]'"):
        resolve(f"{extra}:x")


@pytest.mark.parametrize(("extra", "key"), [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")])
def test_missing_key_is_named(extra: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(key, raising=False)
    with pytest.raises(InvalidInput, match=f"{key} is not set"):
        resolve(f"{extra}:x")


def http_error(status: int, **headers: str) -> Exception:
    error = Exception("the body")
    error.status_code = status  # type: ignore[attr-defined]
    error.response = SimpleNamespace(headers=headers)  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (http_error(400), True),
        (http_error(401), True),
        (http_error(404), True),
        (http_error(408), False),
        (http_error(429), False),
        (http_error(500), False),
        (http_error(529), False),
        (ConnectionError("reset"), False),
        (TimeoutError("slow"), False),
        (InvalidInput("wrong"), True),
        (Refused("no"), True),
        (IntegrityError("altered"), True),
        (KeyError("bug"), True),
    ],
)
def test_only_passing_errors_are_tried_again(error: Exception, final: bool) -> None:
    shown: Any = explained(error, "team.model")
    assert shown.non_retryable is final
    assert shown.message.startswith("team.model: ")


def test_retry_after_is_kept_within_bounds() -> None:
    def delay(text: str) -> Any:
        return explained(http_error(429, **{"retry-after": text}), "x").next_retry_delay  # type: ignore[attr-defined]

    assert delay("7") == timedelta(seconds=7)
    assert delay("999999") == MAX_DELAY
    assert delay("soon") is None


def test_conversation_is_read_on_from_where_it_was() -> None:
    blobs = ScratchBlobs()
    reader, texts = Reader(blobs), [HumanMessage(str(number)) for number in range(6)]
    heads = [""]
    for text in texts:
        heads.append(append(blobs, heads[-1], [text]))
    other = append(blobs, heads[2], [HumanMessage("another way")])
    new = HumanMessage("new")
    for length in range(1, 7):
        assert reader.conversation(heads[length], [new]) == [*texts[:length], new]
    blobs.content.clear()  # what was read is not read again
    assert reader.conversation(heads[6], []) == texts
    assert reader.conversation("", [new]) == [new]
    with pytest.raises(IntegrityError):
        reader.conversation(other, [])


def test_conversations_of_two_agents_are_kept_apart() -> None:
    blobs = ScratchBlobs()
    reader = Reader(blobs)
    first = append(blobs, "", [HumanMessage("a"), HumanMessage("b")])
    second = append(blobs, "", [HumanMessage("c")])
    longer = append(blobs, first, [HumanMessage("d")])
    for head, texts in ((first, "ab"), (second, "c"), (longer, "abd"), (second, "c"), (first, "ab")):
        assert [message.content for message in reader.conversation(head, [])] == list(texts)
