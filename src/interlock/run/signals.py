"""Signals in workflow code: what a person sends to a run from outside, kept until the workflow asks for it.

A signal is a statement that the API signed over run, name and the value's digest. The update's validator refuses
every other before it is written anywhere; what is taken is an event, and the executor checks it again.
"""

from __future__ import annotations

from pydantic import JsonValue
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from interlock.approval import SignalClaims
from interlock.digest import canonical
from interlock.errors import Conflict, InterlockError, InvalidInput, Refused, TimedOut, Unreachable
from interlock.events import SignalReceived
from interlock.run.authority import api_verifier
from interlock.run.context import RunContext
from interlock.run.contracts import SignalInput, SignalOutput
from interlock.run.mailbox import KeptSignal
from interlock.run.signal_values import check_fits
from interlock.run.steps import commit, keep
from interlock.run.timers import moment, wait


def check(run: RunContext, request: SignalInput) -> SignalClaims:
    """Refuse a signal before it is written anywhere.

    Raises:
        TokenRejected: the API did not sign it, or it expired.
        Refused, InvalidInput, Conflict: it is not for this run, fits nothing, or was used before.
        Unreachable: the run is only just starting, or goes on in a new execution in a moment.
    """
    claims = SignalClaims.read(api_verifier(), request.token, now=workflow.now())
    if not run.opened or run.draining:
        raise Unreachable("the run is only just starting, or going on", next_step="try again in a second")
    if run.stopping:
        raise Conflict("the run is coming to its end")
    box, names = run.mailbox, run.facts.signals
    box.statements.check(claims, run=run.input.run, tenant=run.input.tenant, names=names)
    if check_fits(claims.name, names[claims.name], request.value) != claims.value:
        raise Refused("value: it is not the one that was signed (digests differ)")
    box.check_room(len(canonical(request.value)))
    return claims


async def take(run: RunContext, request: SignalInput) -> SignalOutput:
    """Record a signal, then let the workflow have it; in the order of arrival.

    Raises:
        ApplicationError: it may not be taken after all.
    """
    box = run.mailbox
    try:
        claims = check(run, request)  # another may have been accepted in the same breath
        box.statements.take(claims)
        box.coming += 1
        try:
            async with run.receiving:
                await _record(run, claims, request)
        finally:
            box.coming -= 1
    except InterlockError as error:
        raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error
    waiting = box.waiting(claims.name)
    run.drains()
    await commit(run.chain)
    return SignalOutput(name=claims.name, waiting=waiting, events=run.chain.seq)


async def _record(run: RunContext, claims: SignalClaims, request: SignalInput) -> None:
    box = run.mailbox
    await keep(request.value)  # an event names only what can be read
    SignalClaims.read(api_verifier(), request.token, now=workflow.now())  # an executor asks the same of the event
    run.chain.record(SignalReceived, name=claims.name, value=claims.value, by=claims.sub, token=request.token)
    box.statements.forget(int(workflow.now().timestamp()))
    box.kept.append(KeptSignal(name=claims.name, value=request.value, size=len(canonical(request.value))))


async def receive(run: RunContext, key: str, name: str, timeout_s: int | None) -> JsonValue:
    """Wait for the next signal of a name and take it; each is given once, the oldest first.

    Raises:
        InvalidInput: the workflow does not declare it.
        TimedOut: none came in time.
        CancelledError: the run is being cancelled.
        Drained: the run goes on in a new execution before one came.
    """
    if name not in run.facts.signals:
        known = ", ".join(sorted(run.facts.signals)) or "none"
        raise InvalidInput(f"workflow {run.input.workflow!r} declares no signal {name!r}; it declares {known}")
    await run.ready()
    deadline = moment(run, key, timeout_s)
    if not await wait(run, lambda: run.mailbox.waiting(name) > 0, deadline):
        raise TimedOut(f"no signal {name!r} came within {timeout_s} s")
    return run.mailbox.next(name)
