"""Decisions in a real browser: by mouse, by keyboard alone, edited, rejected, too late, by those who may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import APIResponse, expect
from support.cli_runtime import attack
from support.console import Console, Person
from support.runtime import eventually

from interlock.audit import ApprovalRow
from interlock.events import CallFinished, CallRefused

pytestmark = pytest.mark.temporal


async def waiting(console: Console, agent: str = "mailer", requester: str = "user:alice") -> ApprovalRow:
    """The request of a new run."""
    run = await console.runtime.start(agent, "Write to <i>Bob</i>", requester=requester)
    return await console.runtime.approval(run)


async def approved(person: Person, row: ApprovalRow) -> None:
    """Approve an open card."""
    await person.open(f"/approvals/{row.request_id}")
    await person.page.locator("summary", has_text="Approve").click()
    await person.page.get_by_role("button", name="Approve this call").click()


async def output(console: Console, row: ApprovalRow) -> str:
    """What the run's call gave in the end."""

    def look() -> CallFinished | None:
        events = console.runtime.ledger.events(row.run)
        return next((one for one in events if isinstance(one, CallFinished)), None)

    found = await eventually(look)
    return console.runtime.blobs.of(row.run).get(found.output).decode()


async def test_a_call_is_approved_by_mouse_and_the_card_shows_what_happened(console: Console) -> None:
    row = await waiting(console)
    carol = await console.as_("carol")
    await expect(carol.page.get_by_text("Waits for you: 1")).to_be_visible()
    await carol.shot("inbox")
    await carol.page.get_by_role("link", name="send").click()
    await expect(carol.page.get_by_role("heading", level=1)).to_have_text("Send hello to bob@example.org")
    await carol.shot("card")
    approve = carol.page.get_by_role("button", name="Approve this call")
    await expect(approve).to_be_hidden()  # one click decides nothing
    await carol.page.locator("summary", has_text="Approve").click()
    await approve.click()
    await expect(carol.page.locator("#state")).to_contain_text("user:carol approved it")
    await expect(carol.page.locator("#state")).to_contain_text("sent hello")
    await expect(carol.page.locator("#decide")).to_contain_text("Nothing is left to decide")
    await carol.shot("card-after")
    assert await output(console, row) == "sent hello"
    assert carol.complaints == []
    await carol.close()


async def test_a_call_is_approved_by_keyboard_alone(console: Console) -> None:
    row = await waiting(console)
    carol = await console.as_("carol")
    keyboard = carol.page.keyboard
    await carol.page.locator("[data-request]").first.wait_for()
    await keyboard.press("j")
    await expect(carol.page.locator("[data-request] > a").first).to_be_focused()
    await keyboard.press("Enter")
    await carol.page.wait_for_url(f"**/approvals/{row.request_id}")
    await keyboard.press("a")
    await expect(carol.page.get_by_role("button", name="Approve this call")).to_be_focused()
    assert console.runtime.ledger.approval(row.request_id).state == "pending"  # the key alone decides nothing
    await keyboard.press("Enter")
    await expect(carol.page.locator("#state")).to_contain_text("sent hello")
    assert carol.complaints == []
    await carol.close()


async def test_a_rejection_s_reason_reaches_the_agent(console: Console) -> None:
    row = await waiting(console)
    carol = await console.as_("carol")
    await carol.open(f"/approvals/{row.request_id}")
    await carol.page.keyboard.press("r")
    await carol.page.keyboard.type("Bob left <b>long</b> ago")
    await carol.page.get_by_role("button", name="Reject this call").click()
    await expect(carol.page.locator("#state")).to_contain_text("user:carol rejected it")
    await expect(carol.page.locator("#state")).to_contain_text("Bob left <b>long</b> ago")

    def refused() -> CallRefused | None:
        events = console.runtime.ledger.events(row.run)
        return next((one for one in events if isinstance(one, CallRefused)), None)

    assert "Bob left <b>long</b> ago" in (await eventually(refused)).detail
    await carol.close()


async def test_a_rejection_without_a_reason_is_not_sent(console: Console) -> None:
    row = await waiting(console)
    carol = await console.as_("carol")
    await carol.open(f"/approvals/{row.request_id}")
    await carol.page.keyboard.press("r")
    await carol.page.evaluate("document.querySelector('#reason').removeAttribute('required')")
    await carol.page.get_by_role("button", name="Reject this call").click()
    await expect(carol.page.get_by_role("alert")).to_contain_text("say why")
    assert console.runtime.ledger.approval(row.request_id).state == "pending"
    await approved(carol, row)
    await carol.close()


async def test_an_edited_call_is_compared_and_decided_anew(console: Console) -> None:
    row = await waiting(console)
    carol = await console.as_("carol")
    await carol.open(f"/approvals/{row.request_id}")
    await carol.page.keyboard.press("e")
    form = carol.page.locator("[data-verdict=edit]")
    await form.get_by_label("text", exact=True).fill("good morning")
    await form.get_by_label("tone", exact=True).select_option('"warm"')
    await form.get_by_label("copies", exact=True).fill("many")
    await carol.shot("edit")
    await form.get_by_role("button", name="Compare").click()
    await expect(carol.page.locator("[data-verdict=edit] .wrong").last).to_contain_text("not a number: 'many'")
    await carol.shot("edit-wrong")
    await form.get_by_label("copies", exact=True).fill("2")
    await form.get_by_role("button", name="Compare").click()
    await expect(carol.page.get_by_role("heading", level=1)).to_have_text("Put this call in its place?")
    await expect(carol.page.locator(".del").first).to_contain_text("-1")
    await carol.shot("edit-compare")
    await carol.page.get_by_role("button", name="Send the edited call").click()
    again = carol.page.get_by_role("link", name="It waits as")
    await again.click()
    await carol.page.wait_for_load_state()  # so that its keys are read
    await expect(carol.page.get_by_role("heading", level=1)).to_have_text("Send good morning to bob@example.org")
    await carol.page.keyboard.press("a")
    await carol.page.keyboard.press("Enter")
    await expect(carol.page.locator("#state")).to_contain_text("sent good morning")
    assert await output(console, row) == "sent good morning"
    assert carol.complaints == []
    await carol.close()


async def test_nothing_changed_is_no_edit(console: Console) -> None:
    row = await waiting(console)
    carol = await console.as_("carol")
    await carol.open(f"/approvals/{row.request_id}")
    await carol.page.keyboard.press("e")
    await carol.page.get_by_role("button", name="Compare").click()
    await expect(carol.page.locator("[data-verdict=edit]")).to_contain_text("Nothing was changed")
    await approved(carol, row)
    await carol.close()


async def test_who_asked_for_the_run_is_told_why_they_cannot_decide(console: Console) -> None:
    row = await waiting(console)
    alice = await console.as_("alice")
    await expect(alice.page.get_by_text("Waits for others: 1")).to_be_visible()
    await alice.open(f"/approvals/{row.request_id}")
    await expect(alice.page.locator("#why-not")).to_contain_text("You asked for this run")
    for name in ("Approve", "Edit", "Reject"):
        await expect(alice.page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    await alice.shot("card-requester")
    answer = await forged(alice, row, "approve", row.call_digest)
    assert answer.status == 403
    assert "separation of duties" in await answer.text()
    assert console.runtime.ledger.approval(row.request_id).state == "pending"
    carol = await console.as_("carol")
    await approved(carol, row)
    await carol.close()
    await alice.close()


async def test_a_decision_taken_meanwhile_is_told_with_who_and_when(console: Console) -> None:
    row = await waiting(console)
    carol, dave = await console.as_("carol"), await console.as_("dave")
    await dave.open(f"/approvals/{row.request_id}")
    await dave.page.keyboard.press("a")
    await dave.page.evaluate("document.querySelector('#state').remove()")  # it would have said so by itself
    await approved(carol, row)
    await expect(carol.page.locator("#state")).to_contain_text("user:carol approved it")
    async with dave.page.expect_navigation() as answered:
        await dave.page.get_by_role("button", name="Approve this call").click()
    answer = await answered.value
    assert answer.status == 409
    await expect(dave.page.get_by_role("alert").first).to_contain_text("user:carol approved it at")
    await carol.close()
    await dave.close()


async def test_an_open_card_says_by_itself_that_it_was_decided(console: Console) -> None:
    row = await waiting(console)
    carol, dave = await console.as_("carol"), await console.as_("dave")
    await dave.open(f"/approvals/{row.request_id}")
    await approved(carol, row)
    await expect(dave.page.locator("#state")).to_contain_text("user:carol approved it")
    await expect(dave.page.locator("#decide")).to_contain_text("Nothing is left to decide")
    assert dave.complaints == []
    await carol.close()
    await dave.close()


async def test_a_decision_is_about_the_call_that_was_shown(console: Console) -> None:
    row, other = await waiting(console), await waiting(console)
    carol = await console.as_("carol")
    await carol.open(f"/approvals/{row.request_id}")
    answer = await forged(carol, row, "approve", other.call_digest)
    assert answer.status == 409
    assert "nothing was sent" in await answer.text()
    assert console.runtime.ledger.approval(row.request_id).state == "pending"
    for one in (row, other):
        await approved(carol, one)
    await carol.close()


async def test_a_form_of_another_site_decides_nothing(console: Console) -> None:
    row = await waiting(console)
    carol = await console.as_("carol")
    await carol.open(f"/approvals/{row.request_id}")
    answer = await forged(carol, row, "approve", row.call_digest, csrf="0")
    assert answer.status == 403
    assert console.runtime.ledger.approval(row.request_id).state == "pending"
    await approved(carol, row)
    await carol.close()


async def test_calls_of_one_shape_are_decided_together_each_listed_in_full(console: Console) -> None:
    rows = [await waiting(console) for _ in range(3)]
    carol = await console.as_("carol")
    await carol.page.get_by_role("link", name="decide them together").click()
    for row in rows:
        await expect(carol.page.locator(f"input[value='{row.request_id} {row.call_digest}']")).not_to_be_checked()
    await carol.shot("together")
    for row in rows[:2]:
        await carol.page.locator(f"input[value='{row.request_id} {row.call_digest}']").check()
    await carol.page.keyboard.press("Escape")
    await carol.page.locator("summary", has_text="Approve").click()
    await carol.page.get_by_role("button", name="Approve the ticked calls").click()
    await expect(carol.page.get_by_role("heading", level=1)).to_have_text("2 of 2 approved")
    for row in rows[:2]:
        assert await output(console, row) == "sent hello"
    assert console.runtime.ledger.approval(rows[2].request_id).state == "pending"
    await approved(carol, rows[2])
    await carol.close()


async def test_calls_of_another_shape_are_not_decided_along(console: Console) -> None:
    row, other = await waiting(console), await waiting(console, "saver")
    carol = await console.as_("carol")
    await carol.open(f"/together/{row.request_id}")
    token = await carol.page.locator("input[name=csrf]").first.get_attribute("value")
    form = {"csrf": token, "verdict": "approve", "chosen": f"{other.request_id} {other.call_digest}"}
    address = f"{console.address}/together/{row.request_id}"
    answer = await carol.context.request.post(address, form=form, headers={"origin": console.address})
    assert answer.status == 409
    assert "not of the same shape" in await answer.text()
    assert console.runtime.ledger.approval(other.request_id).state == "pending"
    for one in (row, other):
        await approved(carol, one)
    await carol.close()


async def test_a_question_is_answered_by_one_of_its_choices(console: Console) -> None:
    row = await waiting(console, "asking")
    carol = await console.as_("carol")
    await carol.open(f"/approvals/{row.request_id}")
    await expect(carol.page.get_by_text("<b>Ship?</b>").first).to_be_visible()
    await carol.page.keyboard.press("w")
    await carol.page.get_by_label("Your answer").select_option("hold")
    await carol.shot("question")
    await carol.page.get_by_role("button", name="Send the answer").click()
    await expect(carol.page.locator("#state")).to_contain_text("“hold”")
    assert (await console.runtime.client.wait(row.run)).status == "completed"
    assert carol.complaints == []
    await carol.close()


async def test_changed_files_are_shown_before_and_what_changed_after(console: Console) -> None:
    row = await waiting(console, "saver")
    carol = await console.as_("carol")
    await approved(carol, row)
    await expect(carol.page.locator("#state")).to_contain_text("notes.txt")
    await expect(carol.page.locator("#state .add").first).to_have_text("+one")
    await carol.shot("files-changed")
    await carol.close()


async def test_a_new_request_comes_to_an_open_inbox(console: Console) -> None:
    carol = await console.as_("carol")
    await expect(carol.page.get_by_text("Nothing waits for you")).to_be_visible()
    row = await waiting(console)
    await expect(carol.page.locator(f"[id='{row.request_id}']")).to_be_visible()
    await expect(carol.page.locator("#told")).to_have_text("1 more wait for you, 1 in all")
    await expect(carol.page).to_have_title("(1) Inbox · Interlock")
    dave = await console.as_("dave")
    await approved(dave, row)
    await expect(carol.page.get_by_text("Nothing waits for you")).to_be_visible()
    assert carol.complaints == []
    await carol.close()
    await dave.close()


async def test_an_inbox_of_somebody_who_signed_out_elsewhere_is_told_nothing_more(console: Console) -> None:
    carol = await console.as_("carol")
    console.held.accounts.sessions.end_all("user:carol", console.runtime.settings.tenant)
    row = await waiting(console)
    dave = await console.as_("dave")
    await expect(dave.page.locator(f"[id='{row.request_id}']")).to_be_visible()
    await expect(carol.page.locator(f"[id='{row.request_id}']")).to_have_count(0)
    await approved(dave, row)
    await carol.close()
    await dave.close()


async def test_a_card_whose_record_was_altered_is_not_shown(console: Console) -> None:
    row, other = await waiting(console), await waiting(console, "saver")
    carol = await console.as_("carol")
    database = Path(console.runtime.settings.state_folder) / "ledger.db"
    changed = "UPDATE approvals SET subject = ?, call_digest = ? WHERE request_id = ?"
    assert attack(database, changed, other.subject, other.call_digest, row.request_id) == 1
    await carol.open(f"/approvals/{row.request_id}")
    await expect(carol.page.get_by_role("heading", level=1)).to_have_text("Do not approve this")
    await expect(carol.page.get_by_role("alert")).to_contain_text("is not shown")
    await expect(carol.page.get_by_role("button", name="Approve")).to_have_count(0)
    await carol.shot("card-refused")
    answer = await forged(carol, row, "approve", other.call_digest)
    assert answer.status == 500
    assert "Do not approve this" in await answer.text()
    assert attack(database, changed, row.subject, row.call_digest, row.request_id) == 1
    for one in (row, other):
        await approved(carol, one)
    await carol.close()


async def forged(person: Person, row: ApprovalRow, verdict: str, digest: str, *, csrf: str = "") -> APIResponse:
    """A decision as a script of this browser would send it."""
    token = csrf or await person.page.locator("input[name=csrf]").first.get_attribute("value")
    return await person.context.request.post(
        f"{person.console.address}/approvals/{row.request_id}/decide",
        form={"csrf": token, "verdict": verdict, "digest": digest},
        headers={"origin": person.console.address},
    )
