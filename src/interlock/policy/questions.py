"""What rules ask about the run so far: a closed set of questions, each with its name in a request."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, StringConstraints

from interlock.policy.durations import duration, seconds
from interlock.policy.patterns import tool_pattern
from interlock.types.closed import Closed


class Question(NamedTuple):
    """One question about the run so far."""

    kind: Literal["count", "sum", "preceded_by", "tokens", "cost"]
    tool: str = ""
    """A tool pattern."""
    argument: str = ""
    """For a sum: the argument that is added up."""
    within_s: int = 0
    """Only calls proposed at most so many seconds ago; 0: all."""

    @property
    def text(self) -> str:
        """The question as a request and a message name it: `count send_email within 3600 s`."""
        of = f" of {self.argument}" if self.argument else ""
        tool = f" {self.tool}" if self.tool else ""
        within = f" within {self.within_s} s" if self.within_s else ""
        return f"{self.kind}{tool}{of}{within}"


class CountOf(Closed):
    """Calls that are counted."""

    tool: Annotated[str, AfterValidator(tool_pattern)]
    """Pattern of their tools."""
    within: Annotated[str, AfterValidator(duration)] | None = None
    """Only calls proposed at most this long ago: `1h`."""

    @property
    def question(self) -> Question:
        """What is asked of the run."""
        return Question("count", self.tool, within_s=seconds(self.within) if self.within else 0)


class SumOf(Closed):
    """Calls of which one argument is added up."""

    tool: Annotated[str, AfterValidator(tool_pattern)]
    """Pattern of their tools."""
    argument: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
    """A whole number or a decimal."""
    within: Annotated[str, AfterValidator(duration)] | None = None
    """Only calls proposed at most this long ago: `1d`."""

    @property
    def question(self) -> Question:
        """What is asked of the run."""
        return Question("sum", self.tool, self.argument, seconds(self.within) if self.within else 0)
