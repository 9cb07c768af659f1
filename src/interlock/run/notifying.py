"""Tells people and programs what happened: from the ledger into the outbox, and from there to the channels."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from interlock.accounts import Accounts
from interlock.audit import Ledger, open_blobs
from interlock.errors import InterlockError, InvalidInput, Unreachable
from interlock.notifications import (
    TEST,
    Carrier,
    Channels,
    Describe,
    Details,
    MailSender,
    Notification,
    Outbox,
    Sender,
    WebhookSender,
    load_channels,
)
from interlock.policy import load_bundle
from interlock.run.describing import Describer
from interlock.run.notifier import Notifier
from interlock.settings import Settings

LOOK_EVERY_S: Final = 1.0
_log = logging.getLogger(__name__)


def channels_of(settings: Settings) -> Channels | None:
    """The project's channels; None where it has no such file.

    Raises:
        ProjectError: the file has mistakes. PolicyError: the policy does not load.
    """
    path = settings.root / settings.notifications
    if not path.exists():
        return None
    people = load_bundle(settings.root / "permissions").people
    known = [name for name in people.tenants if people.is_known(name, settings.tenant)]
    return load_channels(path, str(settings.notifications), known)


def needed_channels(settings: Settings) -> Channels:
    """The same, where there must be some.

    Raises:
        InvalidInput: there is no file, or it has mistakes.
    """
    found = channels_of(settings)
    if found is None:
        raise InvalidInput(
            f"there is no {settings.notifications}",
            next_step=f"write {settings.root / settings.notifications}; docs/how-to/notify-people.md begins one",
        )
    if not settings.public_url and not settings.listen:
        raise InvalidInput("public_url: is empty, and links lead there", next_step="set INTERLOCK_PUBLIC_URL")
    return found


@contextmanager
def opened_sender(settings: Settings, channels: Channels) -> Iterator[tuple[Notifier, Sender]]:
    """Both halves, with the stores that they read opened for reading only.

    Raises:
        LedgerUnavailable: a store cannot be used.
    """
    with ExitStack() as stack:
        ledger = stack.enter_context(closing(Ledger(settings.effective_ledger_url, read_only=True)))
        blobs = stack.enter_context(closing(open_blobs(settings, read_only=True)))
        accounts = stack.enter_context(closing(Accounts.of(settings)))
        outbox = stack.enter_context(closing(Outbox(settings.effective_accounts_url)))

        def deputies(person: str) -> list[str]:
            found = accounts.deputies.about(person, settings.tenant)
            return [one.stand_in for one in found if one.person == person and one.holds(datetime.now(UTC))]

        carrier = carrier_of(settings, channels, Describer(settings, ledger, blobs))
        yield Notifier(ledger, outbox, channels, settings.tenant, deputies), Sender(outbox, carrier)


def carrier_of(settings: Settings, channels: Channels, describe: Describe | None = None) -> Carrier:
    """The ways to the channels; without `describe` for a test, which has no details."""
    return Carrier(
        channels=channels,
        webhooks=WebhookSender(settings.root),
        mail=MailSender(settings.root),
        link=lambda notification: link(settings, notification),
        describe=describe or (lambda _: Details(lines=(("Details", "This channel gets details."),))),
    )


def made_test(settings: Settings) -> Notification:
    """A notification that says only that it is a test; each is another one."""
    return Notification(
        event_id=f"msg_{secrets.token_hex(16)}", kind=TEST, time=datetime.now(UTC), tenant=settings.tenant, run=""
    )


def link(settings: Settings, notification: Notification) -> str:
    """The page of a request or of a run; who opens it signs in there."""
    base = settings.effective_public_url
    if notification.request:
        return f"{base}/approvals/{quote(notification.request, safe=':')}"
    return f"{base}/runs/{quote(notification.run, safe='')}" if notification.run else base


async def notify(settings: Settings, channels: Channels, ready: Callable[[str], None]) -> None:
    """Look and send until cancelled.

    Args:
        settings: the project's.
        channels: as the file says.
        ready: called once both began, with a line that says so.

    A ledger that is not there yet is waited for: an executor makes it.
    """
    async with _opened(settings, channels) as (notifier, sender):
        async with asyncio.TaskGroup() as group:
            group.create_task(sender.serve())
            group.create_task(_look(notifier))
            count = len(channels.webhooks) + (channels.email is not None)
            ready(f"notifications go to {count} channel{'' if count == 1 else 's'}")


@asynccontextmanager
async def notifying(settings: Settings) -> AsyncIterator[None]:
    """Notify beside what else this process does; where the project has no channels, nothing happens.

    Raises:
        ProjectError: the file has mistakes.
    """
    channels = await asyncio.to_thread(channels_of, settings)
    if channels is None:
        yield
        return
    task = asyncio.create_task(notify(settings, channels, _log.info))
    task.add_done_callback(_say_end)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _say_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (failed := task.exception()) is not None:
        _log.error("notifications are no longer sent", exc_info=failed)


@asynccontextmanager
async def _opened(settings: Settings, channels: Channels) -> AsyncIterator[tuple[Notifier, Sender]]:
    said: set[str] = set()

    def say(state: RetryCallState) -> None:
        why = str(state.outcome.exception()) if state.outcome else ""
        if why not in said:
            _log.warning("notifications wait: %s", why)
        said.add(why)

    with ExitStack() as stack:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Unreachable),
            wait=wait_exponential(multiplier=0.5, max=5),
            before_sleep=say,
        ):
            with attempt:
                opened = stack.enter_context(opened_sender(settings, channels))
        yield opened


async def _look(notifier: Notifier) -> None:
    while True:
        try:
            await asyncio.to_thread(notifier.look)
        except InterlockError as error:
            _log.warning("notifications wait for the ledger: %s", error)
        except Exception:
            _log.exception("the ledger was not read for notifications")
        await asyncio.sleep(LOOK_EVERY_S)
