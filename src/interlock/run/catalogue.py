"""A pinned manifest, and what a call means under it: which tool, which agent, which access request.

Graph worker and executor both derive the request here, each from its own copy of the facts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, TypeVar

from pydantic import JsonValue

from interlock.definitions import Manifest, ToolEntry, ToolSchema
from interlock.definitions.agent import HAND_OFF_TO
from interlock.digest import digest_bytes, parse
from interlock.errors import InvalidInput
from interlock.run.arguments import normalise
from interlock.run.contracts import AGENT_RUN, ASK_TOOL, BUILT_IN_TOOLS, HAND_OFF_TOOL, SETTLE_TOOL
from interlock.types.access import AccessRequest
from interlock.types.blobs import Blobs
from interlock.types.names import Digest

T = TypeVar("T")

_TEXT: Final = {"type": "string"}
_CHOICES: Final = {"type": "array", "items": _TEXT}
_BUILT_IN: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    ASK_TOOL: ("ask", {"question": {}, "choices": _CHOICES, "answer": {"type": "object"}}),
    SETTLE_TOOL: ("settle", {"call_id": _TEXT, "tool": _TEXT, "reason": _TEXT}),
    HAND_OFF_TOOL: ("hand_off", {"agent": _TEXT, "task": {}}),
}
_OPTIONAL: Final = ("choices", "answer")
"""Of a question: see `interlock.run.answering`."""
_RESOURCES: Final[Mapping[str, str]] = {HAND_OFF_TOOL: "agent:{agent}"}


def built_in(tool: str) -> ToolEntry:
    """The entry of a built-in call: nothing of it runs in a sandbox, but a rule decides it like any other."""
    action, properties = _BUILT_IN[tool]
    parameters: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in _OPTIONAL],
        "additionalProperties": False,
    }
    schema = ToolSchema(
        name=tool,
        description=f"Built in: {action}.",
        parameters=parameters,
        result={},
        action=action,
        resource=_RESOURCES.get(tool, f"tool:{tool}"),
        # Who hands work on hands on the files as they are, and may get them back changed.
        workspace="write" if tool == HAND_OFF_TOOL else "none",
        effects="contained",
        idempotent=True,
        profile="default",
        preview="arguments",
        sentence="",
    )
    return ToolEntry(source=digest_bytes(built_in_source(tool)), path="", schema_=schema)


def built_in_source(tool: str) -> bytes:
    """What stands for the source of a built-in call, which has none."""
    return tool.encode()


@lru_cache(maxsize=32)
def _parsed(digest: Digest, data: bytes) -> Manifest:
    return Manifest.model_validate(parse(data))


def load_manifest(blobs: Blobs, digest: Digest) -> Manifest:
    """The manifest that a run pins.

    Raises:
        IntegrityError: absent or altered.
    """
    return _parsed(digest, blobs.get(digest))


@dataclass(frozen=True)
class Scope:
    """What a run of a workflow may use of its manifest."""

    manifest: Manifest
    agents: tuple[str, ...]
    """The agents that it may act as."""
    signals: Mapping[str, dict[str, JsonValue]] = field(default_factory=dict)
    """What it listens to: name → JSON Schema of the value."""

    @classmethod
    def of(cls, manifest: Manifest, workflow: str, value: Any) -> Scope:
        """The scope of a run with this input.

        Raises:
            InvalidInput: the manifest has no such workflow or agent.
        """
        if workflow == AGENT_RUN:
            name = str(value.get("agent", "")) if isinstance(value, dict) else ""
            known(name, manifest.agents, "agent")
            return cls(manifest, (name,))
        entry = known(workflow, manifest.workflows, "workflow")
        return cls(manifest, entry.agents, entry.signals)

    def tool(self, agent: str, tool: str) -> ToolEntry:
        """The entry of a tool that the agent may propose.

        Raises:
            InvalidInput: no such agent in this run, or no such tool of this agent; in words for a model.
        """
        if agent not in self.agents:
            raise InvalidInput(f"agent {agent!r} has no part in this run; its agents are {', '.join(self.agents)}")
        if tool == HAND_OFF_TOOL:
            return self._hand_off(agent)
        if tool in BUILT_IN_TOOLS:
            return built_in(tool)
        names = self.manifest.agents[agent].tools
        if tool not in names:
            close = get_close_matches(tool, names, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"your tools are {', '.join(names) or 'none'}"
            raise InvalidInput(f"there is no tool {tool[:128]!r}", next_step=hint)
        return self.manifest.tools[tool]

    def _hand_off(self, agent: str) -> ToolEntry:
        """The entry of handing work on, to the agents that this one may hand it to."""
        receivers = self.manifest.agents[agent].hand_off
        if not receivers:
            raise InvalidInput(
                f"agent {agent!r} hands work on to nobody", next_step="name agents in its `hand_off`"
            )
        entry = built_in(HAND_OFF_TOOL)
        properties = {"agent": {"enum": list(receivers)}, "task": {}}
        parameters = {**entry.schema_.parameters, "properties": properties}
        return entry.model_copy(update={"schema_": entry.schema_.model_copy(update={"parameters": parameters})})


def hand_off_meant(manifest: Manifest, agent: str, tool: str) -> tuple[str, dict[str, JsonValue]]:
    """The tool that a model means, and arguments that the name says: `hand_off_to_NAME` hands work on to NAME.
    Arguments that are given count before those: an approver who edits the call may name another receiver."""
    entry = manifest.agents.get(agent)
    receiver = tool.removeprefix(HAND_OFF_TO)
    if entry is None or tool in entry.tools or receiver == tool or receiver not in entry.hand_off:
        return tool, {}
    return HAND_OFF_TOOL, {"agent": receiver}


def known(name: str, among: Mapping[str, T], what: str) -> T:
    """Look a name up. Raises InvalidInput with a suggestion where it is unknown."""
    if name in among:
        return among[name]
    close = get_close_matches(name, list(among), 1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(among)) or 'none'}"
    raise InvalidInput(f"unknown {what} {name!r}", next_step=hint)


def access_request(
    entry: ToolEntry,
    raw: dict[str, Any],
    *,
    tenant: str,
    agent: str,
    delegators: tuple[str, ...] = (),
    requester: str,
    run: str,
    workflow: str,
    time: datetime,
) -> AccessRequest:
    """The question to the policy about one call, its arguments normalised.

    Raises:
        InvalidInput: the arguments do not fit the tool.
    """
    arguments = normalise(entry.schema_.parameters, raw)
    return AccessRequest(
        tenant=tenant,
        agent=f"agent:{agent}",
        delegators=delegators,
        requester=requester,
        tool=entry.schema_.name,
        action=entry.schema_.action,
        resource=resource_of(entry, arguments),
        arguments=arguments,
        run=run,
        workflow=workflow,
        time=time,
    )


def resource_of(entry: ToolEntry, arguments: Mapping[str, Any]) -> str:
    """What a call acts on: arguments go into the `{name}` places of the tool's template, each once. A format string
    could reach attributes, and a value must not bring places of its own."""
    return re.sub(r"\{(\w+)\}", lambda m: str(arguments.get(m[1], m[0])), entry.schema_.resource)
