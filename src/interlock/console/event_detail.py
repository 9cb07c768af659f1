"""One event of a run, opened: what it says, and the content that it names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from interlock.approval.changes import FileChange
from interlock.approval.visible import visible
from interlock.console.outcome import SHOWN, changed, files_before, read
from interlock.errors import InterlockError
from interlock.events import (
    AgentFinished,
    AgentStarted,
    ApprovalRequested,
    CallDecided,
    CallFinished,
    CallProposed,
    Event,
    ModelResponded,
    RunEnded,
    RunStarted,
    SignalReceived,
)
from interlock.graph.transcript import read_link
from interlock.types.blobs import Blobs

_LINKS: Final = 200
"""Messages before one reply that are looked up."""
_ENVELOPE: Final = frozenset(("v", "run", "seq", "time", "prev", "kind"))


@dataclass(frozen=True)
class Part:
    """One piece of content."""

    title: str
    text: str
    """Made visible."""
    missing: int = 0


@dataclass(frozen=True)
class Detail:
    """An event, whole."""

    event: Event
    facts: tuple[tuple[str, str], ...]
    """Its fields as they are recorded."""
    parts: tuple[Part, ...] = ()
    changes: tuple[FileChange, ...] = ()
    artifacts: tuple[Any, ...] = field(default=())


def detail(event: Event, events: Sequence[Event], blobs: Blobs) -> Detail:
    """Everything about one event."""
    recorded = event.model_dump(mode="json")
    facts = tuple(
        (name, _plain(value)) for name, value in recorded.items() if name not in _ENVELOPE and value != ""
    )
    changes: tuple[FileChange, ...] = ()
    if isinstance(event, CallFinished):
        changes = changed(files_before(event, events), event.workspace, blobs)
    artifacts = event.artifacts if isinstance(event, CallFinished) else ()
    return Detail(event, facts, tuple(_parts(event, blobs)), changes, artifacts)


def _parts(event: Event, blobs: Blobs) -> list[Part]:
    match event:
        case ModelResponded():
            return _messages(event, blobs)
        case AgentStarted():
            return [_part("Task", _pretty(read(event.task, blobs)))]
        case RunStarted():
            return [_part("Input", _pretty(read(event.input, blobs)))]
        case CallProposed():
            return [_part("Arguments", _pretty(read(event.arguments, blobs)))]
        case CallDecided():
            return [_part("Access request", _pretty(read(event.request, blobs)))]
        case ApprovalRequested():
            return [_part("What people were shown", _pretty(read(event.subject, blobs)))]
        case CallFinished():
            return [_part("Output", read(event.output, blobs))]
        case SignalReceived():
            return [_part("Value", _pretty(read(event.value, blobs)))]
        case AgentFinished() | RunEnded():
            return [_part("Result", _pretty(read(event.result, blobs)))] if event.result else []
        case _:
            return []


def _messages(event: ModelResponded, blobs: Blobs) -> list[Part]:
    """What the model saw since its last reply, and its reply."""
    told: list[Part] = []
    head: str = event.after
    try:
        for _ in range(_LINKS):
            if head in ("", event.before):
                break
            head, messages = read_link(blobs.get(head))
            for message in reversed(messages):
                calls = getattr(message, "tool_calls", None) or []
                asked = "".join(f"\n→ {one['name']} {json.dumps(one['args'], ensure_ascii=False)}" for one in calls)
                text = message.content if isinstance(message.content, str) else json.dumps(message.content)
                told.append(_part(_SPEAKERS.get(message.type, message.type), f"{text}{asked}".strip()))
    except (InterlockError, ValueError, KeyError, TypeError) as error:
        told.append(_part("Not readable", str(error)))
    return told[::-1]


_SPEAKERS: Final = {"ai": "The model says", "human": "Task", "system": "Prompt", "tool": "Result of a call"}


def _part(title: str, text: str) -> Part:
    return Part(title, visible(text[:SHOWN]), max(0, len(text) - SHOWN))


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except ValueError:
        return text


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
