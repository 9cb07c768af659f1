"""A bundle in numbers, and as Casbin gets it."""

from __future__ import annotations

from collections.abc import Iterator

from interlock.digest import parse
from interlock.policy.bundle import Bundle
from interlock.policy.enforcer import row_of
from interlock.policy.entries import SECTIONS


def counts(bundle: Bundle) -> dict[str, int]:
    """How many entries each section has, and how many rules each effect."""
    value = parse(bundle.to_bytes())
    effects = [rule.rule.effect for rule in bundle.rules]
    guardrails = sum(rule.rule.guardrail for rule in bundle.rules)
    by_effect = {effect: effects.count(effect) for effect in ("deny", "ask", "allow")}
    return {**{name: len(value.get(name, ())) for name in SECTIONS}, **by_effect, "guardrails": guardrails}


def casbin_rows(bundle: Bundle) -> list[list[str]]:
    """The rows in the order of their priority, each as the values of the model's policy definition."""
    return [row_of(rule, priority) for priority, rule in enumerate(bundle.rules)]


def casbin_lines(bundle: Bundle) -> Iterator[str]:
    """The rows as Casbin's file adapter reads them.

    Its format has no quotes. Where a resource pattern has a character that means something to it, that character is
    written as `%2C`; no pattern has a percent sign of its own, and nothing but the id decides.
    """
    for row in casbin_rows(bundle):
        yield ", ".join(["p", *map(_escaped, row)])


def _escaped(text: str) -> str:
    return "".join(f"%{ord(char):02X}" if char in ",()[]#\"'" else char for char in text)
