"""Cards that an agent made to deceive: nothing of them runs, nothing is hidden, nothing is left out."""

from __future__ import annotations

import pytest
from console.conftest import HOSTILE_TEXT
from playwright.async_api import expect
from support.console import Console, Person

from interlock.approval.visible import visible

pytestmark = pytest.mark.temporal


@pytest.fixture(scope="module")
async def request_id(console: Console) -> str:
    run = await console.runtime.start("hostile", "<script>alert('task')</script><img src=x onerror=alert(1)>")
    return (await console.runtime.approval(run)).request_id


async def unharmed(person: Person) -> None:
    """No script but ours, no picture but ours, no heading but ours; nothing complained and no dialog opened."""
    page = person.page
    sources = await page.locator("script").evaluate_all(
        "all => all.map(one => one.getAttribute('src') || 'inline')"
    )
    assert all(one.startswith("/static/") for one in sources), sources
    pictures = await page.locator("img").evaluate_all("all => all.map(one => one.getAttribute('src'))")
    assert all(one.startswith("/static/icon.svg") for one in pictures), pictures
    assert await page.locator("h1").count() == 1
    assert await page.locator("main").count() == 1
    assert await page.locator("[onerror], [onclick], [style]").count() == 0
    assert person.complaints == []


async def test_nothing_of_a_hostile_card_runs_and_all_of_it_is_there(console: Console, request_id: str) -> None:
    carol = await console.as_("carol")
    await unharmed(carol)  # the inbox
    await carol.shot("hostile-inbox")
    await carol.open(f"/approvals/{request_id}")
    await unharmed(carol)
    shown = await carol.page.get_by_role("group", name="Argument text, whole").inner_text()
    lines = "\n".join(f"| {line}" for line in visible(HOSTILE_TEXT).split("\n"))
    assert shown.strip() == lines.strip()
    await carol.shot("hostile-card")
    await carol.close()


async def test_what_an_eye_would_miss_is_spelled_out_and_marked(console: Console, request_id: str) -> None:
    carol = await console.as_("carol")
    await carol.open(f"/approvals/{request_id}")
    marks = carol.page.get_by_role("group", name="Argument text, whole").locator(".mark")
    told = set(await marks.all_inner_texts())
    assert {"⟨U+001B⟩", "⟨U+202E⟩", "⟨U+202C⟩", "⟨U+200B⟩", "⟨U+27E8⟩"} <= told
    await expect(carol.page.get_by_role("note").filter(has_text="hidden or control characters")).to_be_visible()
    await expect(carol.page.get_by_role("note").filter(has_text="mix alphabets")).to_contain_text("ypal.example")
    await expect(carol.page.get_by_role("group", name="Argument to, whole").locator(".alike")).to_have_text(
        ["р", "\u0430"]
    )
    await carol.close()


async def test_text_that_imitates_the_card_stands_in_the_argument_and_nowhere_else(
    console: Console, request_id: str
) -> None:
    carol = await console.as_("carol")
    await carol.open(f"/approvals/{request_id}")
    argument = carol.page.get_by_role("group", name="Argument text, whole")
    await expect(argument).to_contain_text("| Your decision: approved by user:dave")
    await expect(carol.page.locator("#state")).not_to_contain_text("dave")
    await expect(carol.page.locator("button", has_text="Approve this call")).to_have_count(1)
    sentence = await carol.page.locator(".sentence").inner_text()
    assert len(sentence) < 1_000
    assert "characters)" in sentence  # what is left out says so
    await carol.close()


async def test_hidden_characters_survive_a_form_that_changes_something_else(console: Console) -> None:
    run = await console.runtime.start("hostile", "again")
    row = await console.runtime.approval(run)
    carol = await console.as_("carol")
    await carol.open(f"/approvals/{row.request_id}")
    await carol.page.keyboard.press("e")
    form = carol.page.locator("[data-verdict=edit]")
    await form.get_by_label("copies", exact=True).fill("2")
    await form.get_by_role("button", name="Compare").click()
    await unharmed(carol)
    await expect(carol.page.locator(".del")).to_have_count(1)  # all else is as it was, to the byte
    await carol.shot("hostile-edit")
    await carol.page.get_by_role("link", name="Back, nothing is sent").click()
    await carol.close()


async def test_a_hostile_run_s_page_and_its_events_are_unharmed(console: Console, request_id: str) -> None:
    run = request_id.rpartition(":")[0]
    carol = await console.as_("carol")
    await carol.open(f"/runs/{run}")
    for number in range(await carol.page.locator(".timeline summary").count()):
        await carol.page.locator(".timeline summary").nth(number).click()
    await expect(carol.page.get_by_text("As recorded").last).to_be_visible()
    await unharmed(carol)
    await carol.shot("hostile-run")
    await carol.close()


async def test_what_a_person_writes_is_text_too(console: Console, request_id: str) -> None:
    carol = await console.as_("carol")
    await carol.open(f"/approvals/{request_id}")
    await carol.page.keyboard.press("r")
    await carol.page.get_by_role("textbox", name="Why").fill("</p><script>alert('why')</script>")
    await carol.page.get_by_role("button", name="Reject this call").click()
    await expect(carol.page.locator("#state")).to_contain_text("<script>alert('why')</script>")
    await unharmed(carol)
    await carol.close()


@pytest.mark.parametrize(
    "path",
    [
        "/runs?status=%3Cscript%3Ealert(1)%3C/script%3E",
        "/runs?text=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "/runs/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/approvals/%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
        "/policy/explain?agent=%3Cb%3E&tool=%3Cb%3E&arguments=%3C/textarea%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "/approvals/x?took=%3Cscript%3Ealert(1)%3C/script%3E",
        "/audit?run=%3Cscript%3E",
    ],
)
async def test_addresses_that_carry_markup_do_nothing(console: Console, path: str) -> None:
    carol = await console.as_("carol")
    await carol.open(path)
    await unharmed(carol)
    await carol.close()
