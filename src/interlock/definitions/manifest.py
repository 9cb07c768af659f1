"""The manifest: the digests of everything that a run may use, pinned when it starts.

Every digest names a blob, so that the executor fetches a tool's source by the digest that the signed
requester token pins, and never by a path that somebody could have edited since.
"""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from interlock.definitions.tool import Effects, Flow, WorkspaceUse
from interlock.digest import digest_of
from interlock.types.closed import Closed
from interlock.types.names import Digest, Name, OptionalDigest, ToolName

RESERVED_LABELS: Final = frozenset({"requester", "model", "approver", "sender"})
"""Labels that only the engine gives: a value of the run's input, of no known origin, from an approver, from a
signal of somebody else than the requester."""


ToolKind = Literal["python", "command", "shell", "mcp", "http", "output"]
"""python: an `@tool` function in tools/NAME.py. The others are definitions in tools/NAME.yaml that the runner's own
code carries out in the sandbox. command: a program with an argv template. shell: a line in the run's own shell
session. mcp: a tool of a Model Context Protocol server that is started in the sandbox. http: one operation of an
OpenAPI document, asked through the egress proxy. output: reads artifacts of earlier calls of the run."""


class ToolSchema(Closed):
    """What compiling a tool inside the sandbox found: its contract, as pure data."""

    name: ToolName
    description: str
    """The docstring: what the model reads."""
    parameters: dict[str, JsonValue]
    """JSON Schema (2020-12) of the arguments: an object, `additionalProperties: false`."""
    result: dict[str, JsonValue]
    """JSON Schema of the returned value."""
    action: Name
    resource: str
    workspace: WorkspaceUse
    effects: Effects
    idempotent: bool
    profile: Name
    preview: Literal["arguments", "workspace_diff"]
    sentence: str
    flow: Flow = "reader"
    emits: tuple[Name, ...] = ()
    """Labels of what it returns."""
    destination: tuple[str, ...] = ()
    """Its arguments that say where to."""
    declassifies: tuple[Name, ...] = ()
    """Labels that its result no longer has."""
    credentials: tuple[Name, ...] = ()
    """Secrets that the egress proxy adds to its requests, if the policy grants them."""
    reconcile: bool = False
    """Whether it says how to find out if a call happened whose result was lost."""

    @model_validator(mode="after")
    def _can_be_asked_for_a_reason(self) -> Self:
        if self.reconcile and self.idempotent:
            raise ValueError("reconcile is never asked of an idempotent tool, which simply runs again: drop one")
        return self

    @model_validator(mode="after")
    def _labels_and_arguments_fit(self) -> Self:
        for label in (*self.emits, *self.declassifies):
            if label in RESERVED_LABELS:
                raise ValueError(f"label {label!r} is the engine's own: choose another name")
        known = self.parameters.get("properties", {})
        for name in self.destination:
            if not isinstance(known, dict) or name not in known:
                raise ValueError(f"destination {name!r} is no argument of the tool")
        return self


class ToolEntry(Closed):
    """A tool as a run pins it."""

    source: Digest
    """Blob of the source file: what runs in the sandbox."""
    kind: ToolKind = "python"
    path: str
    """`tools/NAME.py`, for people."""
    schema_: ToolSchema = Field(alias="schema")

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class AgentEntry(Closed):
    """An agent as a run pins it."""

    source: Digest
    prompt: Digest
    """Blob of the prompt's text."""
    graph: Digest
    """Digest over the source of the graph: the agent's own file, or the engine's standard loop."""
    playbook: OptionalDigest = ""
    """Blob of the scripted model's playbook, where there is one."""
    model: str
    tools: tuple[ToolName, ...]
    max_steps: int
    max_tokens: int
    custom: bool
    """Whether the agent brings its own StateGraph."""
    hand_off: tuple[Name, ...] = ()
    """The agents that it may hand work on to."""
    context: JsonValue = None
    """What the nodes of its graph read as `runtime.context`."""


class WorkflowEntry(Closed):
    """A workflow as a run pins it."""

    source: Digest
    agents: tuple[Name, ...]
    """The only agents that a run of this workflow may act as."""
    input_schema: dict[str, JsonValue] = Field(default_factory=dict)
    """JSON Schema of the workflow's input, for checking `run start --input`."""
    signals: dict[Name, dict[str, JsonValue]] = Field(default_factory=dict)
    """What its runs listen to: name → JSON Schema of the value; an empty one takes any value."""
    description: str = ""


class Manifest(Closed):
    """Everything that a run may use, by digest."""

    project: str
    engine: str
    """Version of Interlock."""
    agents: dict[Name, AgentEntry]
    tools: dict[ToolName, ToolEntry]
    workflows: dict[Name, WorkflowEntry]
    images: dict[Name, str]
    """Image name in images/ → the engine's image id."""
    boms: dict[Name, Digest] = Field(default_factory=dict)
    """Image name → blob of its bill of materials (CycloneDX JSON), where it was made when the image was built."""
    policy: Digest
    """The bundle in force when the manifest was made; each decision names the one it used."""

    def as_hashed(self) -> dict[str, Any]:
        """The JSON value whose canonical bytes are stored."""
        return self.model_dump(mode="json", by_alias=True)

    @property
    def digest(self) -> Digest:
        """The manifest's digest, which the requester token pins."""
        return digest_of(self.as_hashed())
