"""What `interlock check` finds in the policy beside the project."""

from __future__ import annotations

import pytest

from interlock.definitions import ToolSchema
from interlock.policy import check_references


def tool(name: str, action: str, profile: str = "default", **arguments: object) -> ToolSchema:
    parameters = {"type": "object", "properties": arguments, "additionalProperties": False}
    return ToolSchema(
        name=name,
        description="",
        parameters=parameters,
        result={},
        action=action,
        resource="",
        workspace="none",
        effects="contained",
        idempotent=True,
        profile=profile,
        preview="arguments",
        sentence="",
    )


TEXT = {"type": "string"}
TOOLS = {
    "edit_file": tool(
        "edit_file",
        "write",
        path=TEXT,
        count={"type": "integer"},
        amount={"type": "string", "format": "decimal"},
        mode={"enum": ["fast", "safe"]},
        maybe={"anyOf": [TEXT, {"type": "null"}]},
        flag={"type": "boolean"},
        tags={"type": "array", "items": TEXT},
        options={"type": "object", "properties": {"depth": {"type": "integer"}}, "additionalProperties": False},
        free={"type": "object", "additionalProperties": TEXT},
    ),
    "read_file": tool("read_file", "read", path=TEXT),
    "run": tool("run", "execute"),
}


def problems(bundle, **changes) -> list[str]:
    known = {"agents": {"fixer"}, "tools": TOOLS, "images": {"default"}, "workflows": {"fix_issue"}}
    return [str(problem) for problem in check_references(bundle, **{**known, **changes})]


def test_sound_bundle_has_no_problem(load, rule):
    assert problems(load(rule())) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"agent": "agent:fixr"}, "unknown agent 'agent:fixr' (did you mean 'fixer'?)"),
        ({"tool": "edit_fil"}, "no tool is covered by 'edit_fil' (did you mean 'edit_file'?)"),
        ({"tool": "[edit_file, db.*]"}, "no tool is covered by 'db.*'"),
        ({"action": "wirte"}, "no covered tool has the action 'wirte' (did you mean 'write'?)"),
        ({"when": "[{argument: pth, under: a}]"}, "has no argument 'pth' (did you mean 'path'?)"),
        ({"when": "[{argument: path.x, eq: a}]"}, "has no argument 'path.x'"),
        ({"when": "[{argument: options.dpth, eq: 1}]"}, "has no argument 'options.dpth' (did you mean 'depth'?)"),
        ({"when": "[{argument: path, lt: 5}]"}, "'lt' does not work on text"),
        ({"when": "[{argument: count, under: a}]"}, "'under' does not work on a whole number"),
        ({"when": "[{argument: count, eq: '5'}]"}, "'5' can never equal a whole number"),
        ({"when": "[{argument: flag, eq: 1}]"}, "1 can never equal boolean"),
        ({"when": "[{argument: path, eq: null}]"}, "None can never equal text"),
        ({"when": "[{argument: amount, lt: 5}]"}, "compare it with a decimal, 5.00"),
        ({"when": "[{argument: mode, eq: sfae}]"}, "'sfae' is not one of its values (did you mean 'safe'?)"),
        ({"when": "[{argument: flag, length_le: 5}]"}, "'length_le' does not work on boolean"),
        (
            {"when": "[{attribute: workflow, eq: fix_isue}]"},
            "unknown workflow 'fix_isue' (did you mean 'fix_issue'?)",
        ),
        ({"when": "[{attribute: requester, eq: 'user:alcie'}]"}, "unknown requester 'user:alcie'"),
    ],
)
def test_rule_that_names_nothing_is_found(load, rule, change, message):
    found = problems(load(rule(**change)))
    assert len(found) == 1
    assert found[0].startswith("permissions/rules.yaml:2: rule 'r': ")
    assert message in found[0]


@pytest.mark.parametrize(
    "condition",
    [
        "{argument: path, under: a}",
        "{argument: count, lt: 5}",
        "{argument: amount, lt: 5.00}",
        "{argument: mode, in: [fast, safe]}",
        "{argument: maybe, eq: null}",
        "{argument: maybe, matches: a}",
        "{argument: flag, eq: true}",
        "{argument: tags, contains: a}",
        "{argument: options.depth, le: 3}",
        "{argument: free.anything, eq: a}",
    ],
)
def test_condition_that_fits_is_no_problem(load, rule, condition):
    assert problems(load(rule(when=f"[{condition}]"))) == []


def test_deny_over_tools_without_the_argument_is_found(load, rule):
    found = problems(load(rule(effect="deny", agent="", tool="", when="[{argument: path, under: .git}]")))
    assert len(found) == 1
    assert "tool 'run' has no argument 'path'; the rule would match every call of it" in found[0]


def test_action_narrows_the_tools_of_a_condition(load, rule):
    text = rule(effect="deny", agent="", tool="", action="[write, read]", when="[{argument: path, under: .git}]")
    assert problems(load(text)) == []


def test_route_that_nobody_can_satisfy_is_found(load):
    more = "routes:\n  - {name: both, approvers: [user:alice, user:bob], quorum: 3, expires_after: 1h}\n"
    found = problems(load(more=more))
    assert found == ["permissions/more.yaml:2: route 'both' can never be satisfied: it needs 3 people and has 2"]


def test_approver_who_asks_alone_is_found(load, rule):
    more = "routes:\n  - {name: one, approvers: user:alice, expires_after: 1h}\n"
    ask = rule(effect="ask", route="one", requester="group:developers")
    assert "cannot be satisfied for 'user:alice'" in problems(load(ask, more=more))[0]
    assert problems(load(ask.replace("group:developers", "user:bob"), more=more)) == []


def test_unknown_image_and_profile_are_found(load):
    found = problems(load(), images={"defualt"}, tools={"run": tool("run", "execute", profile="defalt")})
    assert found == [
        "permissions/people.yaml:10: profile 'default': unknown image 'default' (did you mean 'defualt'?)",
        "tools/run.py:1: tool 'run': unknown profile 'defalt' (did you mean 'default'?)",
    ]


def test_unknown_agent_in_a_group_is_found(load):
    found = problems(load(more="groups:\n  - {name: g, members: [agent:fixr]}\n"))
    assert found == ["permissions/more.yaml:2: group 'g': unknown agent 'agent:fixr' (did you mean 'fixer'?)"]


KEY = "credentials:\n  - {name: tracker, source: 'env:T', hosts: api.example.org}\n"


def test_way_out_for_a_reader_is_found(load, rule):
    found = problems(load(rule(tool="read_file", egress="api.example.org")))
    assert len(found) == 1
    assert "tool 'read_file' a way out, which is declared as a reader" in found[0]


def test_profile_with_a_way_out_for_a_reader_is_found(load, rule):
    more = "profiles:\n  - {name: net, egress: [api.example.org]}\n"
    assert "declared as a reader" in problems(load(rule(tool="read_file", profile="net"), more=more))[0]


@pytest.mark.parametrize(
    ("granted", "wrong"),
    [
        ({"egress": "api.example.org", "credentials": "tracker"}, ""),
        ({"egress": "api.example.org"}, "'tracker', which the rule does not grant"),
        ({"credentials": "tracker"}, "it may reach nothing"),
    ],
)
def test_credential_that_would_be_missing_is_found(load, rule, granted, wrong):
    files = {"file": tool("file", "publish").model_copy(update={"flow": "sink", "credentials": ("tracker",)})}
    found = problems(load(rule(tool="file", **granted), more=KEY), tools=files)
    assert [wrong in text for text in found] == ([True] if wrong else [])


def test_unknown_credentials_are_found(load, refused, rule):
    (said,) = refused(rules=rule(credentials="trackr"), more=KEY)
    assert "unknown credential 'trackr' (did you mean 'tracker'?)" in said
    files = {"file": tool("file", "publish").model_copy(update={"credentials": ("other",)})}
    assert any("unknown credential 'other'" in text for text in problems(load(more=KEY), tools=files))
