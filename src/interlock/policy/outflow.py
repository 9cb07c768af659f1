"""Rules about what leaves a sandbox, beside the tools that they are about: what executors would always refuse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from interlock.definitions import ToolSchema
from interlock.policy.bundle import Bundle
from interlock.policy.compiled import CompiledRule


def outflow_problems(bundle: Bundle, rule: CompiledRule, tools: Iterable[ToolSchema]) -> Iterator[tuple[str, str]]:
    """Kinds of mistake and sentences.

    Args:
        bundle: the rule's.
        rule: which rule.
        tools: those that it is about.
    """
    own = rule.rule
    if own.effect == "deny" or own.guardrail:
        return
    for tool in tools:
        profile = bundle.profiles.get(own.profile or tool.profile)
        reaches = own.egress or (profile.egress if profile else ())
        if reaches and tool.flow != "sink":
            yield (
                "unreachable-tool",
                f"it gives tool {tool.name!r} a way out, which is declared as a {tool.flow}, so that no call of it "
                "runs: declare flow='sink' at the tool, or name the tools apart",
            )
        if tool.credentials and not reaches:
            said = f"tool {tool.name!r} needs credential {tool.credentials[0]!r}, and it may reach nothing"
            yield "unreachable-tool", f"{said}: give the rule or its profile `egress`"
        for credential in tool.credentials if reaches else ():
            if credential not in (own.credentials or ()):
                said = f"tool {tool.name!r} needs credential {credential!r}, which the rule does not grant"
                yield "unreachable-tool", f"{said}, so that no call of it runs: add `credentials: [{credential}]`"
