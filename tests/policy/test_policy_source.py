"""The policy in force follows its files, each process says so, and the last good bundle stays."""

from __future__ import annotations

import gc
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from queue import Queue

import pytest

from interlock.errors import PolicyError
from interlock.policy import PolicySource, source
from interlock.policy.source import PolicyState


@pytest.fixture(autouse=True)
def always_look(monkeypatch):
    monkeypatch.setattr(source, "CHECK_EVERY_S", 0)
    monkeypatch.setattr(source, "SETTLE_S", 0)


def test_changed_file_is_in_force(write, rule):
    followed = PolicySource(write(rules=rule()))
    before = followed.current()
    assert followed.current() is before
    write(rules=rule(effect="deny"))
    after = followed.current()
    assert after.digest != before.digest
    assert after.rules[0].rule.effect == "deny"
    assert before.rules[0].rule.effect == "allow"


def test_new_and_removed_files_are_seen(write, rule):
    folder = write(rules=rule())
    followed = PolicySource(folder)
    write(rules=rule(), teams="groups:\n  - {name: ops, members: user:alice}\n")
    assert "group:ops" in followed.current().people.members
    (folder / "teams.yaml").unlink()
    assert "group:ops" not in followed.current().people.members


def test_change_within_one_clock_tick_is_seen(write, rule):
    folder = write(rules=rule(owner="one"))
    followed = PolicySource(folder)
    stamp = (folder / "rules.yaml").stat()
    write(rules=rule(owner="two"))
    os.utime(folder / "rules.yaml", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert followed.current().rules[0].rule.owner == "two"


def test_invalid_edit_keeps_the_old_bundle(write, rule):
    followed = PolicySource(write(rules=rule()))
    before = followed.current()
    write(rules=rule(effect="Deny"))
    assert followed.current() is before
    assert "permissions/rules.yaml:3" in followed.problem
    write(rules=rule(effect="deny"))
    assert followed.current().rules[0].rule.effect == "deny"
    assert followed.problem == ""


def test_undone_edit_clears_the_problem(write, rule):
    followed = PolicySource(write(rules=rule()))
    before = followed.current()
    write(rules="rules: [")
    assert followed.current() is before
    assert followed.problem
    write(rules=rule())
    assert followed.current().digest == before.digest
    assert followed.problem == ""


def test_removed_folder_keeps_the_old_bundle(write, rule):
    folder = write(rules=rule())
    followed = PolicySource(folder)
    before = followed.current()
    folder.rename(folder.with_name("gone"))
    assert followed.current() is before
    assert "no policy file" in followed.problem


def test_wrong_files_at_first_raise(write):
    with pytest.raises(PolicyError):
        PolicySource(write(rules="rules: ["))


def test_bundle_is_kept_before_it_is_in_force(write, rule):
    seen: list[tuple[str, str]] = []
    followed: PolicySource | None = None

    def keep(bundle):
        seen.append((bundle.digest, followed._bundle.digest if followed else ""))

    followed = PolicySource(write(rules=rule()), on_load=[keep])
    first = followed.current().digest
    write(rules=rule(effect="deny"))
    second = followed.current().digest
    assert seen == [(first, ""), (second, first)]


def test_bundle_that_cannot_be_kept_is_not_in_force(write, rule):
    followed = PolicySource(write(rules=rule()))
    before = followed.current()
    full = [True]

    def keep(bundle):
        if full[0]:
            raise OSError("no space left")

    followed.on_load.append(keep)
    write(rules=rule(effect="deny"))
    assert followed.current() is before
    assert followed.problem == "OSError: no space left"
    full[0] = False
    assert followed.current().rules[0].rule.effect == "deny"
    assert followed.problem == ""


def test_touched_file_makes_no_new_bundle(write, rule):
    folder = write(rules=rule())
    followed = PolicySource(folder)
    seen: list[str] = []
    followed.on_load.append(lambda bundle: seen.append(bundle.digest))
    os.utime(folder / "rules.yaml", ns=(1, 1))
    followed.reload()
    assert seen == []


def test_files_are_not_looked_at_for_each_decision(write, rule, monkeypatch):
    monkeypatch.setattr(source, "CHECK_EVERY_S", 3600)
    followed = PolicySource(write(rules=rule()))
    monkeypatch.setattr(followed, "_look", lambda: pytest.fail("looked"))
    assert followed.current() is followed.current()


def test_threads_see_one_bundle_or_the_next(write, rule):
    followed = PolicySource(write(rules=rule()))
    allowed = {followed.current().digest}
    with ThreadPoolExecutor(8) as pool:
        for effect in ("deny", "allow", "deny"):
            write(rules=rule(effect=effect))
            seen = {bundle.digest for bundle in pool.map(lambda _: followed.current(), range(40))}
            allowed.add(followed.reload().digest)
            assert seen <= allowed
            assert followed.reload().rules[0].rule.effect == effect


def test_half_written_file_waits_until_it_is_whole(write, rule, monkeypatch):
    folder = write(rules=rule())
    followed = PolicySource(folder)
    before = followed.current()
    monkeypatch.setattr(source, "SETTLE_S", 3600)
    half = "rules:\n  - {id: more, effect: allow, owner: t, agent: 'agent:*', tool: '**'}\n"
    (folder / "rules.yaml").write_text(half)
    assert followed.current() is before
    (folder / "rules.yaml").write_text(half + "  - {id: guard, effect: deny, owner: t, tool: '**'}\n")
    assert followed.current() is before
    monkeypatch.setattr(source, "SETTLE_S", 0)
    assert [r.id for r in followed.current().rules] == ["guard", "more"]


def test_asked_reload_does_not_wait(write, rule, monkeypatch):
    followed = PolicySource(write(rules=rule()))
    monkeypatch.setattr(source, "SETTLE_S", 3600)
    write(rules=rule(effect="deny"))
    assert followed.reload().rules[0].rule.effect == "deny"


def test_start_waits_for_whoever_writes(write, rule, monkeypatch):
    monkeypatch.setattr(source, "SETTLE_S", 0.05)
    monkeypatch.setattr(source, "PATIENCE_S", 0.2)
    folder = write(rules=rule())
    assert PolicySource(folder).current().rules
    monkeypatch.setattr(source, "_age_s", lambda stamp: 0.0)
    with pytest.raises(PolicyError, match="keep changing"):
        PolicySource(folder)


def test_set_that_changes_while_read_is_not_in_force(write, rule, monkeypatch):
    folder = write(rules=rule())
    followed = PolicySource(folder)
    before = followed.current()
    load = source.load_bundle

    def load_while_somebody_writes(path):
        bundle = load(path)
        write(rules=rule(effect="deny"), teams="groups:\n  - {name: ops, members: user:alice}\n")
        return bundle

    monkeypatch.setattr(source, "load_bundle", load_while_somebody_writes)
    write(rules=rule(owner="other"))
    assert followed.current() is before
    monkeypatch.setattr(source, "load_bundle", load)
    after = followed.current()
    assert (after.rules[0].rule.effect, "group:ops" in after.people.members) == ("deny", True)


def test_undone_edit_clears_a_failed_callback(write, rule):
    followed = PolicySource(write(rules=rule()))

    def keep(bundle):
        raise OSError("no space left")

    followed.on_load.append(keep)
    write(rules=rule(effect="deny"))
    followed.current()
    assert followed.problem
    write(rules=rule())
    followed.current()
    assert followed.problem == ""


def test_idle_process_notices_and_says_so_once(write, rule, caplog, monkeypatch):
    monkeypatch.setattr(source, "SETTLE_S", 0.2)
    monkeypatch.setattr(source, "CHECK_EVERY_S", 0.02)
    caplog.set_level(logging.INFO, "interlock.policy")
    said: Queue[PolicyState] = Queue()
    followed = PolicySource(write(rules=rule()), on_state=[said.put])
    first = said.get(timeout=30)
    followed.watch()
    write(rules=rule(effect="deny"))
    second = said.get(timeout=30)
    write(rules=rule(effect="Deny"))
    third = said.get(timeout=30)
    write(rules=rule(effect="deny"))
    fourth = said.get(timeout=30)
    followed.close()
    assert followed.current().digest == second.bundle
    assert len({first.bundle, second.bundle}) == 2
    assert (third.bundle, fourth.bundle, fourth.problem) == (second.bundle, second.bundle, "")
    assert second.since == third.since == fourth.since
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        f"policy in force: {first.bundle}, 1 rules",
        f"policy in force: {second.bundle}, 1 rules",
        f"policy refused, {second.bundle} stays in force: {'; '.join(third.problem.splitlines())}",
        f"policy in force: {second.bundle}, 1 rules",
    ]
    assert "rules.yaml:3" in lines[2]


def test_watching_ends_with_its_source(write, rule):
    followed = PolicySource(write(rules=rule()))
    before = {thread for thread in threading.enumerate() if thread.name == "policy"}
    followed.watch()
    (watching,) = {thread for thread in threading.enumerate() if thread.name == "policy"} - before
    del followed
    gc.collect()
    watching.join(30)
    assert not watching.is_alive()


def test_failing_listener_does_not_stop_the_policy(write, rule, caplog):
    def broken(state):
        raise OSError("nobody listens")

    followed = PolicySource(write(rules=rule()), on_state=[broken])
    write(rules=rule(effect="deny"))
    assert followed.current().rules[0].rule.effect == "deny"
    assert "nobody listens" in caplog.text


def test_watched_policy_is_not_read_by_whoever_decides(write, rule, monkeypatch):
    monkeypatch.setattr(source, "CHECK_EVERY_S", 3600)
    followed = PolicySource(write(rules=rule()))
    monkeypatch.setattr(source, "CHECK_EVERY_S", 0)
    before = followed.current()
    monkeypatch.setattr(source.threading.Thread, "start", lambda thread: None)
    followed.watch()
    write(rules=rule(effect="deny"))
    assert followed.current() is before
    followed.close()
    assert followed.current() is not before
