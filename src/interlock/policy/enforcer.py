"""Casbin: the one model, the rows, and the lock under which it decides.

The matcher's functions get the opaque request and the id of the row's rule, and look up what the rule was
compiled to; the other columns are the same rule for people to read. Nothing of a rule or a request is ever
spliced into the matcher, which Casbin rewrites with regular expressions.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import metadata
from typing import Any, Final

import casbin
from casbin.persist import Adapter

from interlock.errors import IntegrityError, PolicyError
from interlock.policy.compiled import CompiledRule
from interlock.policy.view import RequestView

MODEL: Final = """\
[request_definition]
r = request

[policy_definition]
p = priority, id, tool, action, agent, requester, tenant, resource, effect, eft

[policy_effect]
e = priority(p.eft) || deny

[matchers]
m = covers_call(r.request, p.id) && covers_subject(r.request, p.id) && covers_resource(r.request, p.id) \
&& conditions_hold(r.request, p.id)
"""
"""`ask` is an allow row whose rule carries the obligation to have it approved; `effect` keeps the word."""

PYCASBIN: Final = "2.8.0"

_LOCK = threading.Lock()
"""One for all enforcers: Casbin parses and filters warnings through interpreter-wide state."""


@lru_cache(maxsize=1)
def check_installation() -> None:
    """Refuse an installation in which it is not certain which Casbin decides.

    Raises:
        PolicyError: `casbin` is installed beside `pycasbin` (both own the same import name), or `pycasbin`
            is not the version that this engine was tested with.
    """
    if _version("casbin"):
        raise PolicyError(
            "the distribution 'casbin' is installed beside 'pycasbin' and overwrites its files",
            next_step=f"pip uninstall -y casbin pycasbin && pip install pycasbin=={PYCASBIN}",
        )
    if _version("pycasbin") != PYCASBIN:
        raise PolicyError(
            f"pycasbin is {_version('pycasbin') or 'not installed'}, this engine needs {PYCASBIN}",
            next_step=f"pip install pycasbin=={PYCASBIN}",
        )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


class _Rows(Adapter):  # type: ignore[misc]
    """Hands the rows over as they are; Casbin's text formats would drop those that they do not know."""

    def __init__(self, rows: Sequence[list[str]]) -> None:
        self.rows = rows

    def load_policy(self, model: Any) -> None:
        model["p"]["p"].policy.extend(self.rows)


class _Enforcer(casbin.Enforcer):  # type: ignore[misc]
    """Keeps the parsed matcher: parsing it for each call costs more than a decision, and `ast.parse` raises
    now and then on Python 3.11 while another thread parses. If Casbin renames the hook, its own way remains.
    """

    def _get_expression(self, expr: str, functions: Any = None) -> Any:
        kept = self.__dict__.setdefault("_kept_expressions", {})
        if expr not in kept:
            kept[expr] = casbin.Enforcer._get_expression(expr, functions)
        return kept[expr]


class Pdp:
    """The enforcer of one bundle."""

    def __init__(self, ranked: Sequence[CompiledRule]) -> None:
        """Build it from the rules, strongest first.

        Raises:
            PolicyError: the installation is ambiguous.
        """
        check_installation()
        self._rules = {rule.id: rule for rule in ranked}
        self.rows = [row_of(rule, priority) for priority, rule in enumerate(ranked)]
        with _LOCK:
            self._enforcer = _Enforcer(casbin.Enforcer.new_model(text=MODEL), _Rows(self.rows))
            functions: tuple[Callable[..., bool], ...] = (
                self.covers_call,
                self.covers_subject,
                self.covers_resource,
                self.conditions_hold,
            )
            for function in functions:
                self._enforcer.add_function(function.__name__, function)

    def deciding_rule(self, view: RequestView) -> CompiledRule | None:
        """The first row that matches, as Casbin finds it.

        Raises:
            IntegrityError: Casbin's answer and its own row do not agree.
        """
        with _LOCK:
            allowed, row = self._enforcer.enforce_ex(view)
        rule = self._rules[row[1]] if row else None
        if allowed is not (rule is not None and rule.rule.effect != "deny"):
            raise IntegrityError(f"Casbin answers {allowed!r} and names {row!r}; nothing was allowed")
        return rule

    # An empty policy makes Casbin call these with an empty id: no rule has it, so nothing is covered.

    def covers_call(self, view: RequestView, rule_id: str) -> bool:
        """Whether the rule is about this tool and action."""
        rule = self._rules.get(rule_id)
        return rule is not None and rule.covers_tool(view) and rule.covers_action(view)

    def covers_subject(self, view: RequestView, rule_id: str) -> bool:
        """Whether the rule is about this agent, person and tenant."""
        rule = self._rules.get(rule_id)
        covered = rule is not None and rule.covers_agent(view) and rule.covers_requester(view)
        return covered and rule is not None and rule.covers_tenant(view)

    def covers_resource(self, view: RequestView, rule_id: str) -> bool:
        """Whether the rule is about this resource."""
        rule = self._rules.get(rule_id)
        return rule is not None and rule.covers_resource(view)

    def conditions_hold(self, view: RequestView, rule_id: str) -> bool:
        """Whether the rule's conditions hold, as far as its effect demands."""
        rule = self._rules.get(rule_id)
        return rule is not None and rule.outcome(view).hold


def row_of(rule: CompiledRule, priority: int) -> list[str]:
    """The rule as Casbin's row."""
    own = rule.rule
    lists = (
        own.tool or ("**",),
        own.action,
        sorted(rule.agents),
        sorted(rule.requesters),
        own.tenant,
        own.resource,
    )
    texts = [" ".join(items) for items in lists]
    return [str(priority), own.id, *texts, own.effect, "deny" if own.effect == "deny" else "allow"]
