"""Building an enforcer for a few rows: Casbin's stock one, and one that is built and asked several times faster.

The quick one parses model and matcher once for all enforcers of a bundle, where the stock one parses the matcher
anew for each call. It leans on two inner parts of Casbin (`_get_expression`, and that loading copies the model),
so it is compared with the stock one when the process first needs it, and where it differs the stock one is used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import lru_cache
from itertools import product
from typing import Any, Final

import casbin
from casbin.model import Assertion
from casbin.persist import Adapter

LOCK: Final = threading.Lock()
"""One for all enforcers: Casbin parses and filters warnings through interpreter-wide state."""

Row = list[str]
Function = Callable[[Any, str], bool]
"""A function of the matcher: the opaque request and the id of the row's rule."""
Build = Callable[[Sequence[Row]], casbin.Enforcer]


def builder(model: str, functions: Sequence[Function]) -> Build:
    """How enforcers with this model and these functions are built. Build and ask them under `LOCK`."""
    names = tuple(function.__name__ for function in functions)
    return (quick if agrees(quick, model, names) else stock)(model, functions)


def stock(model: str, functions: Sequence[Function]) -> Build:
    """Casbin as it comes."""
    return lambda rows: _ready(casbin.Enforcer(casbin.Enforcer.new_model(text=model), Rows(rows)), functions)


def quick(model: str, functions: Sequence[Function]) -> Build:
    """Casbin with what does not change from enforcer to enforcer made once."""
    template, parsed = _Model(), dict[str, Any]()
    template.load_model_from_text(model)
    return lambda rows: _ready(_Enforcer(template, Rows(rows), parsed), functions)


def _ready(enforcer: casbin.Enforcer, functions: Sequence[Function]) -> casbin.Enforcer:
    for function in functions:
        enforcer.add_function(function.__name__, function)
    return enforcer


class Rows(Adapter):  # type: ignore[misc]
    """Hands the rows over as they are; Casbin's text formats would drop those that they do not know."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def load_policy(self, model: Any) -> None:
        """Take the rows up."""
        model["p"]["p"].policy.extend(self.rows)


class _Model(casbin.Model):  # type: ignore[misc]
    """Shares with its copies all but the rows."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Model:
        twin = _Model()
        twin.model = {section: dict(definitions) for section, definitions in self.model.items()}
        twin.model["p"] = {name: _without_rows(rows) for name, rows in self.model["p"].items()}
        return twin


def _without_rows(rows: Assertion) -> Assertion:
    twin = copy(rows)
    twin.policy, twin.policy_map, twin.field_index_map = [], {}, {}
    return twin


class _Enforcer(casbin.Enforcer):  # type: ignore[misc]
    """Keeps the parsed matcher: parsing it for each call costs more than a decision, and `ast.parse` raises
    now and then on Python 3.11 while another thread parses.
    """

    def __init__(self, model: casbin.Model, rows: Adapter, parsed: dict[str, Any]) -> None:
        super().__init__(model, rows)
        self._parsed = parsed

    def _get_expression(self, expr: str, functions: Any = None) -> Any:
        if expr not in self._parsed:
            self._parsed[expr] = casbin.Enforcer._get_expression(expr, functions)
        return self._parsed[expr]


@lru_cache(maxsize=8)
def agrees(kind: Callable[[str, Sequence[Function]], Build], model: str, names: tuple[str, ...]) -> bool:
    """Whether enforcers of a kind answer as stock ones do, for every way in which three rows can match."""
    try:
        return _answers(kind, model, names) == _answers(stock, model, names)
    except Exception:  # a Casbin in which an inner part is missing
        return False


def _answers(kind: Callable[[str, Sequence[Function]], Build], model: str, names: tuple[str, ...]) -> list[Any]:
    build = kind(model, [_toy(name) for name in names])
    tokens = [token.removeprefix("p_") for token in casbin.Enforcer.new_model(text=model)["p"]["p"].tokens]
    return list(_asked(build, tokens))


def _asked(build: Build, tokens: list[str]) -> Iterator[Any]:
    for effects in ([], ["deny", "allow", "allow"], ["allow", "deny", "allow"]):
        # Written backwards: the priorities must count, not the order.
        rows = [[_cell(token, n, effect) for token in tokens] for n, effect in enumerate(effects)][::-1]
        enforcer, untouched = build(rows), build(rows[:1])
        for matching in product((False, True), repeat=3):
            ids = frozenset(f"r{n}" for n, matches in enumerate(matching) if matches)
            yield enforcer.enforce_ex(ids), untouched.enforce_ex(ids)


def _cell(token: str, number: int, effect: str) -> str:
    return {"priority": str(number + 9), "id": f"r{number}", "eft": effect}.get(token, "x")


def _toy(name: str) -> Function:
    def function(request: frozenset[str], rule_id: str) -> bool:
        return rule_id in request

    function.__name__ = name
    return function
