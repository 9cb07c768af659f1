"""What the lint finds: a code, a place, one sentence, the next step."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from interlock.types.closed import Closed

Severity = Literal["error", "warning", "note"]
"""error: the policy cannot mean this. warning: it is hardly meant. note: worth knowing."""


class Kind(NamedTuple):
    """A kind of finding."""

    severity: Severity
    title: str


KINDS: Final = MappingProxyType(
    {
        # references to the project, as `policy check` finds them too
        "unknown-name": Kind("error", "a name that nothing in the project has"),
        "unreachable-tool": Kind("error", "a tool pattern that covers no tool"),
        "unreachable-action": Kind("error", "an action that no covered tool has"),
        "unreachable-argument": Kind("error", "an argument that a covered tool lacks"),
        "never-evaluable": Kind("error", "a condition that can never be evaluated"),
        "unsatisfiable-route": Kind("error", "a route that has too few people"),
        # rules beside rules
        "overridden-rule": Kind("error", "a rule that grants only what another one denies"),
        "shadowed-rule": Kind("error", "a rule that never decides, because a stronger one always does"),
        "duplicate-rule": Kind("error", "a rule that says what another one says"),
        "redundant-rule": Kind("note", "a rule that grants only what a wider one grants alike"),
        # one rule by itself
        "contradictory-conditions": Kind("error", "conditions that cannot hold together"),
        "over-broad": Kind("error", "a rule that allows every agent everything"),
        "wide-tenant": Kind("warning", "a rule that allows every tool in every one of several tenants"),
        "open-negation": Kind("warning", "a rule that permits everything but what it lists"),
        "ask-grants": Kind("warning", "a wide rule that asks people for what no rule allows"),
        "idle-guardrail": Kind("warning", "a guardrail that makes nothing stricter"),
        "missing-note": Kind("warning", "a rule that denies or restricts and does not say why"),
        "expired-rule": Kind("warning", "a rule that counts no more"),
        "expiring-rule": Kind("note", "a rule that soon counts no more"),
        "expiring-deny": Kind("warning", "a protection that ends by itself"),
        # who and what is left over
        "unreachable-subject": Kind("error", "a group or role that stands for nobody here"),
        "unreachable-tenant": Kind("error", "a tenant in which nobody can match the rule"),
        "unused-subject": Kind("warning", "a group or role that no rule and no route names"),
        "unused-route": Kind("warning", "a route that no rule asks"),
        "unused-profile": Kind("warning", "a profile that no rule and no tool names"),
        "unused-price": Kind("warning", "a price of a model that no agent uses"),
        "unused-credential": Kind("warning", "a credential that no rule grants"),
        "unknown-label": Kind("warning", "a label that no tool gives"),
        "ungranted-tool": Kind("warning", "a tool that no rule allows or asks"),
        "ungranted-agent-tool": Kind("warning", "a tool of an agent that no rule grants it"),
        "idle-grant": Kind("warning", "a rule that grants agents tools that none of them has"),
        "hot-bucket": Kind("warning", "many rules about one tool, agent and tenant"),
        # the lint itself
        "bad-silence": Kind("error", "a comment that is meant to silence a finding and cannot"),
        "unused-silence": Kind("note", "a comment that silences nothing any more"),
    }
)
"""Every code, stable, with its severity."""


class LintFinding(Closed):
    """One finding."""

    code: str
    """One of `KINDS`."""
    severity: Severity
    file: str
    line: int
    entry: str = ""
    """`rules:ID`, `routes:NAME`, `tools:NAME`, …"""
    rule: str = ""
    """The rule's id where it is about a rule."""
    message: str
    """One sentence: what is wrong."""
    next_step: str
    """One sentence: what to do about it."""
    silenced: str = ""
    """The reason that a comment gives for leaving it so; empty: it counts."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.severity} {self.code}: {self.message}"

    @property
    def order(self) -> tuple[str, int, str, str]:
        """Sorts by file, line, code."""
        return self.file, self.line, self.code, self.message


def finding(code: str, source: str, message: str, next_step: str, *, entry: str = "") -> LintFinding:
    """A finding at `source` (`file:line`); its severity is the code's."""
    file, _, line = source.rpartition(":")
    return LintFinding(
        code=code,
        severity=KINDS[code].severity,
        file=file,
        line=max(int(line), 1),
        entry=entry,
        rule=entry.removeprefix("rules:") if entry.startswith("rules:") else "",
        message=message,
        next_step=next_step,
    )
