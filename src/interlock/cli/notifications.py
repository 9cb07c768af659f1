"""`interlock notifications`: who was told of what, what could not be delivered, and sending it."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interlock.cli import say
from interlock.cli.options import AsJson, AsUser, group
from interlock.cli.session import settings
from interlock.errors import InvalidInput, Refused

if TYPE_CHECKING:
    from interlock.notifications import Channels, Outbox, State, Told
    from interlock.settings import Settings

app = group("Tell people and programs what waits and what happened.")
_HEADERS = ("id", "state", "kind", "channel", "to", "about", "tries", "problem")


@app.command("list")
def list_(
    state: Annotated[str, typer.Option(help="Only these: pending, sent or dead.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List notifications, the newest first: sent, waiting, and those that could not be delivered."""
    with closing(_outbox(settings())) as outbox:
        rows, counts = outbox.listed(_state(state), limit), outbox.counts()
    if as_json:
        say.document({"counts": counts, "notifications": [_facts(row) for row in rows]})
        return
    if rows:
        say.table(_HEADERS, [_row(row) for row in rows])
    say.note(", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "no notifications")


def _state(text: str) -> State | None:
    if text in ("", "pending", "sent", "dead"):
        return text or None  # type: ignore[return-value]
    raise InvalidInput(f"--state: {text!r} is none of pending, sent, dead")


def _facts(row: Told) -> dict[str, Any]:
    return {
        "id": row.notification.event_id,
        "state": row.state,
        "kind": row.notification.kind,
        "channel": row.channel,
        "person": row.person,
        "run": row.notification.run,
        "request": row.notification.request,
        "attempts": row.attempts,
        "made_at": row.made_at,
        "next_at": row.next_at if row.state == "pending" else None,
        "ended_at": row.ended_at,
        "problem": row.problem,
    }


def _row(row: Told) -> tuple[str, ...]:
    told = row.notification
    about = told.request or told.run
    return (
        told.event_id, row.state, told.kind, row.channel, row.person, about, str(row.attempts), row.problem,
    )  # fmt: skip


@app.command()
def retry(
    event: Annotated[str, typer.Argument(metavar="[ID]", help="A dead notification; left out: all of them.")] = "",
    as_json: AsJson = False,
) -> None:
    """Begin anew with what could not be delivered."""
    with closing(_outbox(settings())) as outbox:
        count = outbox.retry(event, datetime.now(UTC))
    if as_json:
        say.document({"retried": count})
    else:
        say.line(f"{count} will be tried again by `interlock notifications serve`")


@app.command("test")
def send_test(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="A webhook's name, or `email`.")],
    as_user: AsUser = "",
    as_json: AsJson = False,
) -> None:
    """Send one notification to a channel now, and say what came of it. For email, --as names who gets it."""
    from interlock.notifications import EMAIL, DeliveryFailed, names
    from interlock.run.notifying import carrier_of, made_test, needed_channels

    own = settings()
    channels = needed_channels(own)
    if channel not in names(channels):
        from interlock.definitions.placed import did_you_mean

        known = ", ".join(names(channels)) or "none"
        raise InvalidInput(
            f"{own.notifications} has no channel {channel!r}{did_you_mean(channel, names(channels))}",
            next_step=f"it has {known}",
        )
    person = _recipient(channels, as_user) if channel == EMAIL else ""
    try:
        asyncio.run(carrier_of(own, channels).send(channel, person, made_test(own)))
    except DeliveryFailed as failure:
        raise Refused(f"{channel}: {failure.reason}", next_step=failure.next_step) from failure
    if as_json:
        say.document({"channel": channel, "person": person, "sent": True})
    else:
        say.line(f"{channel} took it")


def _recipient(channels: Channels, person: str) -> str:
    known = sorted(channels.email.to) if channels.email else []
    if person not in known:
        raise InvalidInput(f"--as: {person!r} has no address", next_step=f"one of {', '.join(known)}")
    return person


@app.command()
def serve(as_json: AsJson = False) -> None:
    """Send notifications until SIGTERM or Ctrl-C. `interlock serve` and `interlock dev` do this too."""
    from interlock.run.notifying import needed_channels

    own = settings()
    channels = needed_channels(own)

    def ready(text: str) -> None:
        if as_json:
            say.record({"notifications": text})
        else:
            say.line(text)

    asyncio.run(_serve(own, channels, ready))


async def _serve(own: Settings, channels: Channels, ready: Any) -> None:
    from interlock.run.notifying import notify

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("interlock").setLevel(logging.INFO)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    serving, stopping = asyncio.create_task(notify(own, channels, ready)), asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if serving.done():
        await serving
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


def _outbox(own: Settings) -> Outbox:
    from interlock.notifications import Outbox

    return Outbox(own.effective_accounts_url)
