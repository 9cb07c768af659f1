"""What agents asked permission for, read off the record: the request, and the denied calls that it is about.

The agent's own words only name a tool and give a reason. What a rule would have to allow comes from the calls that
were denied, as they were decided; so an agent cannot have a wider rule proposed than what it tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from interlock.policy import Bundle, decide
from interlock.run.rehearsal import Answer, Recorded, Unreadable
from interlock.types.access import AccessRequest
from interlock.types.closed import Closed

REQUEST_TOOL: Final = "request_permission"
"""The tool by which an agent asks; its arguments `tool` and `reason` are read."""

State = Literal["open", "granted", "nothing denied"]
"""open: the policy still denies the calls. granted: it denies none of them now. nothing denied: no call of this
tool by this agent was denied before in its run."""


class Proposal(Closed):
    """One request of an agent for permission."""

    run: str
    call: str
    """The id of the request's own call."""
    agent: str
    requester: str
    tool: str
    """The tool that it wants to call."""
    reason: str
    denied: tuple[AccessRequest, ...]
    """The calls of that tool that were denied to it before."""
    state: State
    by: tuple[str, ...]
    """The rules that deny these calls now; empty for the default."""


def proposals(records: Iterable[Recorded | Unreadable], bundle: Bundle, answer: Answer) -> Iterator[Proposal]:
    """Every request for permission among the records, oldest first.

    Args:
        records: recorded decisions, each run's in order.
        bundle: the policy as it is now.
        answer: what puts a recorded question as this policy needs it.
    """
    denied: dict[tuple[str, str, str], list[Recorded]] = {}
    for record in records:
        if isinstance(record, Unreadable):
            continue
        request, event = record.request, record.event
        if request.tool == REQUEST_TOOL and event.verdict != "deny":
            wanted = str(request.arguments.get("tool", ""))
            yield _proposal(record, wanted, denied.get((event.run, request.agent, wanted), []), bundle, answer)
        elif event.verdict == "deny":
            denied.setdefault((event.run, request.agent, request.tool), []).append(record)


def _proposal(record: Recorded, tool: str, denied: list[Recorded], bundle: Bundle, answer: Answer) -> Proposal:
    again = [decide(bundle, answer(bundle, one)) for one in denied]
    still = [decision for decision in again if decision.verdict == "deny"]
    return Proposal(
        run=record.event.run,
        call=record.event.call_id,
        agent=record.request.agent,
        requester=record.request.requester,
        tool=tool,
        reason=str(record.request.arguments.get("reason", "")),
        denied=tuple(one.request for one in denied),
        state="open" if still else "granted" if denied else "nothing denied",
        by=tuple(sorted({decision.rule for decision in still if decision.rule})),
    )
