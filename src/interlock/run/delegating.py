"""What a hand-off may give: the executor's statement for the run that does the work, or why there is none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from interlock.digest import canonical
from interlock.errors import Refused
from interlock.run.attributes import seen
from interlock.run.contracts import AGENT_RUN
from interlock.run.delegation import DEPTH, DelegationClaims, child_of, tightest
from interlock.run.files import carry
from interlock.run.spent import Spent
from interlock.types.call import ToolCall

if TYPE_CHECKING:
    from interlock.run.executor import Executor
    from interlock.run.proof import RunProof

RUN_ID_LENGTH: Final = 128


def delegation(
    executor: Executor, call: ToolCall, digest: str, arguments: dict[str, Any], proof: RunProof
) -> DelegationClaims:
    """What a run may do to which a call hands work on; what it needs is kept among its content.

    Raises:
        Refused: it must not begin.
    """
    child, person, agent = child_of(call.call_id), proof.requester(), str(arguments["agent"])
    _check_room(executor, call, child, proof)
    max_steps, max_tokens = _limits(executor, call, agent, proof)
    blobs = executor.blobs.of(child)
    if call.workspace:
        carry(call.workspace, executor.blobs.of(call.run), blobs)
    return DelegationClaims(
        tenant=call.tenant,
        sub=person.sub,
        run=child,
        iat=int(datetime.now(UTC).timestamp()),
        exp=person.exp,
        workflow=AGENT_RUN,
        manifest=person.manifest,
        input=blobs.put(canonical({"agent": agent, "task": arguments["task"]})),
        workspace=call.workspace,
        parent=call.run,
        call=call.call_id,
        call_digest=digest,
        agent=agent,
        delegators=(*proof.delegators, call.agent),
        labels=seen(proof.so_far.now(), proof.reach().manifest),
        max_steps=max_steps,
        max_tokens=max_tokens,
    )


def _check_room(executor: Executor, call: ToolCall, child: str, proof: RunProof) -> None:
    if len(proof.delegators) >= DEPTH:
        chain = ", ".join((*proof.delegators, call.agent))
        raise Refused(f"this work was handed on {DEPTH} times already, the most that it may be ({chain})")
    if len(child) > RUN_ID_LENGTH:
        raise Refused(f"the id of this run is too long for runs below it ({len(child)} of {RUN_ID_LENGTH})")
    if executor.ledger.handed_on(call.call_id) is None and executor.ledger.head(child).count:
        raise Refused(f"a run {child!r} exists, and is none of this run's")


def _limits(executor: Executor, call: ToolCall, agent: str, proof: RunProof) -> tuple[int, int]:
    """Most steps and tokens of the other run: its own, and what is left of those of the agent that hands on."""
    agents, given = proof.reach().manifest.agents, proof.delegation
    own, other = agents[call.agent.removeprefix("agent:")], agents[agent]
    spent = proof.spent.get(call.agent, Spent())
    steps = (min(own.max_steps, given.max_steps) if given else own.max_steps) - spent.steps
    most = tightest(own.max_tokens, given.max_tokens if given else 0)
    tokens = most - spent.tokens - (_promised(executor, call) if most else 0)
    if steps < 1 or (most and tokens < 1):
        what = "model replies (max_steps)" if steps < 1 else "tokens (max_tokens)"
        raise Refused(f"{call.agent!r} has no {what} left that it could hand on")
    return min(other.max_steps, steps), tightest(other.max_tokens, tokens if most else 0)


def _promised(executor: Executor, call: ToolCall) -> int:
    """Tokens that the agent's other hand-offs may still spend."""
    finished = {row.call_id for row in executor.ledger.calls(call.run) if row.finished_at is not None}
    rows = [row for row in executor.ledger.hand_offs(call.run) if row.call_id not in finished]
    claims = [DelegationClaims.peek(row.delegation) for row in rows if row.call_id != call.call_id]
    return sum(one.max_tokens for one in claims if one.delegators[-1] == call.agent)
