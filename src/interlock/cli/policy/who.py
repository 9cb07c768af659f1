"""`interlock policy who`: who may call a tool."""

from __future__ import annotations

from typing import Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.policy.can import Tenant
from interlock.cli.policy.reaching import Surveyed, told


def who(
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="The tool's name.")],
    action: Annotated[str, typer.Option(metavar="NAME", help="Another action than the tool declares.")] = "",
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Which agents may call a tool, for which people: allowed or asked, by which rule, under which conditions.

    Read off the rules, not tried out. Of the lines beneath an agent the first that fits a call decides it.
    """
    from interlock.policy.reach import who

    with say.working("reading the policy", quiet=as_json):
        surveyed = Surveyed(tenant)
    found = who(surveyed.survey, tool, action=action)
    told(surveyed, found, as_json=as_json)
    if not found and not as_json:
        known = "" if tool in surveyed.survey.project_tools else "; neither the project nor a rule names this tool"
        say.line(f"no rule permits anybody to call {tool}{known}")
