"""Routes of several stages decided in turn, handed on, withdrawn, and the glass broken and reviewed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect
from support.console import Console
from support.runtime import eventually

from interlock.audit import ApprovalRow

pytestmark = pytest.mark.temporal


async def waiting(console: Console) -> ApprovalRow:
    return await console.runtime.approval(await console.runtime.start("payer", "Pay", requester="user:alice"))


async def test_stages_decide_one_after_the_other(console: Console) -> None:
    row = await waiting(console)
    carol, erin = await console.as_("carol"), await console.as_("erin")
    await erin.open(f"/approvals/{row.request_id}")
    await expect(erin.page.locator("#why-not")).to_contain_text("no approver of route staged, stage team")
    await carol.open(f"/approvals/{row.request_id}")
    await expect(carol.page.locator(".stage").first).to_contain_text("team decides")
    await carol.shot("card-stages")
    await carol.page.keyboard.press("a")
    await carol.page.keyboard.press("Enter")
    await expect(carol.page.locator("#why-not")).to_contain_text("You approved it already")
    await eventually(lambda: console.runtime.ledger.approval(row.request_id).stage == "board")
    await erin.open(f"/approvals/{row.request_id}")
    await expect(erin.page.locator(".stage").first).to_contain_text("team passed")
    await expect(erin.page.locator("#state")).to_contain_text("user:carol approve, stage team")
    await erin.page.keyboard.press("a")
    await erin.page.keyboard.press("Enter")
    await expect(erin.page.locator("#state")).to_contain_text("paid five")
    assert carol.complaints == erin.complaints == []
    await carol.close()
    await erin.close()


async def test_a_decision_is_handed_on_to_whom_the_route_names(console: Console) -> None:
    row = await waiting(console)
    carol, erin = await console.as_("carol"), await console.as_("erin")
    await carol.open(f"/approvals/{row.request_id}")
    await carol.page.locator("summary", has_text="Hand your decision on").click()
    await carol.page.locator("#to-reason").fill("she knows the customer")
    await carol.page.get_by_role("button", name="Hand it on").click()
    await eventually(lambda: "user:erin" in console.runtime.ledger.approval(row.request_id).approvers)
    await carol.open(f"/approvals/{row.request_id}")
    await expect(carol.page.locator("#why-not")).to_contain_text("user:erin")
    await erin.open(f"/approvals/{row.request_id}")
    await erin.page.keyboard.press("r")
    await erin.page.get_by_role("textbox", name="Why").fill("no such customer")
    await erin.page.get_by_role("button", name="Reject this call").click()
    await expect(erin.page.locator("#state")).to_contain_text("user:erin rejected it")
    await carol.close()
    await erin.close()


async def test_who_asked_for_the_run_withdraws_its_request(console: Console) -> None:
    row = await waiting(console)
    alice = await console.as_("alice")
    await alice.open(f"/approvals/{row.request_id}")
    await alice.page.locator("summary", has_text="Withdraw").click()
    await alice.page.locator("#withdraw-reason").fill("the customer cancelled")
    await alice.page.get_by_role("button", name="Withdraw it").click()
    await expect(alice.page.locator("#state")).to_contain_text("withdrawn")
    await alice.close()


async def test_broken_glass_runs_the_call_at_once_and_is_reviewed(console: Console) -> None:
    row = await waiting(console)
    erin, carol = await console.as_("erin"), await console.as_("carol")
    await erin.open(f"/approvals/{row.request_id}")
    await erin.page.locator("summary", has_text="Break the glass").click()
    await erin.shot("card-glass")
    await erin.page.locator("#emergency-reason").fill("the bank closes in a minute")
    await erin.page.get_by_role("button", name="Break the glass").click()
    await expect(erin.page.locator("#state")).to_contain_text("user:erin approved it in an emergency")
    await expect(erin.page.locator("#state")).to_contain_text("paid five")
    await carol.open("/")
    await carol.page.get_by_role("link", name="it ran in an emergency and is to be reviewed").click()
    await expect(carol.page.locator("#state")).to_contain_text("paid five")
    await carol.shot("card-review")
    await carol.page.locator("summary", has_text="It was justified").click()
    await carol.page.get_by_label("What you found").fill("it could not wait")
    await carol.page.get_by_role("button", name="It was justified").click()
    await expect(carol.page.locator("#state")).to_contain_text("user:carol answered it")
    assert carol.complaints == erin.complaints == []
    await carol.close()
    await erin.close()


async def test_a_deputy_decides_for_somebody_who_is_away(console: Console) -> None:
    dave, erin = await console.as_("dave"), await console.as_("erin")
    await dave.page.get_by_role("link", name="user:dave").click()
    await dave.page.get_by_label("Deputy").select_option("user:erin")
    await dave.page.get_by_label("Until, UTC").fill("2020-01-01T00:00")
    await dave.page.get_by_role("button", name="Name the deputy").click()
    await expect(dave.page.get_by_role("alert")).to_contain_text("ends: it must be behind the beginning")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    await dave.page.get_by_label("Deputy").select_option("user:erin")
    await dave.page.get_by_label("Until, UTC").fill(tomorrow)
    await dave.page.get_by_label("Why").fill("<b>holidays</b>")
    await dave.page.get_by_role("button", name="Name the deputy").click()
    await expect(dave.page.locator("tbody tr")).to_contain_text("<b>holidays</b>")
    row = await waiting(console)
    await asyncio.sleep(1.5)  # the inbox is as of at most a second ago
    await erin.open("/")
    await expect(erin.page.locator(f"[id='{row.request_id}']")).to_contain_text("you decide for user:dave")
    await erin.open(f"/approvals/{row.request_id}")
    await expect(erin.page.locator("#decide")).to_contain_text("You decide for user:dave, who is away")
    await erin.page.keyboard.press("r")
    await erin.page.get_by_role("textbox", name="Why").fill("no such customer")
    await erin.page.get_by_role("button", name="Reject this call").click()
    await expect(erin.page.locator("#state")).to_contain_text("user:erin rejected it")
    assert console.runtime.ledger.approval(row.request_id).votes[-1].seat == "user:dave"
    await dave.page.get_by_role("button", name="End it").click()
    await expect(dave.page.locator("tbody tr")).to_have_count(0)
    later = await waiting(console)
    await erin.open(f"/approvals/{later.request_id}")
    await expect(erin.page.locator("#why-not")).to_contain_text("no approver")
    assert dave.complaints == erin.complaints == []
    await dave.close()
    await erin.close()


async def test_a_route_may_demand_a_passkey_s_signature(console: Console) -> None:
    run = await console.runtime.start("wirer", "Wire it", requester="user:alice")
    row = await console.runtime.approval(run)
    carol = await console.as_("carol")
    control = await carol.context.new_cdp_session(carol.page)
    await control.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True}
    options |= {"hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True}
    await control.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    await carol.open(f"/approvals/{row.request_id}")
    await carol.page.evaluate("delete document.querySelector('[data-verdict=approve] form').dataset.passkey")
    await carol.page.keyboard.press("a")
    await carol.page.keyboard.press("Enter")  # as a form is sent where the script did not run
    await expect(carol.page.get_by_role("alert")).to_contain_text("must sign this decision with a passkey")
    await carol.open("/account")
    await carol.page.get_by_label("Name of a new passkey").fill("my key")
    await carol.page.get_by_role("button", name="Register a passkey").click()
    await expect(carol.page.locator("tbody tr")).to_contain_text("my key")
    await carol.shot("account-passkey")
    await carol.open(f"/approvals/{row.request_id}")
    await expect(carol.page.locator("#decide")).to_contain_text("Your passkey must sign")
    await carol.page.keyboard.press("a")
    await carol.page.keyboard.press("Enter")
    await expect(carol.page.locator("#state")).to_contain_text("wired five")
    assert (await console.runtime.verdict(run)).verified
    await carol.open("/account")
    await carol.page.get_by_role("button", name="Remove it").click()
    await expect(carol.page.locator("tbody tr")).to_have_count(0)
    assert carol.complaints == []
    await carol.close()


async def test_a_standing_grant_lets_exactly_this_call_run_until_it_is_ended(console: Console) -> None:
    run = await console.runtime.start("poster", "Post it", requester="user:alice")
    row = await console.runtime.approval(run)
    carol = await console.as_("carol")
    await carol.open(f"/approvals/{row.request_id}")
    await carol.page.locator("summary", has_text="Let exactly this call run").click()
    await carol.shot("card-grant")
    await carol.page.get_by_label("Hours, at most 8").fill("9")
    await carol.page.locator("#grant-reason").fill("daily news")
    await carol.page.get_by_role("button", name="Grant it").click()
    await expect(carol.page.get_by_role("alert")).to_be_visible()  # wider than the route lets it be
    await carol.page.get_by_label("Hours, at most 8").fill("1")
    await carol.page.locator("#grant-reason").fill("daily news")
    await carol.page.get_by_role("button", name="Grant it").click()
    await expect(carol.page.get_by_role("status").first).to_contain_text("You gave a standing grant on it")
    await carol.page.wait_for_load_state()  # so that its keys are read
    await carol.page.keyboard.press("a")
    await carol.page.keyboard.press("Enter")
    await expect(carol.page.locator("#state")).to_contain_text("posted news")
    again = await console.runtime.start("poster", "Post it", requester="user:alice")
    assert (await console.runtime.client.wait(again)).status == "completed"  # nobody was asked
    await carol.open("/grants")
    await expect(carol.page.locator("tbody tr").first).to_contain_text("daily news")
    await expect(carol.page.locator("tbody tr").first).to_contain_text("holds")
    await carol.shot("grants")
    await carol.page.get_by_label("Why it ends").fill("enough")
    await carol.page.get_by_role("button", name="End it").click()
    await expect(carol.page.locator("tbody tr").first).to_contain_text("ended by user:carol")
    assert carol.complaints == []
    await carol.close()
