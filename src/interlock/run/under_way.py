"""A proposed call or question between its proposal and its result: what one execution of the workflow hands to
the next, so that nothing is proposed, asked or run twice.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from interlock.graph import ProposedCall
from interlock.run.answering import Expected
from interlock.types.access import Decision
from interlock.types.call import ToolCall


class UnderWay(BaseModel):
    """What is known of a call or a question so far. The workflow changes it as it goes."""

    model_config = ConfigDict(extra="forbid")

    agent: str
    """Its name, without `agent:`."""
    call: ToolCall | None = None
    """Once it is proposed."""
    decision: Decision | None = None
    """The decision in force."""
    requests: dict[str, str] = Field(default_factory=dict)
    """Kind of request → id of the one that was opened last."""

    def decided(self) -> tuple[ToolCall, Decision]:
        """The call and the decision in force, once it is proposed."""
        assert self.call is not None, "it was not proposed yet"
        assert self.decision is not None, "what is proposed is decided"
        return self.call, self.decision


class QuestionUnderWay(UnderWay):
    """A question to a person."""

    question: JsonValue
    expected: Expected = Expected()
    """What its answer must be."""


class CallUnderWay(UnderWay):
    """A tool call."""

    proposed: ProposedCall
    edited_from: str = ""
    """The call that an approver edited into this one."""
    granted: Literal["", "yes", "no"] = ""
    """Whether a standing grant lets it run; empty: nobody looked."""
    rounds: int = 0
    """How often the executor was asked."""
    doubt: str = ""
    """Why nobody knows its outcome, until people settled it."""
    settling: Decision | None = None
    """Who may settle it."""
    settled: tuple[str, ...] = ()
    """Approval tokens that let a call of unknown outcome run again."""
