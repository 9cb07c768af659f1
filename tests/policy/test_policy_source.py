"""The policy in force follows its files; the last good bundle stays."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from interlock.errors import PolicyError
from interlock.policy import PolicySource, source


@pytest.fixture(autouse=True)
def always_look(monkeypatch):
    monkeypatch.setattr(source, "CHECK_EVERY_S", 0)


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
