"""What one call may send out of its sandbox: its rule's egress, else its profile's, with the credentials that the
rule grants to its tool."""

from __future__ import annotations

from interlock.definitions import ToolSchema
from interlock.errors import Refused
from interlock.policy import Bundle
from interlock.types.access import Decision
from interlock.types.egress import Credential, EgressRule, WayOut
from interlock.types.profile import Profile


def way_out(bundle: Bundle, decision: Decision, tool: ToolSchema, profile: Profile) -> WayOut | None:
    """The way out that a decided call has; None: it has none.

    Raises:
        Refused: the tool is not declared as one through which data leaves, or needs a credential that it does not
            get; so it must not run.
    """
    rules: tuple[EgressRule, ...] = decision.obligations.egress or profile.egress
    if tool.credentials and not rules:
        raise Refused(
            f"tool {tool.name!r} needs credential {tool.credentials[0]!r}, and neither rule {decision.rule!r} nor "
            f"profile {profile.name!r} lets it reach anything",
            next_step="give the rule or the profile `egress`",
        )
    if not rules:
        return None
    if tool.flow != "sink":
        raise Refused(
            f"rule {decision.rule!r} or profile {profile.name!r} gives this call a way out, and tool "
            f"{tool.name!r} is declared as a {tool.flow}, through which no data leaves",
            next_step="declare flow='sink' at the tool, so that rules about what leaves see it; or drop the egress",
        )
    return WayOut(rules=rules, credentials=tuple(_granted(bundle, decision, tool)))


def _granted(bundle: Bundle, decision: Decision, tool: ToolSchema) -> list[Credential]:
    found = []
    for name in tool.credentials:
        if name not in decision.obligations.credentials:
            raise Refused(
                f"tool {tool.name!r} needs credential {name!r}, which rule {decision.rule!r} does not grant",
                next_step=f"`credentials: [{name}]` in the rule grants it",
            )
        found.append(bundle.credentials[name])
    return found
