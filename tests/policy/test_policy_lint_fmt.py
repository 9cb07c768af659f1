"""The canonical layout: comments stay, the policy stays, a second time changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.errors import IntegrityError, PolicyError
from interlock.policy import load_bundle
from interlock.policy.comments import yaml_comments
from interlock.policy.entries import Rule
from interlock.policy.formatting import formatted, meaning, reformatted, write
from interlock.policy.layout import RULE_KEYS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def laid(tmp_path: Path):
    """A file's canonical text."""

    def lay(text: str) -> str:
        path = tmp_path / "f.yaml"
        path.write_text(text)
        found = formatted(path, tmp_path)
        path.write_text(found)
        assert formatted(path, tmp_path) == found
        return found

    return lay


def test_keys_are_in_one_order(laid):
    text = "rules:\n- {when: [{eq: 5, argument: n}], tool: t, owner: o, agent: agent:a, effect: allow, id: x}\n"
    assert laid(text) == (
        "rules:\n  - id: x\n    effect: allow\n    owner: o\n    agent: agent:a\n    tool: t\n"
        "    when:\n      - {argument: n, eq: 5}\n"
    )


def test_order_has_every_key_of_a_rule():
    assert sorted(RULE_KEYS) == sorted(Rule.model_fields)


def test_comments_stay_where_they_were(laid):
    text = (
        "# file\n# of rules\n\n# section\nrules: # all\n"
        "# first\n- tool: t # tool\n  # why\n  effect: deny\n  id: x\n  owner: o\n\n"
        "# second\n\n- id: y\n  effect: deny\n  owner: o\n"
        "  tool: [\n    a, # one\n    b,\n    # two\n    c]\n# end\n"
    )
    assert laid(text) == (
        "# file\n# of rules\n\n# section\nrules:  # all\n"
        "  # first\n  - id: x\n    # why\n    effect: deny\n    owner: o\n    tool: t  # tool\n\n"
        "  # second\n\n  - id: y\n    effect: deny\n    owner: o\n    tool:\n      - a  # one\n      - b\n"
        "      # two\n      - c\n# end\n"
    )


def test_entry_in_one_line_keeps_its_comment(laid):
    text = "users:\n  # people\n  - {tenants: t,   name: alice} # boss\n  - name: bob\n    tenants: [t, u]\n"
    assert laid(text) == (
        "users:\n  # people\n  - {name: alice, tenants: t}  # boss\n  - {name: bob, tenants: [t, u]}\n"
    )


def test_long_line_is_opened_and_short_one_closed(laid):
    long = ", ".join(f"user:someone{n:02}" for n in range(20))
    found = laid(f"groups:\n  - {{name: g, members: [{long}]}}\n  - name: h\n    members:\n      - user:x\n")
    assert max(map(len, found.splitlines())) <= 110
    assert "  - name: g\n    members:\n      - user:someone00\n" in found
    assert "  - {name: h, members: [user:x]}\n" in found


def test_quotes_are_as_needed(laid):
    head = "rules:\n  - id: x\n    effect: deny\n"
    text = head.replace("x", '"x"') + (
        '    owner: "yes"\n    note: "a: b"\n    ticket: "5"\n    expires: "2027-01-01"\n    redact: "[0-9]+"\n'
        '    when:\n      - {argument: a, matches: "x.*"}\n      - {argument: b, eq: 10.50}\n'
        '      - {argument: c, eq: null}\n      - {argument: d, eq: "true"}\n'
        '      - {attribute: time, time_between: {to: "06:00", from: "22:00", zone: UTC}}\n'
    )
    assert laid(text) == head + (
        "    owner: 'yes'\n    note: 'a: b'\n    ticket: '5'\n    expires: 2027-01-01\n    redact: '[0-9]+'\n"
        "    when:\n      - {argument: a, matches: 'x.*'}\n      - {argument: b, eq: 10.50}\n"
        "      - {argument: c, eq: null}\n      - {argument: d, eq: 'true'}\n"
        "      - {attribute: time, time_between: {from: '22:00', to: '06:00', zone: UTC}}\n"
    )


def test_groups_of_entries_stay_apart(laid):
    text = (
        "users:\n  - {name: a, tenants: t}\n\n\n  - {name: b, tenants: t}\n  - {name: c, tenants: t}\nroles: []\n"
    )
    assert laid(text) == (
        "users:\n  - {name: a, tenants: t}\n\n  - {name: b, tenants: t}\n  - {name: c, tenants: t}\n\nroles: []\n"
    )


@pytest.mark.parametrize("text", ["", "# only words\n", "{}\n", "rules: []\n", "rules:\n"])
def test_file_with_nothing_in_it_is_kept(laid, text):
    if text == "rules:\n":
        assert laid(text) == "rules: null\n"
    else:
        assert laid(text) == text


@pytest.mark.parametrize("text", ["rules: [}\n", "users: &a []\n", "- a\n", "a: 1e3\n"])
def test_file_that_cannot_be_read_is_refused(laid, text):
    with pytest.raises(PolicyError, match="cannot be read"):
        laid(text)


def test_reference_files_are_in_that_layout():
    assert reformatted(ROOT / "permissions") == {}


def test_policy_that_does_not_load_is_left_alone(write, rule):
    folder = write(rules=rule(effect="permit"))
    before = (folder / "rules.yaml").read_bytes()
    with pytest.raises(PolicyError):
        reformatted(folder)
    assert (folder / "rules.yaml").read_bytes() == before


def test_layout_that_would_be_another_policy_is_refused(write, rule, monkeypatch):
    folder = write(rules=rule())
    other = rule(tool="other")
    monkeypatch.setattr("interlock.policy.formatting.formatted", lambda path, _: other)
    (folder / "people.yaml").unlink()
    with pytest.raises(IntegrityError, match="another policy"):
        reformatted(folder)


def test_writing_keeps_mode_and_meaning(write, rule):
    folder = write(rules="# mine\n" + rule(when="[{under: source, argument: path}]"))
    path = folder / "rules.yaml"
    path.chmod(0o640)
    before = load_bundle(folder)
    changed = reformatted(folder)
    assert path in changed
    write_out(changed)
    assert oct(path.stat().st_mode & 0o777) == "0o640"
    assert meaning(load_bundle(folder)) == meaning(before)
    assert reformatted(folder) == {}
    assert [name for name in os.listdir(folder) if name.startswith(".")] == []


write_out = write  # the fixture `write` shadows it inside tests


texts = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["C", "Z"], include_characters=" "),
    max_size=30,
)
comments = st.sampled_from(["", "  # c", "\n    # own", "\n\n    # apart\n"])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(RULE_KEYS)), texts, comments),
        min_size=1,
        max_size=8,
        unique_by=lambda t: t[0],
    )
)
def test_any_text_survives(tmp_path_factory, keys):
    folder = tmp_path_factory.getbasetemp()
    lines = [f"{key}: '{text.replace(chr(39), chr(39) * 2)}'{comment}" for key, text, comment in keys]
    path = folder / "any.yaml"
    path.write_text("rules:\n  - " + "\n    ".join(lines) + "\n", "utf-8")
    before = yaml_comments(path.read_text("utf-8"))
    found = formatted(path, folder)  # compares the values itself
    assert sorted(c.text for c in yaml_comments(found)) == sorted(c.text for c in before)
    path.write_text(found, "utf-8")
    assert formatted(path, folder) == found
