"""`interlock policy explain`: why a call is decided as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.choices import among, json_object
from interlock.cli.options import AsJson, AsUser
from interlock.cli.session import opened, settings
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.policy import Explanation, MatchedRule


def explain(
    run: Annotated[str, typer.Argument(metavar="[RUN", help="A recorded call: its run …")] = "",
    call: Annotated[str, typer.Argument(metavar="CALL]", help="… and its id, or the end of it: `c4`.")] = "",
    tool: Annotated[str, typer.Option(help="Or a call that nobody made: its tool,")] = "",
    agent: Annotated[str, typer.Option(help="the agent that would make it,")] = "",
    as_user: AsUser = "",
    arguments: Annotated[str, typer.Option(metavar="JSON|@FILE|-", help="its arguments,")] = "{}",
    workflow: Annotated[str, typer.Option(help="and the workflow it would be in.")] = "agent_run",
    as_json: AsJson = False,
) -> None:
    """Decide again and say why: the rule that decided, the weaker ones, and the nearest that do not match.

    A recorded call is decided under its recorded policy, any other under the files as they are now.
    """
    if bool(run and call) == bool(tool):
        raise InvalidInput("give RUN and CALL, or --tool", next_step="interlock policy explain --help")
    found = _about(tool, agent, as_user, arguments, workflow) if tool else _recorded(run, call)
    if as_json:
        say.document(found.model_dump(mode="json"))
    else:
        _tell(found)


def _recorded(run: str, call: str) -> Explanation:
    from interlock.cli.resolve import run_of
    from interlock.digest import parse
    from interlock.events import CallDecided
    from interlock.policy import Bundle, explain
    from interlock.types.access import AccessRequest

    with opened(settings()) as (ledger, blobs):
        events = [e for e in ledger.events(run_of(ledger, run)) if isinstance(e, CallDecided)]
        decided = {event.call_id.rpartition(":")[2]: event for event in events}
        event = decided[among(call.rpartition(":")[2], decided, "CALL")]
        request = AccessRequest.model_validate(parse(blobs.get(event.request)))
        return explain(Bundle.from_bytes(blobs.get(event.bundle)), request)


def _about(tool: str, agent: str, user: str, arguments: str, workflow: str) -> Explanation:
    from interlock.cli.asked import ask_about
    from interlock.cli.scratch import ScratchBlobs
    from interlock.policy import explain

    values = json_object(arguments, "--arguments")
    asked = ask_about(
        settings(), ScratchBlobs(), tool=tool, agent=agent, user=user, arguments=values, workflow=workflow
    )
    return explain(asked.bundle, asked.request)


def _tell(found: Explanation) -> None:
    decision = found.decision
    colour = {"allow": "bold green", "ask": "bold yellow", "deny": "bold red"}[decision.verdict]
    say.line(f"{decision.verdict}: {decision.reason}", style=colour)
    if found.deciding is not None:
        say.line(f"decided by  {_rule(found.deciding)}")
    for rule in found.runners_up:
        say.line(f"weaker      {_rule(rule)}")
    for near in found.near:
        say.line(f"no match    {near.rule} ({near.source}): {near.clause}")
    for error in found.condition_errors:
        say.line(f"not evaluated: {error}", style="red")
    if decision.route is not None:
        route = decision.route
        say.line(f"route       {route.name}: {route.quorum} of {', '.join(route.approvers)}")
    say.line(f"policy      {decision.bundle}")


def _rule(rule: MatchedRule) -> str:
    return f"{rule.rule} ({rule.effect}, owner {rule.owner}, {rule.source})"
