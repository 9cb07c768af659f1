"""What `reconcile` may be, and what the engine's own parameter must be; each mistake with its line."""

from __future__ import annotations

import json

import pytest

from interlock.sandbox.guest.contract import contract
from interlock.sandbox.guest.failure import ToolError
from interlock.sandbox.guest.invoke import carry_out
from interlock.sandbox.guest.loading import SourceProblem

PAY = '''
from decimal import Decimal
from interlock import Done, NotDone, Reconciled, Unknown, tool

def was_paid(amount: Decimal, idempotency_key: str) -> Reconciled:
    return Done(f"{amount} {idempotency_key}")

@tool(action="pay", effects="external", reconcile=was_paid)
def pay(account: str, amount: Decimal, idempotency_key: str) -> str:
    """Pay."""
    return idempotency_key
'''
HEAD = {
    "path": "tools/pay.py",
    "tool": "pay",
    "kind": "run",
    "idempotency_key": "k",
    "output_bytes": 999,
    "time_s": 1,
}
GIVEN = {"account": "a", "amount": "1.50"}


def test_key_is_no_argument_and_reconcile_is_told() -> None:
    found = contract(PAY.encode(), "tools/pay.py")
    assert list(found["parameters"]["properties"]) == found["parameters"]["required"] == ["account", "amount"]
    assert found["reconcile"] is True
    assert contract(PAY.replace(", reconcile=was_paid", "").encode(), "tools/pay.py")["reconcile"] is False


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        (
            "amount: Decimal, idempotency_key: str) -> str",
            "amount: Decimal, idempotency_key: int) -> str",
            9,
            "not int",
        ),
        ("idempotency_key: str) -> R", "idempotency_key: int) -> R", 5, "reconcile: parameter 'idempotency_key'"),
        ("was_paid(amount: Decimal", "was_paid(amount: int", 5, "parameter 'amount' has another type there"),
        ("was_paid(amount: Decimal", "was_paid(sum: Decimal", 5, "'sum' is no parameter of the tool"),
        ("was_paid(amount: Decimal", "was_paid(amount", 5, "parameter 'amount' has no annotation"),
        ("was_paid(amount: Decimal", "was_paid(*amount: Decimal", 5, "'amount' must be a parameter"),
        ("def was_paid", "async def was_paid", 9, "give a plain function of the same file"),
        ("=was_paid", "=print", 9, "reconcile=print: give a plain function"),
        ("=was_paid", "=True", 9, "reconcile=True: give a plain function"),
    ],
)
def test_reconcile_that_cannot_be_asked(old: str, new: str, line: int, told: str) -> None:
    source = PAY.replace(old, new)
    assert source != PAY
    with pytest.raises(SourceProblem, match=told) as problem:
        contract(source.encode(), "tools/pay.py")
    assert problem.value.line == line


def test_idempotent_tool_has_no_reconcile() -> None:
    """It simply runs again, so whoever wrote both expects something else of one of them."""
    from interlock.sandbox.compiler import ToolProblem, read_contract

    found = contract(PAY.replace('"external"', '"external", idempotent=True').encode(), "tools/pay.py")
    line = found.pop("line")
    problem = read_contract(json.dumps({"schema": {**found, "line": line}}).encode())
    assert isinstance(problem, ToolProblem)
    assert "reconcile is never asked of an idempotent tool" in problem.message


def test_engine_gives_the_key() -> None:
    assert carry_out(PAY.encode(), HEAD, GIVEN) == b'"k"'
    with pytest.raises(ToolError, match="no parameter 'idempotency_key'"):
        carry_out(PAY.encode(), HEAD, {**GIVEN, "idempotency_key": "mine"})
    with pytest.raises(ToolError, match="has no idempotency key"):
        carry_out(PAY.encode(), {**HEAD, "idempotency_key": ""}, GIVEN)


@pytest.mark.parametrize(
    ("returned", "answer"),
    [
        ("Done('x')", {"answer": "done", "result": "x"}),
        ("NotDone()", {"answer": "not_done"}),
        ("Unknown('why')", {"answer": "unknown", "reason": "why"}),
    ],
)
def test_answer_is_one_of_three(returned: str, answer: dict[str, str]) -> None:
    source = PAY.replace('Done(f"{amount} {idempotency_key}")', returned)
    assert json.loads(carry_out(source.encode(), {**HEAD, "kind": "reconcile"}, GIVEN)) == answer


@pytest.mark.parametrize("returned", ["'done'", "None", "True", "NotDone", "Done(7)", "Done(None)", "1 / 0"])
def test_anything_else_is_no_answer(returned: str) -> None:
    source = PAY.replace('Done(f"{amount} {idempotency_key}")', returned)
    with pytest.raises(ToolError):
        carry_out(source.encode(), {**HEAD, "kind": "reconcile"}, GIVEN)
