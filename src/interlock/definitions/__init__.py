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
from interlock.definitions.tool import ToolOptions, artifact, options_of, tool, workspace_path

__all__ = [
    "RESERVED_LABELS",
    "AgentDefinition",
    "AgentEntry",
    "Manifest",
    "ToolEntry",
    "ToolKind",
    "ToolOptions",
    "ToolSchema",
    "WorkflowEntry",
    "agent",
    "artifact",
    "options_of",
    "tool",
    "workspace_path",
]
