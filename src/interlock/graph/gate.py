"""How a graph, inside the workflow, reaches what governs it.

A graph never runs a tool, asks a person or spends a budget by itself: it hands a value to the gate of its
run and gets a value back. `run/` implements the gate; this package only calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Final, Literal, Protocol

from pydantic import Field, JsonValue

from interlock.types.closed import Slim
from interlock.types.names import Digest, OptionalDigest

ResultStatus = Literal["ok", "error", "refused", "unknown"]
"""ok: the tool returned. error: it ran and failed, or the call could not be read. refused: it did not run, and
the text says why. unknown: it may have had its effect, and a person took no decision that settles it."""


class ProposedCall(Slim):
    """A call as the model wrote it: unchecked, not normalised, perhaps malformed."""

    model_call_id: str
    """The model's own id, unique within one reply. Answers are matched by it, never by position."""
    tool: str
    """The name that the model gave: maybe no tool at all."""
    arguments: Digest | dict[str, JsonValue] = Field(default_factory=dict)
    """Raw arguments: the digest of their blob (standard loop) or the value itself (custom graphs)."""
    error: str = ""
    """Not empty: the arguments could not be read, and this is why, in words for the model. The call must
    not run; the model reads the error as its result."""
    told: JsonValue = None
    """What the policy decided where the model proposed it; None: nothing was decided yet. The gate knows whether
    it still counts."""


class Asking(Slim):
    """What must be known to have a call decided right where its model proposed it: what decisions are about, and
    what the run's chain knows at that moment, which then need not come back."""

    tenant: str = "default"
    workflow: str = "agent_run"
    requester: str
    delegators: tuple[str, ...] = ()
    events: int
    """How many events the chain has."""
    bundle: str = ""
    """The first digits of the bundle of its last decision."""
    tools: tuple[str, ...] = ()
    """Tools whose source it names."""


class CallResult(Slim):
    """What came of one proposed call."""

    model_call_id: str
    tool: str
    status: ResultStatus
    output: OptionalDigest = ""
    """Blob with the text that the model reads."""
    text: str = ""
    """Refusals and errors, which have no blob; beside an output: a note that the model reads before it."""


class ModelReply(Slim):
    """One answer of a model, by reference."""

    head: Digest
    """Transcript head with the reply."""
    calls: tuple[ProposedCall, ...] = ()
    final: OptionalDigest = ""
    """Blob of the final answer's text; empty while there are calls to make."""
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    model: str
    """What answered: `scripted`, `openai:NAME`, `anthropic:NAME`."""


class Drained(Exception):
    """The run is about to go on in a new execution of its workflow: stop here, and call again after that."""


class Gate(Protocol):
    """What governs one run. Called from workflow code only."""

    @property
    def draining(self) -> bool:
        """Whether the run is about to go on in a new execution: then begin nothing more."""
        ...

    def asking(self) -> Asking | None:
        """What to know for a decision at once; None: each call is decided later."""
        ...

    async def responded(self, agent: str, before: str, reply: ModelReply) -> None:
        """Record that the model answered. Waits while the run is paused.

        Args:
            agent: name of the agent, without `agent:`.
            before: head of its transcript before the reply; empty for none.
            reply: what it answered.

        Raises:
            Refused: the agent's max_steps or max_tokens is spent.
        """
        ...

    async def call(self, agent: str, calls: Sequence[ProposedCall], *, place: str) -> list[CallResult]:
        """Decide, ask, execute and record each call. Results come in any order, matched by model_call_id.

        A call with an `error` must not run: the gate records it and gives the error back.

        Args:
            agent: who proposes them.
            calls: what a model proposed in one reply.
            place: names this execution of this node, uniquely in the agent's run; the same when the node runs again
                in a new execution of the workflow, so that nothing is proposed twice.

        Raises:
            Drained: the run goes on in a new execution before all results are there.
        """
        ...

    async def ask(self, agent: str, question: JsonValue, *, place: str) -> JsonValue:
        """Ask a person; returns the answer. `place` names this question, as it does for `call`.

        Raises:
            Drained: the run goes on in a new execution before anybody answered.
        """
        ...


GATE: Final[ContextVar[Gate]] = ContextVar("interlock_gate")
"""The gate of the run that this workflow code belongs to."""
