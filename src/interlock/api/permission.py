"""Whether a person may do something here: asked of the same policy, by the same rules, as what agents may do.

The rules name `agent: agent:interlock.api`, which no agent of a project can be called; see
docs/adr/0021-people-by-the-same-policy.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Depends
from pydantic import JsonValue

from interlock.api.caller import Caller, caller
from interlock.api.services import Services, services
from interlock.errors import InvalidInput, Refused
from interlock.policy import decide
from interlock.run.people import ACTIONS, API_AGENT, Action, Noun, tool_of
from interlock.types.access import AccessRequest, Decision

__all__ = ["AGENT", "Action", "Noun", "may", "permitted"]

AGENT: Final = f"agent:{API_AGENT}"


def permitted(
    held: Services,
    who: Caller,
    noun: Noun,
    action: Action,
    resource: str = "",
    arguments: Mapping[str, JsonValue] | None = None,
) -> Decision:
    """The decision that lets a person do it.

    Raises:
        Refused: the policy does not; to ask somebody first is no answer here, so *ask* refuses as well.
    """
    if who.scopes is not None and f"{noun}:{action}" not in who.scopes:
        raise Refused(
            f"this token is not for {noun}:{action}",
            next_step=f"make one with --scope {noun}:{action}: interlock accounts token new",
        )
    bundle = held.bundle
    decision = decide(
        bundle,
        AccessRequest(
            tenant=who.tenant,
            agent=AGENT,
            requester=who.person,
            tool=tool_of(noun, action),
            action=action,
            resource=resource or f"interlock:{noun}",
            arguments=dict(arguments or {}),
            run="interlock.api",
            workflow="api",
            time=datetime.now(UTC),
        ),
    )
    if decision.verdict != "allow":
        raise Refused(f"{who.person} may not {action} {noun}: {decision.reason}")
    rule = bundle.rule(decision.rule)
    # A rule that says `agent:*` was written with a project's agents in mind, and gives people nothing.
    if rule is None or AGENT not in rule.agents:
        raise Refused(
            f"{who.person} may not {action} {noun}: rule {decision.rule!r} does not name {AGENT}",
            next_step=f"write a rule with `agent: {AGENT}` and `tool: {tool_of(noun, action)}`",
        )
    return decision


def may(noun: Noun, action: Action) -> Callable[..., Awaitable[Caller]]:
    """A dependency that lets only those past whom the policy permits `action` on `noun`; it gives the caller.

    Raises:
        InvalidInput: there is no such noun or action.
    """
    if action not in ACTIONS.get(noun, ()):
        raise InvalidInput(f"no permission {noun}:{action} is known")

    async def permission(
        who: Annotated[Caller, Depends(caller)], held: Annotated[Services, Depends(services)]
    ) -> Caller:
        permitted(held, who, noun, action)
        return who

    permission.asks = f"{noun}:{action}"  # type: ignore[attr-defined]
    return permission
