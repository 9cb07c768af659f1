"""How `can` and `who` look into a project, and how they tell what they found."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from interlock.cli import say
from interlock.cli.session import bundle_of, settings
from interlock.errors import InterlockError

if TYPE_CHECKING:
    from interlock.definitions import Manifest
    from interlock.policy.reach import Reach, Reaching
    from interlock.policy.survey import Survey

_STYLE = {"allow": "bold green", "ask": "bold yellow", "deny": "bold red"}
_NAMED = 6


class Surveyed:
    """The policy as the files are now, and the agents and tools of the project that it is about."""

    def __init__(self, tenant: str) -> None:
        """Load both. A project whose tools cannot be compiled here leaves the names that the policy has.

        Raises:
            PolicyError: the policy does not load.
        """
        from interlock.policy.survey import Survey
        from interlock.run.catalogue import built_in
        from interlock.run.contracts import BUILT_IN_TOOLS
        from interlock.run.people import people_tools

        own = settings()
        self.manifest = _manifest()
        actions = {name: built_in(name).schema_.action for name in BUILT_IN_TOOLS}
        actions |= {name: schema.action for name, schema in people_tools().items()}
        if self.manifest:
            actions |= {name: entry.schema_.action for name, entry in self.manifest.tools.items()}
        self.survey: Survey = Survey(
            bundle_of(own),
            tenant or own.tenant,
            datetime.now(UTC).date(),
            project_agents=[f"agent:{name}" for name in self.manifest.agents] if self.manifest else (),
            project_tools=actions,
        )

    def lacks(self, one: Reach) -> bool:
        """Whether the project does not give the agent this tool, so that it cannot even propose the call."""
        if self.manifest is None or "*" in one.tool or one.tool.startswith("interlock."):
            return False
        agent = self.manifest.agents.get(one.agent.removeprefix("agent:"))
        return agent is None or one.tool not in agent.tools


def _manifest() -> Manifest | None:
    from interlock.run.compilation import compiled
    from interlock.scratch import ScratchBlobs

    try:
        return compiled(settings(), ScratchBlobs())
    except InterlockError as error:
        first = error.reason.partition("\n")[0]
        say.note(f"only the names in the policy are known, the project does not compile here: {first}")
        return None


def told(surveyed: Surveyed, found: Sequence[Reach], *, as_json: bool) -> None:
    """Print what was found: one line for each agent and tool, one beneath for each rule."""
    if as_json:
        say.document({"reach": [_document(surveyed, one) for one in found]})
        return
    for one in found:
        people = "" if one.verdict == "deny" else f" for {_people(one.people, surveyed.survey.users)}"
        lacking = " (the project gives the agent no such tool)" if surveyed.lacks(one) else ""
        say.line(f"{one.agent} {one.tool}: {one.verdict}{people}{lacking}", style=_STYLE[one.verdict])
        for rule in one.rules:
            say.line(f"  {_rule(rule, one.people, surveyed.survey.users)}")
        if not one.rules:
            say.line("  no rule covers it")


def _document(surveyed: Surveyed, one: Reach) -> dict[str, Any]:
    return {**one.model_dump(mode="json"), "has_tool": not surveyed.lacks(one)}


def _rule(rule: Reaching, shown: Collection[str], everybody: Collection[str]) -> str:
    what = f"{rule.effect} by {rule.route}" if rule.route else rule.effect
    guard = ", only where another rule permits" if rule.guardrail else ""
    people = "" if set(rule.people) >= set(shown) else f" for {_people(rule.people, everybody)}"
    when = f" where {' and '.join(rule.conditions)}" if rule.conditions else ""
    over = f"; never, {rule.overruled_by} decides first" if rule.overruled_by else ""
    return f"{what}{people}{when}{guard}{over}  [{rule.rule} {rule.source}]"


def _people(names: Collection[str], everybody: Collection[str]) -> str:
    if set(names) == set(everybody):
        return "everybody"
    listed = sorted(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(listed[:_NAMED]) + more
