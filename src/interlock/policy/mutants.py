"""A policy with one mistake in it: what could go wrong in each rule, one thing at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from interlock.policy.bundle import Bundle
from interlock.policy.content import Content, read_content
from interlock.policy.enforcer import MODEL
from interlock.policy.entries import OBLIGATIONS, Rule
from interlock.policy.routes import RouteEntry

_FLIPS: Final = {"allow": ("deny",), "deny": ("allow",), "ask": ("allow", "deny")}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake, not yet made."""

    kind: str
    """`drop`, `flip`, `condition`, `tenant`, `agent`, `requester`, `tool`, `action`, `resource`, …"""
    change: str
    """In words: `without the condition on arguments.path`."""
    source: str
    """`file:line` of what is changed."""
    rules: tuple[str, ...]
    """Ids of the rules that it could matter to."""
    rule: Rule | None = None
    """The rule as it is then; None: it is gone."""
    route: RouteEntry | None = None
    """Where not a rule but a route is changed."""

    def applied(self, content: Content) -> Bundle:
        """The policy with this mistake.

        Args:
            content: of the policy without it; it stays as it is.
        """
        made = copy.copy(content)
        made.rules, made.routes, made.sources = dict(content.rules), dict(content.routes), dict(content.sources)
        if self.route is not None:
            made.routes[self.route.name] = self.route
        elif self.rule is not None:
            made.rules[self.rule.id] = self.rule
        else:
            (gone,) = self.rules
            del made.rules[gone], made.sources[f"rules:{gone}"]
        return Bundle.from_content(made)


def content_of(bundle: Bundle) -> Content:
    """The entries that a bundle was made from."""
    return read_content(bundle.to_bytes(), MODEL)


def mutants(bundle: Bundle) -> Iterator[Mutant]:
    """Every mistake that is tried: rules in the order of their ids, then routes."""
    for name, compiled in sorted(bundle.rule_by_id.items()):
        source = compiled.source
        yield Mutant("drop", "dropped", source, (name,))
        for kind, change, update in _changes(compiled.rule):
            yield Mutant(kind, change, source, (name,), rule=_changed(compiled.rule, update))
    for name, route in bundle.routes.items():
        asked = tuple(rule.id for rule in bundle.rules if rule.rule.route == name)
        if route.quorum > 1 and asked:
            weaker = route.model_copy(update={"quorum": route.quorum - 1})
            change = f"route {name} with a quorum of {weaker.quorum}"
            yield Mutant("quorum", change, bundle.sources[f"routes:{name}"], asked, route=weaker)


_GONE: Final = object()


def _changed(rule: Rule, update: dict[str, Any]) -> Rule:
    """The rule with other values, as it would be read from a file."""
    value = rule.model_dump(by_alias=True, exclude_unset=True) | update
    return Rule.model_validate({key: own for key, own in value.items() if own is not _GONE})


def _changes(rule: Rule) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for effect in _FLIPS[rule.effect]:
        yield "flip", f"with effect {effect} instead of {rule.effect}", _flipped(rule, effect)
    for index, condition in enumerate(rule.when):
        kept = [own for place, own in enumerate(rule.when) if place != index]
        yield "condition", f"without the condition {condition.operator} on {condition.address}", {"when": kept}
    yield from _widened(rule)
    if rule.guardrail:
        yield "guardrail", "granting by itself, without guardrail: true", {"guardrail": _GONE}
    if rule.expires is not None:
        yield "expires", "without its expiry", {"expires": _GONE}
    for key in (*OBLIGATIONS, "notify"):
        if getattr(rule, key) is not None:
            yield "obligation", f"without {key}", {key: _GONE}


def _flipped(rule: Rule, effect: str) -> dict[str, Any]:
    update: dict[str, Any] = {"effect": effect}
    if rule.effect == "ask":
        update |= {"route": _GONE, "guardrail": _GONE}
    if effect == "deny":
        update |= dict.fromkeys(OBLIGATIONS, _GONE)
    elif rule.effect == "deny":
        update |= {"agent": rule.agent or ("agent:*",), "tool": rule.tool or ("**",)}
    return update


def _widened(rule: Rule) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if "*" not in rule.tenant:
        yield "tenant", "for any tenant", {"tenant": _GONE}
    if rule.agent is not None and "agent:*" not in rule.agent:
        yield "agent", "for any agent", {"agent": ("agent:*",)}
    if rule.requester is not None and (rule.effect == "deny" or "user:*" not in rule.requester):
        yield "requester", "for anybody", {"requester": _GONE}
    if rule.tool is not None and "**" not in rule.tool:
        wider = tuple(dict.fromkeys(_wider(pattern) for pattern in rule.tool))
        yield "tool", f"for the tools {', '.join(wider)}", {"tool": wider}
    if "*" not in rule.action:
        yield "action", "for any action", {"action": _GONE}
    if "*" not in rule.resource:
        yield "resource", "for any resource", {"resource": _GONE}


def _wider(pattern: str) -> str:
    """The pattern with anything in its last place: `db.read` → `db.**`, `edit_file` → `**`."""
    parent = pattern.removesuffix(".**").rpartition(".")[0]
    return f"{parent}.**" if parent else "**"
