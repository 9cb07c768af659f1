"""Takes over a call whose executor died while it ran."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final

import docker
import docker.errors

from interlock.sandbox import options, replies
from interlock.sandbox.call import UNOBSERVED, Observer, SandboxCall, SandboxResult
from interlock.sandbox.claiming import container_name
from interlock.sandbox.cleaning import is_idle
from interlock.sandbox.container import Container, Gone
from interlock.sandbox.engine import engine_errors
from interlock.sandbox.engine_objects import create, remove
from interlock.sandbox.fleet import Fleet
from interlock.sandbox.guest import frames
from interlock.sandbox.outcome import Outcome
from interlock.sandbox.owner import is_dead, own_id
from interlock.sandbox.running import Running
from interlock.sandbox.stream import DeadlinePassed, OverCap, StreamEnded
from interlock.sandbox.way_out_folder import remove_folder

_ANSWER_S: Final = 10


def take_over(
    fleet: Fleet, call: SandboxCall, outcome: Outcome, running: Running, observer: Observer = UNOBSERVED
) -> SandboxResult | None:
    """The result of a call that another process sent; None if nothing of it is left. Its container is gone then.

    Raises:
        Conflict: another process, which lives, takes it over at this moment.
        SandboxUnavailable: no engine answers.
    """
    api, name, started_at = fleet.api, container_name(call.call_id), datetime.now(UTC)
    with engine_errors():
        found = _found(api, name, fleet.files.holder(name))
        if found is None:
            return None
        with _alone(api, found, name):
            followed = False
            if found["State"]["Running"]:
                observer.taking()
                followed = _follow(fleet, found, call, outcome, running)
            remove(api, found["Id"])
            fleet.files.drop(name)
            remove_folder(found["Config"]["Labels"].get(options.LABEL_WAY_OUT, ""))
    if not followed:
        return None
    return outcome.result(image=found["Image"], started_at=started_at, ended_at=datetime.now(UTC), start="resumed")


def _found(api: docker.APIClient, name: str, ident: str) -> dict[str, Any] | None:
    """What the engine says of the call's container, if there is one and it is ours.

    Args:
        api: the engine.
        name: the call's.
        ident: which container the call was claimed for on this host, if the engine does not know the name yet.
    """
    for asked in filter(None, (name, ident)):
        with suppress(docker.errors.NotFound):
            found: dict[str, Any] = api.inspect_container(asked)
            fits = found["Name"] == f"/{name}" or (asked == ident and is_idle([found["Name"]]))
            if fits and options.LABEL in (found["Config"]["Labels"] or {}):
                return found
    return None


@contextmanager
def _alone(api: docker.APIClient, found: dict[str, Any], name: str) -> Iterator[None]:
    """Of all processes only this one takes the container over, and no reaper removes it meanwhile: a second
    container, never started, has a name that the engine gives once, and names its owner."""
    labels = {
        options.LABEL: own_id(),
        options.LABEL_HOLDS: found["Id"],
        options.LABEL_EXPIRES: found["Config"]["Labels"].get(options.LABEL_EXPIRES, "0"),
    }
    taken = f"{name}-taken"
    _free_of_the_dead(api, taken)
    # Never started, and of the only shape that a proxy before the engine's socket lets through.
    host = api.create_host_config(
        network_mode="none", cap_drop=["ALL"], security_opt=["no-new-privileges:true"], read_only=True
    )
    user = f"{options.USER}:{options.USER}"
    made = create(
        api,
        {
            "image": found["Image"],
            "name": taken,
            "user": user,
            "labels": labels,
            "host_config": host,
            "use_config_proxy": False,
        },
    )
    try:
        yield
    finally:
        remove(api, made)


def _free_of_the_dead(api: docker.APIClient, taken: str) -> None:
    """Remove what an executor left that died while it took the container over."""
    with suppress(docker.errors.NotFound):
        left: dict[str, Any] = api.inspect_container(taken)
        if is_dead((left["Config"]["Labels"] or {}).get(options.LABEL, "")):
            # By its id: by now another process may hold the name.
            remove(api, left["Id"])


def _follow(fleet: Fleet, found: dict[str, Any], call: SandboxCall, outcome: Outcome, running: Running) -> bool:
    """Ask the runner for the call and follow it to its end; whether that gave a result."""
    since = time.time()
    try:
        container = Container.attach(fleet.api, found["Id"], container_name(call.call_id))
    except Gone:
        return False
    stream = container.stream
    try:
        running.holds(container)
        fleet.pulse.add(stream)
        stream.cap, stream.deadline = 2 * outcome.total_cap, time.monotonic() + _ANSWER_S
        first = _first_reply(container, call)
        if first is None:
            return False
        outcome.follow_again(stream, first)
        outcome.explain_death(stopped=running.stopped, out_of_memory=lambda: container.out_of_memory(since))
        return outcome.reported or outcome.status in ("timeout", "out_of_memory", "cancelled")
    finally:
        fleet.pulse.remove(stream)
        stream.close()


def _first_reply(container: Container, call: SandboxCall) -> replies.AnyReply | None:
    """What the runner says of this call; None if it has nothing of it, or does not answer."""
    marker = secrets.token_hex(16)
    try:
        container.stream.send(frames.pack({"kind": "resume", "call": call.call_id, "marker": marker}))
        container.stream.skip_to(marker.encode())
        reply, _ = replies.read_reply(container.stream)
    except (StreamEnded, DeadlinePassed, OverCap, frames.FrameError):
        return None
    return None if isinstance(reply, replies.Nothing) else reply
