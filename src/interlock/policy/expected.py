"""What a permission case expects of a decision, and what a decision has otherwise."""

from __future__ import annotations

from typing import Any, Final, Literal

from interlock.types.access import Decision, Limits
from interlock.types.closed import Closed
from interlock.types.names import Name, SubjectName

TERMS: Final = (
    *("route", "quorum", "stages", "approvers"),
    *("profile", "egress", "credentials", "limits", "redact", "notify"),
)
"""What a case may expect besides the verdict and the rule."""


def terms_of(decision: Decision) -> dict[str, Any]:
    """What a case can expect of a decision besides its verdict and its rule."""
    route, obliged = decision.route, decision.obligations
    named = {name: getattr(obliged, name) for name in ("credentials", "limits", "redact", "notify")}
    named["egress"] = tuple(dict.fromkeys(rule.host for rule in obliged.egress))
    people = {
        "route": route.name if route else None,
        "quorum": route.quorum if route else None,
        "stages": tuple(stage.name for stage in route.stages if stage.name) if route else (),
        "approvers": route.approvers if route else (),
    }
    return {**people, "profile": decision.profile, **named}


class Expected(Closed):
    """What must be decided. The verdict and the rule are always tested, the rest where it is given."""

    verdict: Literal["allow", "ask", "deny"]
    rule: str = ""
    """Id of the deciding rule; empty: none, the default denies."""
    route: Name | None = None
    """Who must approve."""
    quorum: int | None = None
    """How many approvals it takes, over all stages."""
    stages: tuple[Name, ...] | None = None
    """Names of the route's stages, in order; `[]`: it has one only."""
    approvers: tuple[SubjectName, ...] | None = None
    """Everybody who may decide at one stage or another, as users, sorted."""
    profile: Name | Literal[""] | None = None
    """The sandbox profile that the rule names; `''`: none, the tool's own."""
    egress: tuple[str, ...] | None = None
    """Hosts that the rule lets the call reach; `[]`: it names none."""
    credentials: tuple[Name, ...] | None = None
    """Credentials that may be added to its requests."""
    limits: Limits | None = None
    redact: tuple[str, ...] | None = None
    notify: tuple[SubjectName, ...] | None = None
    """Who is told, as users, sorted."""

    def differences(self, decision: Decision) -> list[str]:
        """What a decision has otherwise, each as `expected …, got …`."""
        wanted, got = _words(self.verdict, self.rule), _words(decision.verdict, decision.rule)
        found = [f"expected {wanted}, got {got}"] if wanted != got else []
        made = terms_of(decision)
        for name in TERMS:
            own = getattr(self, name)
            if own is not None and own != made[name]:
                found.append(f"expected {name} {_shown(own)}, got {_shown(made[name])}")
        return found


def _shown(value: Any) -> str:
    if isinstance(value, Limits):
        return ", ".join(f"{name} {limit}" for name, limit in value.model_dump(exclude_none=True).items()) or "none"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return str(value) if value not in ("", None) else "none"


def _words(verdict: str, rule: str) -> str:
    return f"{verdict} by rule {rule!r}" if rule else f"{verdict} by default"
