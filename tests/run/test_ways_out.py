"""What a call may send out: what its rule or profile names, for a tool that says so, with granted secrets only."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.definitions import ToolSchema
from interlock.errors import Refused
from interlock.policy import Bundle
from interlock.run.ways_out import way_out
from interlock.types.access import Decision, Obligations
from interlock.types.egress import Credential, EgressRule
from interlock.types.profile import Profile

DIGEST = "sha256:" + "0" * 64
RULE = EgressRule(host="api.example.org", methods=("POST",), paths=("/issues",))
KEY = Credential(name="tracker", source="env:TRACKER", hosts=("api.example.org",))


class Credentials:
    """A bundle, as far as it is asked here."""

    credentials = {"tracker": KEY}  # noqa: RUF012


def tool(**said: Any) -> ToolSchema:
    fields = {
        "name": "file_issue",
        "description": "Files an issue.",
        "parameters": {"type": "object", "properties": {}},
        "result": {"type": "null"},
        "action": "publish",
        "resource": "tool:file_issue",
        "workspace": "none",
        "effects": "external",
        "idempotent": False,
        "profile": "default",
        "preview": "arguments",
        "sentence": "",
        "flow": "sink",
    }
    return ToolSchema.model_validate({**fields, **said})


def decided(**obligations: Any) -> Decision:
    obliged = Obligations(**obligations)
    return Decision(verdict="allow", rule="r", reason="r", obligations=obliged, bundle=DIGEST, request=DIGEST)


def asked(decision: Decision, schema: ToolSchema, profile: Profile | None = None) -> Any:
    bundle: Bundle = Credentials()  # type: ignore[assignment]
    return way_out(bundle, decision, schema, profile or Profile(name="default"))


def test_nothing_named_is_no_way_out() -> None:
    assert asked(decided(), tool()) is None


def test_rules_list_replaces_the_profiles() -> None:
    wide = Profile(name="net", egress=(EgressRule(host="*.example.org"),))
    assert asked(decided(egress=(RULE,)), tool(), wide).rules == (RULE,)
    assert asked(decided(), tool(), wide).rules == wide.egress


def test_tool_that_is_no_sink_gets_none() -> None:
    with pytest.raises(Refused, match="declared as a reader"):
        asked(decided(egress=(RULE,)), tool(flow="reader"))


def test_ungranted_credential_refuses_the_call() -> None:
    with pytest.raises(Refused, match="rule 'r' does not grant"):
        asked(decided(egress=(RULE,)), tool(credentials=("tracker",)))


def test_credential_without_way_out_refuses_the_call() -> None:
    with pytest.raises(Refused, match="lets it reach anything"):
        asked(decided(credentials=("tracker",)), tool(credentials=("tracker",)))


def test_granted_credential_goes_along() -> None:
    found = asked(decided(egress=(RULE,), credentials=("tracker",)), tool(credentials=("tracker",)))
    assert found.credentials == (KEY,)


def test_grant_to_a_tool_that_names_none_adds_none() -> None:
    assert asked(decided(egress=(RULE,), credentials=("tracker",)), tool()).credentials == ()
