"""The names that teams import are a promise."""

from __future__ import annotations

import interlock
import interlock.workflow


def test_authoring_names_are_pinned() -> None:
    assert sorted(interlock.__all__) == [
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


def test_workflow_names_are_pinned() -> None:
    assert sorted(interlock.workflow.__all__) == ["AgentOutcome", "Workflow", "workflow"]
