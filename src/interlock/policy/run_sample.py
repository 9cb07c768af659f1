"""A run so far that answers a rule's question in a given way: how often, how much, what came before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from interlock.policy.cases import CaseCall, CaseRequest
from interlock.policy.conditions import Condition
from interlock.policy.entries import Price
from interlock.policy.patterns import segments_match
from interlock.policy.questions import Question

_MOST_CALLS: Final = 300


def runs_around(request: CaseRequest, condition: Condition, prices: Mapping[str, Price]) -> Iterator[CaseRequest]:
    """The request after runs on both sides of a condition about the run so far."""
    question = condition.question
    if question is None:
        return
    if question.kind == "preceded_by":
        yield from (_preceded(request, question, well) for well in (True, False, None))
        return
    limit = condition.operand
    step = 1 if isinstance(limit, int) else Decimal(1).scaleb(min(int(limit.as_tuple().exponent), 0))
    for answer in (limit, limit - step, limit + step, 0, 1):
        if (made := _answered(request, question, answer, prices)) is not None:
            yield made


def _answered(
    request: CaseRequest, question: Question, answer: int | Decimal, prices: Mapping[str, Price]
) -> CaseRequest | None:
    if question.kind in ("tokens", "cost"):
        usage = _usage(question, answer, prices)
        return None if usage is None else request.model_copy(update={"usage": usage})
    own = int(_covers(question, request.tool))
    others = tuple(call for call in request.so_far if not _covers(question, call.tool))
    if question.kind == "count":
        missing = int(answer) - own
        if not 0 <= missing <= _MOST_CALLS:
            return None
        return request.model_copy(update={"so_far": (*others, *(_call(question, {}) for _ in range(missing)))})
    return _summed(request, question, answer, own, others)


def _usage(
    question: Question, answer: int | Decimal, prices: Mapping[str, Price]
) -> dict[str, tuple[int, int]] | None:
    """Tokens that come to the answer, or for a cost to the next one above it."""
    model, price = next(((name, p) for name, p in sorted(prices.items()) if p.input > 0), ("model", None))
    if answer < 0 or (question.kind == "cost" and price is None):
        return None
    read = Decimal(answer)
    if question.kind == "cost" and price is not None:
        read = (read * 1_000_000 / Decimal(price.input)).to_integral_value(ROUND_CEILING)
    return {model: (int(read), 0)} if read else {}


def _summed(
    request: CaseRequest, question: Question, answer: int | Decimal, own: int, others: tuple[CaseCall, ...]
) -> CaseRequest | None:
    paid = request.arguments.get(question.argument, 0) if own else 0
    try:
        rest = Decimal(str(answer)) - Decimal(str(paid))
    except ArithmeticError:
        return None
    amount: Any = format(rest, "f") if isinstance(answer, Decimal) else int(rest)
    earlier = (_call(question, {question.argument: amount}),) if rest else ()
    return request.model_copy(update={"so_far": (*others, *earlier)})


def _preceded(request: CaseRequest, question: Question, well: bool | None) -> CaseRequest:
    others = tuple(call for call in request.so_far if not _covers(question, call.tool))
    before = () if well is None else (_call(question, {}, well),)
    return request.model_copy(update={"so_far": (*others, *before)})


def _call(question: Question, arguments: dict[str, Any], well: bool = True) -> CaseCall:
    tool = question.tool.replace("**", "example").replace("*", "example")
    return CaseCall(tool=tool, arguments=arguments, ago="1s", finished_well=well)


def _covers(question: Question, tool: str) -> bool:
    return segments_match(tuple(question.tool.split(".")), tuple(tool.split(".")))
