"""What time and care have left behind: rules that end, rules without a reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from interlock.policy.bundle import Bundle
from interlock.policy.compiled import CompiledRule
from interlock.policy.lint.finding import LintFinding, finding

SOON: Final = timedelta(days=30)
"""A rule that ends within this time is told."""


def upkeep(bundle: Bundle, today: date) -> Iterator[LintFinding]:
    """Rules that expired or will, protections that end, and rules that do not say why."""
    for rule in bundle.rules:
        yield from _expiry(rule, today)
        protects = rule.denies or rule.rule.guardrail
        if protects and not rule.rule.note:
            what = "denies" if rule.denies else "is a guardrail"
            said = f"rule {rule.id!r} {what} and has no note: a denied agent reads no reason."
            yield finding("missing-note", rule.source, said, "Say why in its note.", entry=f"rules:{rule.id}")


def _expiry(rule: CompiledRule, today: date) -> Iterator[LintFinding]:
    expires, entry = rule.rule.expires, f"rules:{rule.id}"
    if expires is None:
        return
    if expires <= today:
        said = f"rule {rule.id!r} counts no more since {expires}."
        yield finding("expired-rule", rule.source, said, "Drop it, or have its owner renew it.", entry=entry)
    elif rule.denies or rule.rule.guardrail:
        said = (
            f"rule {rule.id!r} protects only until {expires}; then what it stops is possible, and nobody is told."
        )
        yield finding(
            "expiring-deny", rule.source, said, "Leave out 'expires'; drop the rule by a change.", entry=entry
        )
    elif expires - today <= SOON:
        said = f"rule {rule.id!r} counts no more from {expires}, in {(expires - today).days} days."
        yield finding(
            "expiring-rule", rule.source, said, f"Ask {rule.rule.owner} whether to renew it.", entry=entry
        )
