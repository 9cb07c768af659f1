"""A pinned manifest, and what a call means under it: which tool, which agent, which access request.

Graph worker and executor both derive the request here, each from its own copy of the facts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, TypeVar

from interlock.definitions import Manifest, ToolEntry, ToolSchema
from interlock.digest import digest_bytes, parse
from interlock.errors import InvalidInput
from interlock.run.arguments import normalise
from interlock.run.contracts import AGENT_RUN, ASK_TOOL, BUILT_IN_TOOLS, SETTLE_TOOL
from interlock.types.access import AccessRequest
from interlock.types.blobs import Blobs
from interlock.types.names import Digest

T = TypeVar("T")

_TEXT: Final = {"type": "string"}
_BUILT_IN: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    ASK_TOOL: ("ask", {"question": {}}),
    SETTLE_TOOL: ("settle", {"call_id": _TEXT, "tool": _TEXT, "reason": _TEXT}),
}


def built_in(tool: str) -> ToolEntry:
    """The entry of a built-in call: it runs nothing, but a rule decides it like any other."""
    action, properties = _BUILT_IN[tool]
    parameters: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    schema = ToolSchema(
        name=tool,
        description=f"Built in: {action}.",
        parameters=parameters,
        result={},
        action=action,
        resource=f"tool:{tool}",
        workspace="none",
        effects="contained",
        idempotent=True,
        profile="default",
        preview="arguments",
        sentence="",
    )
    return ToolEntry(source=digest_bytes(built_in_source(tool)), path="", schema_=schema)


def built_in_source(tool: str) -> bytes:
    """What stands for the source of a built-in call, which runs nothing."""
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
        return cls(manifest, known(workflow, manifest.workflows, "workflow").agents)

    def tool(self, agent: str, tool: str) -> ToolEntry:
        """The entry of a tool that the agent may propose.

        Raises:
            InvalidInput: no such agent in this run, or no such tool of this agent; in words for a model.
        """
        if agent not in self.agents:
            raise InvalidInput(f"agent {agent!r} has no part in this run; its agents are {', '.join(self.agents)}")
        if tool in BUILT_IN_TOOLS:
            return built_in(tool)
        names = self.manifest.agents[agent].tools
        if tool not in names:
            close = get_close_matches(tool, names, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"your tools are {', '.join(names) or 'none'}"
            raise InvalidInput(f"there is no tool {tool[:128]!r}", next_step=hint)
        return self.manifest.tools[tool]


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
        requester=requester,
        tool=entry.schema_.name,
        action=entry.schema_.action,
        resource=_fill(entry.schema_.resource, arguments),
        arguments=arguments,
        run=run,
        workflow=workflow,
        time=time,
    )


def _fill(template: str, arguments: dict[str, Any]) -> str:
    """Put arguments into `{name}` places, each once: a format string could reach attributes, and a value
    must not bring places of its own."""
    return re.sub(r"\{(\w+)\}", lambda m: str(arguments.get(m[1], m[0])), template)
