"""The values of the authoring API, and the manifest they compile to."""

from interlock.definitions.agent import AgentDefinition, agent
from interlock.definitions.manifest import (
    RESERVED_LABELS,
    AgentEntry,
    Manifest,
    ToolEntry,
    ToolKind,
    ToolSchema,
    WorkflowEntry,
)
from interlock.definitions.tool import (
    Done,
    NotDone,
    Reconciled,
    ToolOptions,
    Unknown,
    artifact,
    options_of,
    tool,
    workspace_path,
)

__all__ = [
    "RESERVED_LABELS",
    "AgentDefinition",
    "AgentEntry",
    "Done",
    "Manifest",
    "NotDone",
    "Reconciled",
    "ToolEntry",
    "ToolKind",
    "ToolOptions",
    "ToolSchema",
    "Unknown",
    "WorkflowEntry",
    "agent",
    "artifact",
    "options_of",
    "tool",
    "workspace_path",
]
