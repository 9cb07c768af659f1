"""Fix one issue in one source tree, and ask for a pull request."""

from pydantic import BaseModel, Field

from interlock.graph import AgentOutcome
from interlock.workflow import Workflow, workflow


class FixIssue(BaseModel, extra="forbid"):
    """What a run is given."""

    issue: str = Field(min_length=1, max_length=50_000)
    """The issue's text, as a person wrote it."""


@workflow("fix_issue", agents=["fixer"], input=FixIssue)
class FixIssueWorkflow(Workflow):
    """Agent `fixer` finds the bug, mends it, shows that the tests pass, and asks for a pull request."""

    async def steps(self, task: FixIssue) -> AgentOutcome:
        return await self.agent("fixer", task.issue)
