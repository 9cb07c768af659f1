"""A decision on its way from the local activity to the workflow: without what the workflow asked with, knows from
the chain, or never reads. Each step of a run keeps one in its history.
"""

from __future__ import annotations

from typing import Literal, Self

from interlock.run.contracts import DecideInput, DecideOutput
from interlock.types.access import Decision, NearestRule, Verdict
from interlock.types.call import ToolCall
from interlock.types.closed import Slim
from interlock.types.names import OptionalDigest
from interlock.types.route import Route


class Told(Slim):
    """What `DecideOutput` says beyond the question; empty: as the question has it."""

    agent: str = ""
    tool: str = ""
    tool_digest: OptionalDigest = ""
    arguments: OptionalDigest = ""
    files: bool = False
    """Whether the call begins with the run's files."""
    verdict: Verdict | Literal[""] = "allow"
    """Empty: it is no call at all."""
    rule: str = ""
    reason: str = ""
    """Empty where the call is allowed, which no workflow gives a reason for."""
    nearest: NearestRule | None = None
    route: Route | None = None
    condition_errors: tuple[str, ...] = ()
    bundle: OptionalDigest = ""
    request: OptionalDigest = ""
    carried: tuple[str, ...] = ()
    invalid: str = ""
    unknown_tool: bool = False
    events: int = 0
    """Decided where the model proposed it: how many events the chain then had. It counts while the model's reply is
    all that was recorded since: whatever it takes as known is then known, and no call came between."""

    @classmethod
    def of(cls, asked: DecideInput, answer: DecideOutput) -> Self:
        """What must travel of an answer."""
        call, decision = answer.call, answer.decision
        if call is None or decision is None:
            return cls(verdict="", invalid=answer.invalid, unknown_tool=answer.unknown_tool)
        known = {
            "agent": f"agent:{asked.agent}",
            "tool": asked.tool,
            "tool_digest": asked.tool_digest,
            "arguments": asked.arguments,
        }
        own = {name: said for name, value in known.items() if (said := getattr(call, name)) != value}
        return cls(
            **own,
            files=bool(call.workspace),
            verdict=decision.verdict,
            rule=decision.rule,
            reason="" if decision.verdict == "allow" else decision.reason,
            nearest=decision.nearest,
            route=decision.route,
            condition_errors=decision.condition_errors,
            bundle="" if decision.bundle == asked.bundle else decision.bundle,
            request=decision.request,
            carried=answer.carried,
        )

    def whole(self, asked: DecideInput) -> DecideOutput:
        """The answer to `asked` as the workflow reads it."""
        if not self.verdict:
            return DecideOutput(invalid=self.invalid, unknown_tool=self.unknown_tool)
        arguments = self.arguments or asked.arguments
        assert isinstance(arguments, str), "arguments that came whole are kept by the activity"
        call = ToolCall(
            tenant=asked.tenant,
            run=asked.run,
            call_id=asked.call_id,
            agent=self.agent or f"agent:{asked.agent}",
            tool=self.tool or asked.tool,
            tool_digest=self.tool_digest or asked.tool_digest,
            arguments=arguments,
            workspace=asked.workspace if self.files else "",
        )
        decision = Decision(
            verdict=self.verdict,
            rule=self.rule,
            reason=self.reason,
            nearest=self.nearest,
            route=self.route,
            condition_errors=self.condition_errors,
            bundle=self.bundle or asked.bundle,
            request=self.request,
        )
        return DecideOutput(call=call, decision=decision, carried=self.carried)
