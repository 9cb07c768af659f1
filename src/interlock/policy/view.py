"""The request as the policy sees it: converted and checked once, opaque to Casbin."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal
from typing import Any

from interlock.digest import canonical, digest_bytes
from interlock.policy.conditions import LABEL_OPERATORS, LABEL_SETS, Condition
from interlock.policy.normal import ConditionError
from interlock.policy.people import People
from interlock.policy.questions import Question
from interlock.types.access import AccessRequest, canonical_request


class RequestView:
    """One access request, ready to be matched.

    Casbin formats its request values for a log, and its evaluator offers attributes to expressions; this
    object's text is the request's digest, and no expression of ours reads an attribute.
    """

    __slots__ = (
        "action",
        "agent_names",
        "digest",
        "invalid",
        "known",
        "memo",
        "request",
        "requester_names",
        "tenant",
        "time",
        "tool",
        "tool_segments",
    )

    def __init__(self, request: AccessRequest, people: People) -> None:
        """Convert.

        Raises:
            InvalidInput: the request has no canonical form (a float, too deep, too large, bad text), so that
                it could neither be recorded nor decided again.
        """
        self.request = request
        self.digest = digest_bytes(canonical(canonical_request(request)))
        self.invalid = _invalid(request)
        self.tool, self.action, self.tenant = request.tool, request.action, request.tenant
        self.tool_segments = tuple(request.tool.split("."))
        self.time = None if self.invalid else request.time.astimezone(UTC)
        self.agent_names = people.names_of(request.agent)
        self.requester_names = people.names_of(request.requester)
        self.known = people.is_known(request.requester, request.tenant)
        self.memo: dict[str, Any] = {}
        """What was found for a rule's conditions, by rule."""

    def __repr__(self) -> str:
        return f"<access request {self.digest}>"

    def value(self, condition: Condition) -> Any:
        """What a condition addresses.

        Raises:
            ConditionError: the argument is absent, or the request does not say it.
        """
        if condition.argument is not None:
            if condition.operator in LABEL_OPERATORS:
                return self._labels((condition.argument.partition(".")[0],))
            return self._argument(condition.argument)
        question = condition.question
        if question is not None:
            return self._fact(question)
        attribute = str(condition.attribute)
        if attribute == "time":
            return self.time
        if attribute in LABEL_SETS:
            return self._label_set(attribute)
        return getattr(self.request, attribute)

    def _argument(self, path: str) -> Any:
        found: Any = self.request.arguments
        for key in path.split("."):
            if not isinstance(found, dict) or key not in found:
                raise ConditionError("it is absent")
            found = found[key]
        return found

    def _fact(self, question: Question) -> Any:
        found = self.request.facts.get(question.text)
        if found is None:
            raise ConditionError("nobody knows it of this run")
        if question.kind == "preceded_by":
            return found == 1
        return found if isinstance(found, int) else _decimal(found)

    def _label_set(self, attribute: str) -> tuple[str, ...]:
        request = self.request
        if attribute in ("emits", "declassifies"):
            return request.emits if attribute == "emits" else request.declassifies
        if request.labels is None:
            raise ConditionError("nobody traced the run's data")
        if attribute == "seen":
            return request.seen
        names = request.destination if attribute == "destination" else tuple(request.arguments)
        return self._labels(tuple(name for name in names if name in request.arguments))

    def _labels(self, names: tuple[str, ...]) -> tuple[str, ...]:
        labels = self.request.labels
        if labels is None:
            raise ConditionError("nobody traced the run's data")
        missing = [name for name in names if name not in labels]
        if missing:
            raise ConditionError("it is absent")
        return tuple(label for name in names for label in labels[name])


def _decimal(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except ArithmeticError as error:
        raise ConditionError("the answer is no number") from error
    if not found.is_finite():
        raise ConditionError("the answer is no number")
    return found


def _invalid(request: AccessRequest) -> str:
    if not request.agent.startswith("agent:"):
        return "'agent' must be an agent: roles and groups do not act"
    if not request.requester.startswith("user:"):
        return "'requester' must be a user: nobody else asks"
    if request.time.tzinfo is None or request.time.utcoffset() is None:
        return "'time' must carry its zone"
    return ""
