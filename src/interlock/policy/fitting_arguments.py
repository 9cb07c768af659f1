"""Whether a call's arguments fit conditions that stand outside of a rule: those of a standing grant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from interlock.errors import InvalidInput
from interlock.policy.compiled import compile_conditions
from interlock.policy.conditions import Condition
from interlock.policy.normal import ConditionError
from interlock.policy.people import People
from interlock.policy.view import RequestView
from interlock.types.access import AccessRequest


def argument_conditions(written: Sequence[Any]) -> tuple[Condition, ...]:
    """Conditions on arguments, as a rule writes them.

    Raises:
        InvalidInput: one is none, or is about something else than an argument's value.
    """
    try:
        found = tuple(Condition.model_validate(one) for one in written)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidInput(f"when: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    for condition in found:
        if condition.argument is None or condition.about_labels:
            raise InvalidInput(f"when: {condition.address}: only the values of arguments can be tested here")
    return found


def arguments_fit(written: Sequence[Any], request: AccessRequest, people: People) -> bool:
    """Whether all conditions hold; one that cannot be told does not. Raises as `argument_conditions`."""
    conditions = compile_conditions(argument_conditions(written), {})
    view = RequestView(request, people)
    if view.invalid:
        return False
    try:
        return all(condition.holds(view) for condition in conditions)
    except ConditionError:
        return False
