"""Every page in a real browser: accessible, on a phone, light and dark, and about the right things."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect
from support.cli_runtime import attack
from support.console import Console
from support.runtime import eventually

pytestmark = pytest.mark.temporal

# What differs between the two is colour alone.
CHECKS: dict[str, dict[str, Any]] = {
    "light": {"resultTypes": ["violations"]},
    "dark": {"resultTypes": ["violations"], "runOnly": ["color-contrast", "link-in-text-block"]},
}
PHONE = {"width": 360, "height": 740}


class Seen(NamedTuple):
    """Runs that the pages are about."""

    waits: str
    request: str
    ended: str
    decided: str


@pytest.fixture(scope="module")
async def seen(console: Console) -> Seen:
    runtime = console.runtime
    ended = await runtime.start("saver", "Save it")
    row = await runtime.approval(ended)
    await runtime.client.decide(row, "approve", approver="user:carol")
    assert (await runtime.client.wait(ended)).status == "completed"
    await eventually(lambda: runtime.ledger.run(ended).ended)
    waits = await runtime.start("mailer", "Write to Bob")
    return Seen(waits, (await runtime.approval(waits)).request_id, ended, row.request_id)


def paths(seen: Seen) -> dict[str, str]:
    return {
        "inbox": "/",
        "decided": "/inbox/decided",
        "approving": "/inbox/approving",
        "account": "/account",
        "grants": "/grants",
        "card": f"/approvals/{seen.request}",
        "card-decided": f"/approvals/{seen.decided}",
        "together": f"/together/{seen.request}",
        "runs": "/runs",
        "run": f"/runs/{seen.ended}",
        "event": f"/runs/{seen.ended}/events/3",
        "agents": "/agents",
        "agent": "/agents/mailer",
        "tools": "/tools",
        "tool": "/tools/send",
        "policy": "/policy",
        "explain": '/policy/explain?agent=mailer&tool=send&person=user:alice&arguments={"to":"a","text":"b"}',
        "audit": f"/audit?run={seen.ended}",
        "health": "/health/checks",
        "missing": "/runs/nothing",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_is_accessible(console: Console, seen: Seen, scheme: str) -> None:
    carol = await console.as_("carol", color_scheme=scheme)
    found = {}
    for name, path in paths(seen).items():
        await carol.open(path)
        await carol.page.evaluate("for (const one of document.querySelectorAll('main details')) one.open = true")
        await carol.shot(f"{name}-{scheme}")
        results = await Axe().run(carol.page, options=CHECKS[scheme])
        if results.violations_count:
            found[name] = results.generate_snapshot()
    assert found == {}
    assert carol.complaints == []
    await carol.close()


async def test_no_page_is_wider_than_a_phone(console: Console, seen: Seen) -> None:
    carol = await console.as_("carol", viewport=PHONE)
    wide = {}
    for name, path in paths(seen).items():
        await carol.open(path)
        await carol.page.evaluate("for (const one of document.querySelectorAll('main details')) one.open = true")
        width = await carol.page.evaluate("document.documentElement.scrollWidth")
        await carol.shot(f"{name}-phone")
        if width > PHONE["width"]:
            wide[name] = width
    assert wide == {}
    await carol.close()


async def test_pages_have_one_heading_a_way_past_the_navigation_and_a_title(console: Console, seen: Seen) -> None:
    carol = await console.as_("carol")
    for path in paths(seen).values():
        await carol.open(path)
        assert await carol.page.locator("h1").count() == 1, path
        assert "Interlock" in await carol.page.title()
        await carol.page.keyboard.press("Tab")
        await expect(carol.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await carol.close()


async def test_a_run_s_events_open_and_its_slider_steps_through_them(console: Console, seen: Seen) -> None:
    carol = await console.as_("carol")
    await carol.open(f"/runs/{seen.ended}")
    events = carol.page.locator(".timeline > li")
    assert await events.count() == console.runtime.ledger.run(seen.ended).count
    finished = events.filter(has_text="save ok").first
    await finished.locator("summary").click()
    await expect(finished.locator(".add").first).to_have_text("+one")
    await expect(finished).to_contain_text("call_digest")
    said = events.filter(has_text="model scripted answers").first
    await said.locator("summary").click()
    await expect(said).to_contain_text("→ save")
    slider = carol.page.get_by_label("Step through the run")
    await slider.focus()
    await carol.page.keyboard.press("Home")
    await expect(events.nth(1)).to_have_class("later")
    for _ in range(2):
        await carol.page.keyboard.press("ArrowRight")
    await expect(carol.page.locator(".graph .current")).to_have_text("model")
    await expect(carol.page.locator("#step-says")).to_contain_text("event 2: agent:saver")
    await carol.close()


async def test_runs_are_found_by_status_person_and_part_of_the_id(console: Console, seen: Seen) -> None:
    carol = await console.as_("carol")
    await carol.open("/runs")
    await carol.page.get_by_label("Part of the id").fill(seen.ended[-6:])
    await carol.page.get_by_role("button", name="Find").click()
    await expect(carol.page.locator("tbody tr")).to_have_count(1)
    await carol.page.get_by_label("Status").select_option("waiting")
    await carol.page.get_by_role("button", name="Find").click()
    await expect(carol.page.get_by_text("No run fits")).to_be_visible()
    await carol.close()


async def test_a_run_is_paused_resumed_and_cancelled(console: Console) -> None:
    run = await console.runtime.start("mailer", "Write to Bob")
    await console.runtime.approval(run)
    alice = await console.as_("alice")
    for verb, status in (("Pause", "paused"), ("Resume", "waiting"), ("Cancel", "cancelled")):
        await alice.open(f"/runs/{run}")
        await alice.page.locator("summary", has_text=verb).click()
        await alice.page.get_by_role("button", name=f"{verb} the run").click()
        await eventually(lambda wanted=status: console.runtime.ledger.run(run).status == wanted)
    await alice.open(f"/runs/{run}")
    await expect(alice.page.locator(".head .pill")).to_have_text("cancelled")
    await alice.close()


async def test_an_agent_s_page_says_what_it_may_do(console: Console) -> None:
    carol = await console.as_("carol")
    await carol.open("/agents/mailer")
    may = carol.page.get_by_role("region", name="What may this agent do?")
    await expect(may).to_contain_text("asks_send by route seniors for everybody")
    await expect(may).to_contain_text("allows_note")
    await expect(carol.page.locator(".graph [data-node]")).to_have_count(4)
    await carol.close()


async def test_the_policy_explains_a_call_that_nobody_makes(console: Console) -> None:
    carol = await console.as_("carol")
    await carol.open("/policy/explain")
    await carol.page.get_by_label("Tool").select_option("send")
    await carol.page.get_by_role("button", name="Ask").click()
    await expect(carol.page.get_by_role("alert")).to_contain_text("is a required property")
    await carol.page.get_by_label("Arguments").fill('{"to": "a", "text": "b"}')
    await carol.page.get_by_role("button", name="Ask").click()
    await expect(carol.page.get_by_role("heading", level=2)).to_contain_text("ask")
    await expect(carol.page.locator("main")).to_contain_text("asks_send")
    await carol.close()


async def test_a_change_of_the_policy_is_shown_in_decisions(console: Console) -> None:
    runtime = console.runtime
    rules = runtime.settings.root / "permissions" / "rules.yaml"
    before, text = console.held.bundle.digest, rules.read_text()
    try:
        rules.write_text(text.replace('"id":"allows_note","effect":"allow"', '"id":"allows_note","effect":"deny"'))
        await eventually(lambda: console.held.bundle.digest != before)
        carol = await console.as_("carol")
        await carol.open(f"/policy/diff?before={before}")
        await expect(carol.page.locator("main")).to_contain_text("changed rules: allows_note")
        await expect(carol.page.locator("main")).to_contain_text("effect: allow → deny")
        await carol.shot("policy-diff")
        await carol.open("/policy/diff?before=sha256:" + "0" * 64)
        await expect(carol.page.locator("main")).to_contain_text("was in force here")
        await carol.close()
    finally:
        rules.write_text(text)
        await eventually(lambda: console.held.bundle.digest == before)


async def test_the_audit_verifies_a_record_and_names_what_was_altered(console: Console, seen: Seen) -> None:
    carol = await console.as_("carol")
    await carol.open(f"/audit?run={seen.ended}")
    await expect(carol.page.get_by_text("holds", exact=True)).to_be_visible()
    await carol.page.get_by_role("button", name="Verify").click()
    await expect(carol.page.locator("#verdict")).to_contain_text("Verified:")
    database = Path(console.runtime.settings.state_folder) / "ledger.db"
    changed = "UPDATE runs SET requester = ? WHERE run = ?"
    assert attack(database, changed, "user:dave", seen.ended) == 1
    await carol.page.get_by_role("button", name="Verify").click()
    await expect(carol.page.locator("#verdict")).to_contain_text("Not verified:")
    await expect(carol.page.locator("#verdict")).to_contain_text("requester")
    await carol.shot("audit-altered")
    assert attack(database, changed, "user:alice", seen.ended) == 1
    await carol.close()


async def test_what_is_not_there_is_a_page_that_says_what_to_do(console: Console) -> None:
    carol = await console.as_("carol")
    for path, said in (
        ("/approvals/none:a1", "open the inbox"),
        ("/runs/none", "may come in a moment"),
        ("/agents/none", "open Agents"),
        ("/tools/none", "open Tools"),
        ("/nothing", "there is no such page"),
        ("/runs?before=x", "is not a cursor"),
        ("/?after=x", "begin with the first page"),
    ):
        await carol.open(path)
        await expect(carol.page.locator("main")).to_contain_text(said)
        await expect(carol.page.get_by_role("navigation", name="Pages")).to_be_visible()
    await carol.close()


async def test_who_is_not_signed_in_comes_back_to_the_page_that_they_wanted(console: Console, seen: Seen) -> None:
    carol = await console.as_("carol")
    await carol.context.clear_cookies()
    await carol.open(f"/runs/{seen.ended}")
    assert "/sign-in?next=" in carol.page.url
    assert seen.ended in carol.page.url
    await carol.shot("sign-in")
    assert (await Axe().run(carol.page)).violations_count == 0
    await carol.close()
