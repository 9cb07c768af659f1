"""Asks the outside world, by the tool's own `reconcile`, whether a call happened whose result was lost.

The question runs in a container of its own, under the call's profile and with its way out, and its answer is bound
to this one attempt. It is the tool's word about its own call and counts for no other; what does not read as an
answer is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pydantic import JsonValue, ValidationError

from interlock.definitions import ToolEntry
from interlock.digest import canonical, parse
from interlock.errors import Conflict, InvalidInput
from interlock.sandbox import SandboxResult
from interlock.types.closed import Closed

if TYPE_CHECKING:
    from interlock.run.execution import Execution

_SHOWN: Final = 500


class Answer(Closed):
    """What `reconcile` says."""

    answer: Literal["done", "not_done", "unknown"]
    result: JsonValue = None
    """What the call would have returned; only with done."""
    reason: str = ""


class Asked(NamedTuple):
    """What came of asking."""

    answer: Literal["done", "not_done", "unknown"]
    result: SandboxResult
    """Of the question; where the call is done, as the call's own."""
    reason: str = ""
    """Why it is unknown, for the person who decides."""


def question_id(call_id: str, attempt: int) -> str:
    """What the question's container is known by. No call has such an id."""
    return f"{call_id}:reconcile{attempt}"


async def reconcile(execution: Execution) -> Asked:
    """Ask. Whatever goes wrong in the sandbox is an unknown.

    Raises:
        SandboxUnavailable: no sandbox can be had, so nothing was asked.
    """
    call = execution.sandbox_call()
    use = "none" if call.workspace_use == "none" else "read"
    question = call.model_copy(
        update={
            "call_id": question_id(call.call_id, execution.attempt),
            "asks": True,
            "workspace_use": use,
            # Not in a container that a call of its run has used, or will use.
            "profile": call.profile.model_copy(update={"reuse": "call"}),
        }
    )
    try:
        result = await execution.executor.driver.run(question, execution.blobs, execution.observer())
    except (InvalidInput, Conflict) as error:
        return Asked("unknown", execution.ended("error", str(error)), _shown(f"it could not be asked: {error}"))
    return _read(execution, result)


def _read(execution: Execution, result: SandboxResult) -> Asked:
    if result.value is None:
        return Asked("unknown", result, _shown(f"{result.status}: {result.error}"))
    try:
        answer = Answer.model_validate(parse(result.value))
        value = canonical(answer.result, max_bytes=execution.profile.output_kib * 1024)
    except (ValidationError, InvalidInput) as error:
        return Asked("unknown", result, _shown(f"it gave no answer: {error}"))
    if answer.answer != "done":
        return Asked(answer.answer, result, _shown(answer.reason))
    if wrong := _misfit(execution.entry, answer.result):
        return Asked("unknown", result, _shown(f"it says done, with a result that the tool cannot have: {wrong}"))
    note = "the result of an earlier attempt was lost; this is what the tool's reconcile found: it was done"
    found = execution.ended("ok", "").model_copy(
        update={
            "value": value,
            "notes": (note,),
            "image": result.image,
            "started_at": result.started_at,
            "ended_at": result.ended_at,
            "start": "reconciled",
            "usage": result.usage,
            "egress": result.egress,
        }
    )
    return Asked("done", found)


def _misfit(entry: ToolEntry, value: JsonValue) -> str:
    """Why a value is no result of the tool; empty: it is one."""
    wrong = (
        best_match(Draft202012Validator(entry.schema_.result).iter_errors(value)) if entry.schema_.result else None
    )
    return "" if wrong is None else wrong.message


def _shown(text: str) -> str:
    return " ".join(text.split())[:_SHOWN]
