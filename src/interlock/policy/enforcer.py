"""Casbin: the one model, the rows, and which of them decide a request.

The matcher's functions get the opaque request and the id of the row's rule, and look up what the rule was
compiled to; the other columns are the same rule for people to read. Nothing of a rule or a request is ever
spliced into the matcher, which Casbin rewrites with regular expressions.

A request is decided by a small enforcer with the rows that could match it. Such enforcers are kept by the rows
that they have, so that the cost of a decision does not depend on the size of the policy.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib import metadata
from typing import Final, NamedTuple

import casbin
from cachetools import LRUCache

from interlock.errors import IntegrityError, PolicyError
from interlock.policy.building import LOCK, builder
from interlock.policy.compiled import CompiledRule
from interlock.policy.index import RuleIndex
from interlock.policy.matching import covers_resource, may_apply, offer
from interlock.policy.rulebook import Rulebook
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

KEPT_ROWS: Final = 65_536
"""Rows in enforcers that are kept beside one set of all rules; the least used go first."""

KEPT_SUBJECTS: Final = 16_384
"""How many pairs of agent and person, with tenant and tool, are kept with the enforcer that decides for them."""

EMPTY_ENFORCER: Final = 16
"""What an enforcer weighs without its rows, in rows."""


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


class Candidates(NamedTuple):
    """Rules that could match a request, strongest first, and the enforcer that has them as rows."""

    positions: tuple[int, ...]
    rules: tuple[CompiledRule, ...]
    enforcer: casbin.Enforcer


def _size(candidates: Candidates) -> int:
    return len(candidates.rules) + EMPTY_ENFORCER


class Pdp:
    """Decides for one bundle: picks the rows that could match, and has Casbin decide among them."""

    def __init__(self, book: Rulebook) -> None:
        """Build it.

        Raises:
            PolicyError: the installation is ambiguous.
        """
        check_installation()
        self._book = book
        self._index = RuleIndex(book.heads)
        self._rules: dict[str, CompiledRule] = {}
        self._rows: dict[int, list[str]] = {}
        self._by_rows: LRUCache[tuple[int, ...], Candidates] = LRUCache(KEPT_ROWS + 2 * len(book), getsizeof=_size)
        self._by_subject: LRUCache[tuple[str, str, str, str], Candidates] = LRUCache(KEPT_SUBJECTS)
        with LOCK:
            self._build = builder(
                MODEL, (self.covers_call, self.covers_subject, self.covers_resource, self.conditions_hold)
            )

    @property
    def rows(self) -> list[list[str]]:
        """Every rule as Casbin's row, strongest first."""
        return [row_of(rule, priority) for priority, rule in enumerate(self._book)]

    def deciding_rule(self, view: RequestView) -> CompiledRule | None:
        """The first row that matches, as Casbin finds it.

        Raises:
            IntegrityError: Casbin's answer and its own row do not agree.
        """
        with LOCK:
            candidates = self._candidates(view)
            offer(view, candidates.rules)
            allowed, row = candidates.enforcer.enforce_ex(view)
        rule = self._rules[row[1]] if row else None
        if allowed is not (rule is not None and rule.rule.effect != "deny"):
            raise IntegrityError(f"Casbin answers {allowed!r} and names {row!r}; nothing was allowed")
        return rule

    def candidates(self, view: RequestView) -> tuple[CompiledRule, ...]:
        """All rules that could match the request, and some that do not, strongest first."""
        with LOCK:
            return self._candidates(view).rules

    def near(self, view: RequestView, count: int, *, denying: bool) -> list[CompiledRule]:
        """Rules that the request may come close to, at most so many, strongest first; all, if there are no more.

        Taken first are those that it could match, then those of the same tool and agent, of the same tool, of the
        same agent, any. How many are looked at does not depend on how many there are.

        Args:
            view: the request.
            count: at most so many.
            denying: whether rules count that grant nothing by themselves.
        """
        return [self._book[position] for position in sorted(self._near(view, count, denying))]

    def _near(self, view: RequestView, count: int, denying: bool) -> Iterable[int]:
        heads = self._book.heads
        if len(heads) <= count:
            return [position for position, head in enumerate(heads) if denying or head.grants]
        with LOCK:
            own = self._candidates(view).positions
        found = dict.fromkeys(
            [position for position in own[: 4 * count] if denying or heads[position].grants][:count]
        )
        for positions in self._index.near(view):
            found |= dict.fromkeys(positions[: count - len(found)])
        return found

    def _candidates(self, view: RequestView) -> Candidates:
        subject = (view.tenant, view.tool, view.request.agent, view.request.requester)
        found = self._by_subject.get(subject)
        if found is None:
            positions = self._index.candidates(view)
            found = self._by_rows.get(positions)
            if found is None:
                found = self._by_rows[positions] = self._made(positions)
            self._by_subject[subject] = found
        return found

    def _made(self, positions: tuple[int, ...]) -> Candidates:
        rules = tuple(self._book[position] for position in positions)
        for position, rule in zip(positions, rules, strict=True):
            if position not in self._rows:
                self._rows[position] = row_of(rule, position)
                self._rules[rule.id] = rule
        return Candidates(positions, rules, self._build([self._rows[position] for position in positions]))

    # Without a candidate Casbin calls these with an empty id: no rule has it, so nothing is covered.

    def covers_call(self, view: RequestView, rule_id: str) -> bool:
        """Whether the rule counts still, and is about this tool and action."""
        rule = self._rules.get(rule_id)
        covered = rule is not None and rule.covers_tool(view) and rule.covers_action(view)
        return covered and rule is not None and rule.covers_expiry(view)

    def covers_subject(self, view: RequestView, rule_id: str) -> bool:
        """Whether the rule is about this agent, person and tenant."""
        rule = self._rules.get(rule_id)
        covered = rule is not None and rule.covers_agent(view) and rule.covers_requester(view)
        return covered and rule is not None and rule.covers_tenant(view)

    def covers_resource(self, view: RequestView, rule_id: str) -> bool:
        """Whether the rule is about this resource."""
        rule = self._rules.get(rule_id)
        return rule is not None and covers_resource(rule, view)

    def conditions_hold(self, view: RequestView, rule_id: str) -> bool:
        """Whether the rule's conditions hold, as far as its effect demands, and a guardrail has what to guard."""
        rule = self._rules.get(rule_id)
        return rule is not None and rule.outcome(view).hold and may_apply(rule, view)


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
