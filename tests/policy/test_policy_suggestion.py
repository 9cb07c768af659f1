"""The narrowest rule over what was seen: it covers all of it, nothing beside it, and loads as it is printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.errors import InvalidInput
from interlock.policy import Bundle, decide, load_bundle
from interlock.policy.suggestion import Suggestion, suggest_rule, suggestions_file
from interlock.types.access import AccessRequest

PEOPLE = """\
users:
  - {name: alice, tenants: [acme]}
  - {name: bob, tenants: [acme]}
  - {name: carol, tenants: [acme, other]}
groups:
  - {name: developers, members: [user:alice, user:bob]}
  - {name: everyone, members: [group:developers, user:carol]}
routes:
  - {name: leads, approvers: [user:bob, user:carol], expires_after: 4h}
profiles:
  - {name: default}
"""

Ask = Callable[..., AccessRequest]
Under = Callable[[str], Bundle]


@pytest.fixture
def under(tmp_path: Path) -> Under:
    """The policy with a file of suggestions and no other rule."""

    def load(text: str) -> Bundle:
        (tmp_path / "people.yaml").write_text(PEOPLE)
        (tmp_path / "suggested.yaml").write_text(text)
        return load_bundle(tmp_path)

    return load


@pytest.fixture
def people(under: Under) -> Any:
    return under("rules: []\n").people


def paths(ask: Ask, *names: str) -> list[AccessRequest]:
    return [ask(arguments={"path": name}) for name in names]


def conditions(suggestion: Suggestion) -> list[dict[str, Any]]:
    return suggestion.rule.model_dump(mode="json", by_alias=True)["when"]


def test_one_call_gives_its_own_values(request_of: Ask, people: Any) -> None:
    found = suggest_rule(paths(request_of, "source/x.py"), people, owner="team")
    rule = found.rule
    assert (rule.agent, rule.requester, rule.tool, rule.action, rule.tenant) == (
        ("agent:fixer",), ("user:alice",), ("edit_file",), ("write",), ("acme",),
    )  # fmt: skip
    assert conditions(found) == [{"argument": "path", "eq": "source/x.py"}]
    assert (rule.note, rule.owner, found.remarks) == ("seen 1 time, 2026-01-05", "team", ())


def test_paths_share_their_longest_folder(request_of: Ask, people: Any) -> None:
    found = suggest_rule(paths(request_of, "source/a/x.py", "source/a/b/y.py", "source/a/z.py"), people)
    assert conditions(found) == [{"argument": "path", "under": ["source/a"]}]
    assert found.remarks == ("argument 'path': 3 paths below 'source/a'",)


@pytest.mark.parametrize(
    ("names", "condition"),
    [
        (("source/x", "docs/y"), {"argument": "path", "in": ["docs/y", "source/x"]}),
        (("sourcea/x", "sourceb/x"), {"argument": "path", "in": ["sourcea/x", "sourceb/x"]}),
        (("/x", "/y"), {"argument": "path", "in": ["/x", "/y"]}),
        (("/srv/x", "/srv/y"), {"argument": "path", "under": ["/srv"]}),
        (("source/../x", "source/y"), {"argument": "path", "in": ["source/../x", "source/y"]}),
        (("x", "y"), {"argument": "path", "in": ["x", "y"]}),
    ],
)
def test_paths_without_common_folder_are_listed(
    request_of: Ask, people: Any, names: tuple[str, ...], condition: dict[str, Any]
) -> None:
    assert conditions(suggest_rule(paths(request_of, *names), people)) == [condition]


def test_many_values_give_a_remark(request_of: Ask, people: Any) -> None:
    found = suggest_rule([request_of(arguments={"q": f"word{n}"}) for n in range(6)], people)
    assert found.rule.when == ()
    assert found.remarks == ("argument 'q': 6 different values, so no condition",)


def test_many_numbers_have_a_largest(request_of: Ask, people: Any) -> None:
    found = suggest_rule([request_of(arguments={"amount": n}) for n in range(20)], people)
    assert conditions(found) == [{"argument": "amount", "le": 19}]


@pytest.mark.parametrize("value", ["x" * 121, "two\nlines", {"nested": 1}, [1], "\x1b[31m", "\u202eabc"])
def test_content_is_not_copied(request_of: Ask, people: Any, value: Any) -> None:
    found = suggest_rule([request_of(arguments={"text": value})], people)
    assert found.rule.when == ()
    assert found.remarks[0].startswith("argument 'text': 1 values, some of them long or nested")


def test_secrets_are_not_copied(request_of: Ask, people: Any) -> None:
    found = suggest_rule([request_of(arguments={"key": "hunter2"}, labels={"key": ("secret",)})], people)
    assert "hunter2" not in found.yaml


def test_argument_of_some_calls_has_no_condition(request_of: Ask, people: Any) -> None:
    found = suggest_rule([request_of(arguments={"a": 1, "b": 2}), request_of(arguments={"a": 1})], people)
    assert conditions(found) == [{"argument": "a", "eq": 1}]
    assert found.remarks == ("argument 'b': not in every call, so no condition",)


def test_truth_is_no_number(request_of: Ask, people: Any, under: Under) -> None:
    found = suggest_rule([request_of(arguments={"force": False}), request_of(arguments={"force": None})], people)
    bundle = under(suggestions_file([found]))
    verdicts = {str(v): decide(bundle, request_of(arguments={"force": v})).verdict for v in (False, None, 0, True)}
    assert verdicts == {"False": "allow", "None": "allow", "0": "deny", "True": "deny"}


def test_exactly_a_group_is_named(request_of: Ask, people: Any) -> None:
    both = [request_of(requester="user:alice"), request_of(requester="user:bob")]
    assert suggest_rule(both, people).rule.requester == ("group:developers",)


def test_wider_group_is_only_remarked(request_of: Ask, people: Any) -> None:
    two = [request_of(requester="user:alice"), request_of(requester="user:carol")]
    found = suggest_rule(two, people)
    assert found.rule.requester == ("user:alice", "user:carol")
    assert "group:everyone has these people and 1 more" in found.remarks


def test_obligations_are_taken_over(request_of: Ask, people: Any, load: Callable[..., Bundle]) -> None:
    bundle = load(
        "rules:\n  - {id: r, effect: ask, owner: sec, agent: 'agent:*', tool: edit_file, route: leads,"
        " profile: default, egress: example.org, limits: {time_s: 9}, redact: 'AKIA[0-9]+', notify: 'user:carol'}\n"
    )
    like = bundle.rule_by_id["r"].rule
    found = suggest_rule([request_of()], people, effect="ask", like=like).rule
    assert (found.owner, found.route, found.profile) == ("sec", "leads", "default")
    assert [rule.host for rule in found.egress or ()] == ["example.org"]
    assert (found.limits, found.redact, found.notify) == (like.limits, like.redact, like.notify)


def test_id_is_free(request_of: Ask, people: Any) -> None:
    taken = {"suggested_fixer_edit_file", "suggested_fixer_edit_file_2"}
    assert suggest_rule([request_of()], people, taken=taken).rule.id == "suggested_fixer_edit_file_3"


@pytest.mark.parametrize(
    ("changes", "options"),
    [([], {}), ([{}, {"tool": "other"}], {}), ([{}, {"agent": "agent:x"}], {}), ([{}], {"effect": "ask"}),
     ([{}], {"route": "leads"})],
)  # fmt: skip
def test_what_makes_no_rule_is_refused(request_of: Ask, people: Any, changes: Any, options: Any) -> None:
    with pytest.raises(InvalidInput):
        suggest_rule([request_of(**change) for change in changes], people, **options)


words = st.text(max_size=20) | st.sampled_from(
    [
        "yes",
        "null",
        "1e3",
        "0x10",
        "~",
        "2026-01-01",
        "- a",
        "a: b",
        "#x",
        "'",
        '"',
        "{",
        "*a",
        "&a",
        "!t",
        " x ",
        "1.0",
    ]
)
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | words
names = st.sampled_from(["a", "path", "in", "Weird_Name", "not-a-name", "x y", "ümlaut".encode().hex()])
calls = st.lists(
    st.dictionaries(names, scalars | st.lists(scalars, max_size=2), max_size=4), min_size=1, max_size=8
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(arguments=calls, strange=scalars)
def test_printed_rule_covers_what_was_seen(
    request_of: Ask, people: Any, under: Under, arguments: list[dict[str, Any]], strange: Any
) -> None:
    seen = [request_of(arguments=one) for one in arguments]
    found = suggest_rule(seen, people)
    bundle = under(suggestions_file([found]))
    assert bundle.rule_by_id[found.rule.id].rule == found.rule
    assert {decide(bundle, request).verdict for request in seen} == {"allow"}
    assert decide(bundle, request_of(arguments=arguments[0], requester="user:bob")).verdict == "deny"
    assert decide(bundle, request_of(arguments=arguments[0], action="read")).verdict == "deny"
