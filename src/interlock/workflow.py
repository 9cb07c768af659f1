"""The authoring API of a workflow: what workflows/NAME.py imports. Apart from `import interlock`, which a tool
imports inside its sandbox too and which therefore stays light."""

from interlock.graph import AgentOutcome
from interlock.run.marking import workflow
from interlock.run.workflow import Workflow

__all__ = ["AgentOutcome", "Workflow", "workflow"]
