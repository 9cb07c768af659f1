"""Interlock: a runtime in which AI agents do real work and cannot do what nobody allowed.

This module is the authoring API, and the same names work inside a sandbox, where a tool's body runs.
"""

from interlock.definitions.agent import AgentDefinition, agent
from interlock.definitions.tool import Done, NotDone, Reconciled, Unknown, artifact, tool, workspace_path

__version__ = "0.1.0"

__all__ = [
    "AgentDefinition",
    "Done",
    "NotDone",
    "Reconciled",
    "Unknown",
    "__version__",
    "agent",
    "artifact",
    "tool",
    "workspace_path",
]
