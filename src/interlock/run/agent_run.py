"""The built-in workflow that runs one agent on one task."""

from __future__ import annotations

from pydantic import BaseModel, JsonValue

from interlock.graph import AgentOutcome
from interlock.run.contracts import AGENT_RUN
from interlock.run.marking import workflow
from interlock.run.workflow import Workflow


class AgentRunInput(BaseModel, extra="forbid"):
    """Input of `agent_run`."""

    agent: str
    """Name of the agent."""
    task: JsonValue
    """Its task: text, or an object."""


@workflow(AGENT_RUN, input=AgentRunInput, sandboxed=False)
class AgentRun(Workflow):
    """Run one agent on one task."""

    async def steps(self, task: AgentRunInput) -> AgentOutcome:
        """The whole workflow."""
        return await self.agent(task.agent, task.task)
