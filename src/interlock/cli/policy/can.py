"""`interlock policy can`: what a subject may do."""

from __future__ import annotations

from typing import Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.policy.reaching import Surveyed, told

Tenant = Annotated[str, typer.Option(metavar="NAME", help="Another tenant than the project's.")]


def can(
    subject: Annotated[
        str, typer.Argument(metavar="SUBJECT", help="agent:NAME, user:NAME, role:NAME or group:NAME.")
    ],
    for_user: Annotated[str, typer.Option("--for", metavar="user:NAME", help="Calls for this person only.")] = "",
    tool: Annotated[str, typer.Option(metavar="TOOL", help="This tool only, also if nothing permits it.")] = "",
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """What somebody may do: an agent, a person through every agent, the members of a role or group.

    Read off the rules, not tried out. Of the lines beneath a tool the first that fits a call decides it.
    """
    from interlock.policy.reach import can

    with say.working("reading the policy", quiet=as_json):
        surveyed = Surveyed(tenant)
    found = can(surveyed.survey, subject, requester=for_user, tool=tool)
    told(surveyed, found, as_json=as_json)
    if not found and not as_json:
        say.line(f"no rule permits {subject} anything")
