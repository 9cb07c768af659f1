"""The outbox: once for each fact and channel, one sender for each row, and nothing lost when one dies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import MetaData
from support.told import NOW, notification

from interlock.errors import InvalidInput
from interlock.notifications import Cursors, DeliveryFailed, Outbox, RunCursor
from interlock.notifications.delivery import ATTEMPTS, pause
from interlock.notifications.outbox import KEPT, LEASE, Told
from interlock.notifications.tables import metadata


def put(outbox: Outbox, *numbers: int, channels: tuple[str, ...] = ("pager",)) -> None:
    with outbox.store.write() as connection:
        for number in numbers:
            outbox.add(connection, notification(number), [(channel, "") for channel in channels], NOW)


def test_migrations_make_the_tables_that_are_queried(outbox: Outbox) -> None:
    found = MetaData()
    with outbox.store.read() as connection:
        found.reflect(connection, only=list(metadata.tables))
    for name, table in metadata.tables.items():
        shape = {(c.name, c.nullable, c.primary_key) for c in table.columns}
        assert {(c.name, c.nullable, c.primary_key) for c in found.tables[name].columns} == shape
        assert {i.name for i in table.indexes} <= {i.name for i in found.tables[name].indexes}


def test_fact_is_put_in_once(outbox: Outbox) -> None:
    put(outbox, 1, channels=("pager", "chat"))
    put(outbox, 1, 2, channels=("pager",))
    assert sorted((t.channel, t.notification.event_id[-1]) for t in outbox.listed(None, 10)) == [
        ("chat", "1"),
        ("pager", "1"),
        ("pager", "2"),
    ]


def test_what_was_sent_is_not_sent_again(outbox: Outbox) -> None:
    put(outbox, 1)
    outbox.sent(outbox.claim("pager", NOW, 10)[0], NOW)
    put(outbox, 1)
    assert outbox.claim("pager", NOW + timedelta(days=1), 10) == []
    assert outbox.counts() == {"sent": 1}


def test_two_senders_share_the_rows(outbox: Outbox, outbox_url: str) -> None:
    put(outbox, *range(60))

    def claimed(number: int) -> list[Told]:
        with closing(Outbox(outbox_url)) as own:
            return [told for _ in range(6) for told in own.claim("pager", NOW, 3)]

    with ThreadPoolExecutor(4) as pool:
        lists = list(pool.map(claimed, range(4)))
    keys = [told.key for part in lists for told in part]
    assert len(keys) == len(set(keys)) == 60


def test_row_of_a_dead_sender_is_taken_over(outbox: Outbox, outbox_url: str) -> None:
    put(outbox, 1)
    stalled = outbox.claim("pager", NOW, 10)[0]
    with closing(Outbox(outbox_url)) as other:
        assert other.claim("pager", NOW + LEASE / 2, 10) == []
        (taken,) = other.claim("pager", NOW + LEASE, 10)
        assert taken.attempts == 2
        outbox.failed(stalled, DeliveryFailed("late", final=True), NOW + LEASE)  # it wakes up and has no say
        assert outbox.counts() == {"pending": 1}
        other.sent(taken, NOW + LEASE)
    assert outbox.counts() == {"sent": 1}


def test_failure_is_tried_again_later_and_then_given_up(outbox: Outbox) -> None:
    put(outbox, 1)
    now, tries = NOW, 0
    while rows := outbox.claim("pager", now, 10):
        tries += 1
        state = outbox.failed(rows[0], DeliveryFailed("it answered 500"), now)
        assert outbox.claim("pager", now, 10) == []
        now += timedelta(days=1)
    assert (tries, state) == (ATTEMPTS, "dead")
    (dead,) = outbox.listed("dead", 10)
    assert dead.problem == "it answered 500"
    assert outbox.retry("", now) == 1
    assert outbox.claim("pager", now, 10)[0].attempts == 1


def test_final_failure_is_given_up_at_once(outbox: Outbox) -> None:
    put(outbox, 1)
    outbox.failed(outbox.claim("pager", NOW, 1)[0], DeliveryFailed("gone", final=True, next_step="look"), NOW)
    assert [told.problem for told in outbox.listed("dead", 10)] == ["gone (look)"]


def test_pauses_grow_and_differ() -> None:
    means = [sum(pause(n).total_seconds() for _ in range(50)) / 50 for n in range(1, ATTEMPTS)]
    assert means[0] < 7
    assert all(later > sooner * 3 for sooner, later in pairwise(means[:6]))
    assert max(means) < 6 * 3600 * 1.2
    assert len({pause(1) for _ in range(20)}) > 10
    assert pause(1, after_s=600) == timedelta(seconds=600)
    assert pause(1, after_s=1e9) <= timedelta(hours=6)


def test_retry_of_what_is_not_dead_says_so(outbox: Outbox) -> None:
    put(outbox, 1)
    with pytest.raises(InvalidInput, match="is dead"):
        outbox.retry(notification(1).event_id, NOW)


def test_rows_of_a_channel_that_is_gone_are_dead(outbox: Outbox) -> None:
    put(outbox, 1, channels=("pager", "chat"))
    assert outbox.give_up(["pager"], NOW) == 1
    assert outbox.counts() == {"dead": 1, "pending": 1}


def test_old_ones_that_were_sent_are_forgotten(outbox: Outbox) -> None:
    put(outbox, 1, 2)
    outbox.sent(outbox.claim("pager", NOW, 1)[0], NOW)
    assert outbox.prune(NOW + KEPT) == 0
    assert outbox.prune(NOW + KEPT + timedelta(seconds=1)) == 1
    assert outbox.counts() == {"pending": 1}


def test_cursor_never_moves_back(outbox: Outbox) -> None:
    cursors = Cursors(outbox.store)
    assert not cursors.begun()
    cursors.begin()
    assert cursors.begun()
    for count, ended in ((3, False), (7, True), (5, False)):
        with outbox.store.write() as connection:
            cursors.move(connection, [RunCursor("fix-1", count, ended), RunCursor("fix-2", 1, False)])
    assert cursors.of(["fix-1", "fix-3"]) == {"fix-1": 7}
    assert cursors.of(None) == {"fix-1": 7, "fix-2": 1}
    assert cursors.open() == ["fix-2"]
