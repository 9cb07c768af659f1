"""`interlock policy explain`: why a call is decided as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.choices import among, json_object
from interlock.cli.options import AsJson, AsUser
from interlock.cli.session import opened, settings
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.policy import Bundle, Explanation, MatchedRule
    from interlock.policy.reasons import NearRule, Reasons
    from interlock.types.access import AccessRequest


def explain(
    run: Annotated[str, typer.Argument(metavar="[RUN", help="A recorded call: its run …")] = "",
    call: Annotated[str, typer.Argument(metavar="CALL]", help="… and its id, or the end of it: `c4`.")] = "",
    tool: Annotated[str, typer.Option(help="Or a call that nobody made: its tool,")] = "",
    agent: Annotated[str, typer.Option(help="the agent that would make it,")] = "",
    as_user: AsUser = "",
    arguments: Annotated[str, typer.Option(metavar="JSON|@FILE|-", help="its arguments,")] = "{}",
    workflow: Annotated[str, typer.Option(help="and the workflow it would be in.")] = "agent_run",
    under: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Decide a recorded call under the policy in this folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decide again and say why: the rule that decided, near ones, what would have to be true, who could grant it.

    A recorded call is decided under its recorded policy, any other under the files as they are now.
    """
    if bool(run and call) == bool(tool):
        raise InvalidInput("give RUN and CALL, or --tool", next_step="interlock policy explain --help")
    if tool and under:
        raise InvalidInput("--under goes with RUN and CALL", next_step="interlock policy explain --help")
    bundle, request = _about(tool, agent, as_user, arguments, workflow) if tool else _recorded(run, call, under)
    found, why = _explained(bundle, request)
    if as_json:
        # Explanation has near rules too, of any tool; those that reasons name say more.
        say.document({**found.model_dump(mode="json"), **why.model_dump(mode="json")})
    else:
        _tell(found, why)


def _explained(bundle: Bundle, request: AccessRequest) -> tuple[Explanation, Reasons]:
    from interlock.policy import explain
    from interlock.policy.reasons import reasons

    found = explain(bundle, request)
    own = request.model_copy(update={"agent": found.subject, "delegators": ()})
    return found, reasons(bundle, own, found.decision)


def _recorded(run: str, call: str, under: Path | None) -> tuple[Bundle, AccessRequest]:
    from interlock.cli.resolve import run_of
    from interlock.errors import IntegrityError
    from interlock.policy import Bundle, load_bundle
    from interlock.run.rehearsal import Unreadable, recorded_call
    from interlock.run.renewal import Renewal

    with opened(settings()) as (ledger, blobs):
        decided = {e.call_id.rpartition(":")[2]: e for e in ledger.decided(runs=[run_of(ledger, run)])}
        event = decided[among(call.rpartition(":")[2], decided, "CALL")]
        (record,) = recorded_call([event], blobs)
        if isinstance(record, Unreadable):
            raise IntegrityError(record.problem, next_step=f"interlock replay {event.run}")
        if under is None:
            return Bundle.from_bytes(blobs.get(event.bundle)), record.request
        candidate = load_bundle(under)
        return candidate, Renewal(ledger, blobs)(candidate, record)


def _about(tool: str, agent: str, user: str, arguments: str, workflow: str) -> tuple[Bundle, AccessRequest]:
    from interlock.cli.asked import ask_about
    from interlock.scratch import ScratchBlobs

    values = json_object(arguments, "--arguments")
    asked = ask_about(
        settings(), ScratchBlobs(), tool=tool, agent=agent, user=user, arguments=values, workflow=workflow
    )
    return asked.bundle, asked.request


def _tell(found: Explanation, why: Reasons) -> None:
    decision = found.decision
    colour = {"allow": "bold green", "ask": "bold yellow", "deny": "bold red"}[decision.verdict]
    say.line(f"{decision.verdict}: {decision.reason}", style=colour)
    if found.deciding is not None:
        say.line(f"decided by  {_rule(found.deciding)}")
    for rule in found.runners_up:
        say.line(f"weaker      {_rule(rule)}")
    for near in why.near:
        say.line(f"no match    {_near(near)}: {near.clause}")
    if why.others:
        say.line(f"no match    {why.others} more rules about this tool, farther off")
    for need in why.needs:
        say.line(f"needed      {need}")
    for grantor in why.grantors:
        say.line(f"could grant {grantor.who}: {grantor.how}")
    for error in found.condition_errors:
        say.line(f"not evaluated: {error}", style="red")
    if decision.route is not None:
        route = decision.route
        say.line(f"route       {route.name}: {route.quorum} of {', '.join(route.approvers)}")
    say.line(f"policy      {decision.bundle}")


def _rule(rule: MatchedRule) -> str:
    return f"{rule.rule} ({rule.effect}, owner {rule.owner}, {rule.source})"


def _near(rule: NearRule) -> str:
    effect = "guardrail" if rule.guardrail else rule.effect
    return f"{rule.rule} ({effect}, owner {rule.owner}, {rule.source})"
