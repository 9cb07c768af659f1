"""A candidate decides beside the policy in force: differences are kept, and nothing it does reaches a call."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.decided import question, record
from support.runtime import Runtime, running, settings_for
from support.scenario import ASKS, SETTLES, Tool, allow, call, playbook, project

from interlock.audit import Ledger, SqlBlobs
from interlock.errors import LedgerUnavailable
from interlock.policy import Bundle, load_bundle
from interlock.run import candidate
from interlock.run import shadow as shadow_module
from interlock.run.shadow import STORE, Shadow, arm, armed
from interlock.run.shadow_store import ShadowStore
from interlock.settings import Settings

PEOPLE = """
users:
  - {name: alice, tenants: default}
profiles:
  - {name: default}
rules:
"""
READS = "  - {id: reads, effect: allow, owner: team, agent: 'agent:*', tool: read_file}\n"
COUNTED = (
    "  - {id: few, effect: allow, owner: team, agent: 'agent:*', tool: read_file,"
    " when: [{count: {tool: read_file}, le: 1}]}\n"
)
OTHER = "  - {id: other, effect: allow, owner: team, agent: 'agent:*', tool: other}\n"
CALLS = [question("read_file", {"path": "a"}), question("drop", {})]


class Beside:
    """A project's stores, the policy in force, and a candidate."""

    def __init__(self, root: Path) -> None:
        self.settings = Settings(root=root, state=root / "state")
        self.folder = root / "candidate"
        self.ledger, self.blobs = Ledger(f"sqlite:///{root}/ledger.db"), SqlBlobs(f"sqlite:///{root}/blobs.db")
        self.shadow = Shadow(self.settings, self.ledger, self.blobs)
        self.in_force = self.write(root / "permissions", READS)

    def write(self, folder: Path, rules: str) -> Bundle:
        folder.mkdir(exist_ok=True)
        (folder / "all.yaml").write_text(PEOPLE + rules)
        return load_bundle(folder)

    def candidate(self, rules: str) -> Bundle:
        bundle = self.write(self.folder, rules)
        arm(self.settings, self.folder)
        return bundle

    def decide(self, run: str = "run-1", calls: Any = CALLS) -> None:
        chain = record(self.ledger, self.blobs, self.in_force, calls, run=run)
        self.shadow.observe(chain.events)
        assert self.shadow.flush()

    @property
    def store(self) -> ShadowStore:
        return ShadowStore(self.settings.state_folder / STORE)


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    monkeypatch.setattr(candidate, "LOOK_S", 0.0)
    found = Beside(tmp_path)
    yield found
    found.shadow.close()
    found.ledger.close()
    found.blobs.close()


def test_only_differences_are_kept(beside: Beside) -> None:
    candidate = beside.candidate("  - {id: all, effect: allow, owner: team, agent: 'agent:*', tool: '**'}\n")
    beside.decide()
    (watched,) = beside.store.watched()
    (seen,) = beside.store.seen(candidate.digest)
    assert (watched.decisions, watched.undecided, watched.candidate) == (2, 0, candidate.digest)
    assert (seen.run, seen.place.tool, seen.difference.kind, seen.difference.widened) == (
        "run-1", "drop", "newly allowed", True,
    )  # fmt: skip


def test_without_candidate_nothing_starts(beside: Beside) -> None:
    beside.decide()
    assert beside.shadow._thread is None
    assert not (beside.settings.state_folder / STORE).exists()


def test_same_decision_is_kept_once(beside: Beside) -> None:
    candidate = beside.candidate(OTHER)
    chain = record(beside.ledger, beside.blobs, beside.in_force, CALLS)
    for _ in range(3):
        beside.shadow.observe(chain.events)
    assert beside.shadow.flush()
    assert [seen.seq for seen in beside.store.seen(candidate.digest)] == [2]


def test_candidate_that_does_not_load_is_counted(beside: Beside) -> None:
    beside.folder.mkdir()
    (beside.folder / "all.yaml").write_text("rules: [{id: broken}]\n")
    arm(beside.settings, beside.folder)
    beside.decide()
    (watched,) = beside.store.watched()
    assert (watched.decisions, watched.undecided, watched.candidate) == (0, 2, "")
    assert "broken" in watched.problem


def test_last_good_candidate_stays(beside: Beside) -> None:
    candidate = beside.candidate(READS)
    beside.decide("run-1")
    (beside.folder / "all.yaml").write_text("rules: [{id: broken}]\n")
    beside.decide("run-2")
    (watched,) = beside.store.watched()
    assert (watched.candidate, watched.decisions) == (candidate.digest, 4)
    assert "broken" in watched.problem


def test_changed_candidate_is_another_one(beside: Beside) -> None:
    first = beside.candidate(READS)
    beside.decide("run-1")
    second = beside.candidate(OTHER)
    beside.decide("run-2")
    assert {one.candidate for one in beside.store.watched()} == {first.digest, second.digest}
    assert len(beside.store.seen(second.digest)) == 1


def test_questions_of_the_candidate_are_answered_anew(beside: Beside) -> None:
    """The policy in force asks nothing about the run; the candidate's count is read off the run's events."""
    candidate = beside.candidate(COUNTED)
    beside.decide(calls=[CALLS[0], CALLS[0]])
    assert beside.store.watched()[0].decisions == 2
    assert [seen.place.call for seen in beside.store.seen(candidate.digest)] == ["c2"]


@pytest.mark.parametrize("part", ["_blobs", "_ledger", "_settings"])
def test_nothing_ever_comes_back(beside: Beside, part: str) -> None:
    beside.candidate(COUNTED)
    chain = record(beside.ledger, beside.blobs, beside.in_force, CALLS)
    setattr(beside.shadow, part, None)
    beside.shadow.observe(chain.events)
    if beside.shadow._thread is not None:
        assert beside.shadow.flush()
    undecided = [one.undecided for one in beside.store.watched()]
    assert beside.shadow.failed or undecided[0] >= 1


def test_what_is_no_event_is_passed_over(beside: Beside) -> None:
    beside.shadow.observe(None)  # type: ignore[arg-type]
    beside.shadow.observe([object()])  # type: ignore[list-item]
    assert beside.shadow.failed == 1


def test_full_queue_passes_over(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    beside.candidate(OTHER)
    monkeypatch.setattr(shadow_module, "WAITING", 1)
    slow = Shadow(beside.settings, beside.ledger, beside.blobs)
    monkeypatch.setattr(candidate, "load_bundle", lambda folder: time.sleep(0.3) or load_bundle(folder))
    chain = record(beside.ledger, beside.blobs, beside.in_force, CALLS * 20)
    slow.observe(chain.events)
    assert slow.failed >= 1
    slow.close()


def test_record_that_is_none_stops_nothing(beside: Beside) -> None:
    beside.candidate(OTHER)
    place = beside.settings.state_folder / STORE
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"no database" * 100)
    beside.decide()
    assert beside.shadow.failed == 2
    with pytest.raises(LedgerUnavailable, match=r"delete shadow\.db"):
        ShadowStore(place)


def test_old_differences_make_room(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.run.shadow_store.MOST", 3)
    candidate = beside.candidate(OTHER)
    beside.decide(calls=CALLS[:1] * 5)
    beside.decide("run-2", calls=CALLS[:1] * 2)
    assert len(beside.store.seen(candidate.digest)) == 3


def test_disarmed_candidate_is_asked_no_more(beside: Beside) -> None:
    beside.candidate(OTHER)
    beside.decide("run-1")
    arm(beside.settings, None)
    arm(beside.settings, None)
    beside.decide("run-2")
    assert [one.decisions for one in beside.store.watched()] == [2]


def test_setting_counts_before_the_file(tmp_path: Path) -> None:
    own = Settings(root=tmp_path, state=tmp_path / "state", policy_shadow="next")
    arm(own, tmp_path / "other")
    assert armed(own) == tmp_path / "next"
    assert armed(Settings(root=tmp_path, state=tmp_path / "state")) == tmp_path / "other"


@pytest.fixture
async def runtime(temporal_address: str, tmp_path: Path) -> Any:
    tools = {"note": Tool("return f'noted {text}'", 'action="read", idempotent=True')}
    agents: Any = {"noter": playbook(call("note", text="a"), call("note", text="b"), call("note", text="secret"))}
    secret = {"id": "never", "effect": "deny", "tool": "note", "when": [{"argument": "text", "contains": "secret"}]}
    root = project(tmp_path / "project", tools, agents, [allow("note"), secret, ASKS, SETTLES])
    async with running(settings_for(root, temporal_address, name="shadow")) as found:
        yield found


@pytest.mark.temporal
async def test_executor_runs_the_same_with_any_candidate(runtime: Runtime, tmp_path: Path) -> None:
    """The candidate allows one note a run and no more; the run goes as without it, and the record tells."""
    folder = tmp_path / "candidate"
    shutil.copytree(runtime.settings.root / "permissions", folder)
    counted = allow("note", when=[{"count": {"tool": "note"}, "le": 1}])
    (folder / "rules.yaml").write_text(f"rules:\n  - {orjson.dumps({'owner': 'tests', **counted}).decode()}\n")
    candidate = load_bundle(folder)
    arm(runtime.settings, folder)

    run = await runtime.start("agent_run", {"agent": "noter", "task": "go"})
    await runtime.client.wait(run)
    assert runtime.executor.shadow.flush()
    kinds = runtime.kinds(run)
    assert (kinds.count("call.finished"), kinds.count("call.refused")) == (2, 1)
    store = ShadowStore(runtime.settings.state_folder / STORE)
    decided = [event for event in runtime.ledger.events(run) if event.kind == "call.decided"]
    # The first note is allowed under both, the third denied under both.
    told = [(seen.seq, seen.difference.kind) for seen in store.seen(candidate.digest)]
    assert told == [(decided[1].seq, "newly denied")]
    assert store.watched()[0].decisions == 3
