"""Who claims a call's name first on a host, and that a call which another executor has does not begin."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from interlock.errors import Conflict
from interlock.sandbox import DockerDriver
from interlock.sandbox.claim_files import ClaimFiles


def test_name_is_claimed_once(tmp_path: Path) -> None:
    one, other = ClaimFiles(tmp_path / "claims"), ClaimFiles(tmp_path / "claims")
    assert (one.first("a", "1"), other.first("a", "2"), other.first("b", "2")) == (True, False, True)


def test_claim_tells_its_container(tmp_path: Path) -> None:
    files = ClaimFiles(tmp_path)
    files.first("a", "1")
    files.first("a", "2")
    assert (files.holder("a"), files.holder("b"), files.held()) == ("1", "", {"1"})


def test_dropped_name_can_be_claimed(tmp_path: Path) -> None:
    files = ClaimFiles(tmp_path)
    files.first("a", "1")
    files.drop("a")
    assert files.first("a", "1")


def test_folder_of_others_claims_nothing(tmp_path: Path) -> None:
    (tmp_path / "claims").mkdir(mode=0o777)
    (tmp_path / "claims").chmod(0o777)
    assert not ClaimFiles(tmp_path / "claims").first("a", "1")


def test_folder_that_cannot_be_made_claims_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not ClaimFiles(tmp_path / "file" / "claims").first("a", "1")


def test_claims_of_the_dead_are_forgotten_after_a_day(tmp_path: Path) -> None:
    ClaimFiles(tmp_path).first("a", "1")
    os.utime(tmp_path / "a", (0, time.time() - 90_000))
    assert ClaimFiles(tmp_path).first("a", "1")


def test_claims_without_a_container_are_forgotten(tmp_path: Path) -> None:
    files = ClaimFiles(tmp_path)
    for name in ("gone", "there", "young"):
        files.first(name, f"id of {name}")
    for name in ("gone", "there"):
        os.utime(tmp_path / name, (0, time.time() - 61))
    assert files.forget(lambda ident: ident != "id of there") == ["gone"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there", "young"]


@pytest.mark.docker
async def test_executor_without_shared_claims_gets_no_result(
    driver, settings, image, blobs, make_call, left_of, tmp_path
):
    """It cannot know that another one has the call; the engine does, and the container that began is destroyed."""
    holding = make_call("time.sleep(3)", image=image)
    stranger = DockerDriver(settings)
    stranger._fleet.claims._files = ClaimFiles(tmp_path / "claims")
    first = asyncio.create_task(driver.run(holding, blobs))
    while not left_of(holding.call_id):
        await asyncio.sleep(0.05)
    with pytest.raises(Conflict):
        await stranger.run(holding, blobs)
    assert (await first).status == "ok"
    await stranger.close()
