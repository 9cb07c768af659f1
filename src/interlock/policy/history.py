"""The run so far, as rules may ask about it: how often, how much, what came before, what it cost. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any, Final

from interlock.policy.bundle import Bundle
from interlock.policy.compiled import CompiledRule
from interlock.policy.entries import Price
from interlock.policy.normal import ConditionError, number
from interlock.policy.patterns import segments_match
from interlock.policy.questions import Question

_LARGEST: Final = 2**53
_MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class PastCall:
    """An earlier call of the run that was not refused; it may be under way still."""

    tool: str
    arguments: Mapping[str, Any]
    proposed_at: datetime
    finished_well: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """What a run did before a call."""

    calls: Sequence[PastCall] = ()
    """Oldest first."""
    usage: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Model → tokens that it read and wrote."""

    def answers(
        self, questions: Iterable[Question], own: PastCall, prices: Mapping[str, Price]
    ) -> dict[str, int | str]:
        """Answers by the questions' texts; one that has none is left out, and its condition cannot be evaluated.

        Args:
            questions: what the policy asks.
            own: the call that is decided; it counts where its tool is asked about.
            prices: what tokens cost.
        """
        found: dict[str, int | str] = {}
        for question in questions:
            answer = self._answer(question, own, prices)
            if answer is not None:
                found[question.text] = answer
        return found

    def _answer(self, question: Question, own: PastCall, prices: Mapping[str, Price]) -> int | str | None:
        if question.kind == "tokens":
            return sum(read + written for read, written in self.usage.values())
        if question.kind == "cost":
            return self._cost(prices)
        if question.kind == "preceded_by":
            return int(any(call.finished_well and _is_of(question, call) for call in self.calls))
        calls = [call for call in (*self.calls, own) if _is_of(question, call) and _is_within(question, call, own)]
        return len(calls) if question.kind == "count" else _total(question.argument, calls)

    def _cost(self, prices: Mapping[str, Price]) -> str | None:
        with localcontext(prec=50):
            total = Decimal(0)
            for model, (read, written) in self.usage.items():
                if model not in prices and read + written:
                    return None
                if price := prices.get(model):
                    total += (read * Decimal(price.input) + written * Decimal(price.output)) / _MILLION
            return format(total, "f")


def _is_of(question: Question, call: PastCall) -> bool:
    return segments_match(tuple(question.tool.split(".")), tuple(call.tool.split(".")))


def _is_within(question: Question, call: PastCall, own: PastCall) -> bool:
    return not question.within_s or own.proposed_at - call.proposed_at <= timedelta(seconds=question.within_s)


def _total(argument: str, calls: Sequence[PastCall]) -> int | str | None:
    with localcontext(prec=50):
        total: int | Decimal = 0
        for call in calls:
            try:
                total += number(call.arguments.get(argument), Decimal(0))
            except ConditionError:
                return None
    if isinstance(total, Decimal):
        return format(total, "f")
    return total if abs(total) < _LARGEST else None


def questions_about(bundle: Bundle, tool: str) -> tuple[Question, ...]:
    """What the rules that could cover a tool ask about the run so far, sorted."""
    segments = tuple(tool.split("."))
    asked = {
        question
        for rule in _asking(bundle)
        if tool in rule.tool_names or any(segments_match(pattern, segments) for pattern in rule.tool_patterns)
        for condition in rule.rule.when
        if (question := condition.question) is not None
    }
    return tuple(sorted(asked))


@lru_cache(maxsize=8)
def _asking(bundle: Bundle) -> tuple[CompiledRule, ...]:
    return bundle.rules_about(lambda condition: condition.question is not None)


@lru_cache(maxsize=8)
def asks_for_labels(bundle: Bundle) -> bool:
    """Whether any rule asks where values came from."""
    return bool(bundle.rules_about(lambda condition: condition.about_labels))
