"""The statement by which a run acts for another run: signed by the executor that carried out the hand-off.

It stands in the place of a person's request, and is as narrow: one run, one agent, one input, one manifest, and no
longer than the person's own request. It names who handed the work on; every call is decided for them as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from pydantic import Field

from interlock.approval import RequesterClaims
from interlock.run.contracts import RunFacts
from interlock.signing import Verifier, unverified
from interlock.types.names import Digest, Name, RunId, SubjectName

DEPTH: Final = 5
"""How often work may be handed on, one agent to the next."""


NOBODY_HANDED_ON: Final[Mapping[str, Any]] = {"parent": "", "parent_call": "", "delegators": (), "labels": ()}
"""What `run.started` says where a person started the run."""


class DelegationClaims(RequesterClaims):
    """An agent hands work of a person's run on to another agent. `sub` is that person still."""

    TYP = "interlock-delegation"

    parent: RunId
    """The run that hands it on."""
    call: str
    """Its call that does."""
    call_digest: Digest
    agent: Name
    """Who is to do it."""
    delegators: tuple[SubjectName, ...] = Field(min_length=1, max_length=DEPTH)
    """Who handed it on, outermost first."""
    labels: tuple[Name, ...] = ()
    """Labels of the data that the parent had seen, sorted."""
    max_steps: int = Field(ge=1)
    """Most model replies."""
    max_tokens: int = Field(ge=0)
    """Most tokens; 0 means no limit."""


def child_of(call_id: str) -> str:
    """The id of the run that a call hands work on to: `RUN.s4` for `RUN:c4`."""
    run, _, number = call_id.rpartition(":c")
    return f"{run}.s{number}"


def root_of(run: str, delegators: tuple[str, ...]) -> str:
    """The run that a person started, of which a run came through so many delegators."""
    return run.rsplit(".s", len(delegators))[0]


def read_start(token: str, api: Verifier, executor: Verifier) -> RequesterClaims:
    """The verified statement that lets a run act: a person's request, or a delegation.

    Raises:
        TokenRejected: it is neither.
    """
    if is_delegation(token):
        return DelegationClaims.read(executor, token, now=None)
    return RequesterClaims.read(api, token, now=None)


def is_delegation(token: str) -> bool:
    """Whether a statement says that it is the executor's; its signature is for others to check."""
    return unverified(token).get("iss") == "executor"


@lru_cache(maxsize=1024)
def delegation_of(token: str) -> DelegationClaims | None:
    """What a run's statement says of who handed its work on; None where a person started it. For workflow code,
    which believes it: the executor commits nothing of a run whose statement it did not sign."""
    return DelegationClaims.peek(token) if is_delegation(token) else None


def start_fields(token: str) -> Mapping[str, Any]:
    """What `run.started` says of who handed the work on."""
    claims = delegation_of(token)
    if claims is None:
        return {}
    return {
        "parent": claims.parent,
        "parent_call": claims.call,
        "delegators": claims.delegators,
        "labels": claims.labels,
    }


def within(facts: RunFacts, token: str) -> RunFacts:
    """A run's facts with the limits that it was given, where they are tighter."""
    claims = delegation_of(token)
    if claims is None:
        return facts
    own = facts.agents[claims.agent]
    limited = own.model_copy(
        update={
            "max_steps": min(own.max_steps, claims.max_steps),
            "max_tokens": tightest(own.max_tokens, claims.max_tokens),
        }
    )
    return facts.model_copy(update={"agents": {**facts.agents, claims.agent: limited}})


def tightest(*limits: int) -> int:
    """The least of the limits, of which 0 is none."""
    return min((limit for limit in limits if limit), default=0)
