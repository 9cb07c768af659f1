"""Whose word a run starts on: a person's request for this run, a schedule of theirs, or a delegation."""

from __future__ import annotations

from interlock.approval import RequesterClaims, ScheduleClaims
from interlock.events import RunStarted
from interlock.run.delegation import read_start
from interlock.signing import Verifier, kind_of


def verified_start(event: RunStarted, api: Verifier, executor: Verifier) -> RequesterClaims:
    """What lets the run of this first event act.

    Raises:
        TokenRejected: nobody who may signed it, or it does not hold at this time.
        Refused: it is a schedule's, and the run is none of its runs.
    """
    token = event.requester_token
    if kind_of(token) == ScheduleClaims.TYP:
        return ScheduleClaims.read(api, token, now=None).requester(event.run, at=event.time)
    return read_start(token, api, executor)
