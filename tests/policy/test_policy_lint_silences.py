"""A comment leaves a finding be, with a reason; one that does not work is told."""

from __future__ import annotations

from datetime import date

import pytest

from interlock.policy.comments import python_comments, yaml_comments
from interlock.policy.lint import comments_of, lint

RULE = "  - {id: x, effect: allow, owner: team, agent: agent:*, tool: '**', requester: user:alice}"
ASKS = (
    "  - {id: asks, effect: ask, owner: team, agent: agent:a, tool: t, route: leads, requester: group:developers}\n"
)


@pytest.fixture
def found(write, load):
    """Code, line and silence of each finding about a file with one rule that is too broad."""

    def find(text: str) -> list[tuple[str, int, str]]:
        bundle = load(f"rules:\n{text}", asks=f"rules:\n{ASKS}")
        comments = comments_of(write(rules=f"rules:\n{text}", asks=f"rules:\n{ASKS}"))
        return [(one.code, one.line, one.silenced) for one in lint(bundle, date(2026, 6, 1), None, comments)]

    return find


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"  # lint: allow over-broad the lab has no data\n{RULE}\n", 3),
        (f"{RULE}  # lint: allow over-broad the lab has no data\n", 2),
        (f"  # the lab\n  # lint: allow over-broad the lab has no data\n  # and more\n{RULE}\n", 5),
        (f"  #lint:   allow   over-broad   the lab has no data\n{RULE}\n", 3),
    ],
)
def test_comment_at_a_rule_silences_its_finding(found, text, line):
    assert found(text) == [("over-broad", line, "the lab has no data")]


@pytest.mark.parametrize(
    ("comment", "told"),
    [
        ("# lint: allow over-broad", "bad-silence"),
        ("# lint: allow over-brood because", "bad-silence"),
        ("# lint: off", "bad-silence"),
        ("# lint: allow bad-silence because", "bad-silence"),
        ("# lint: allow missing-note because", "unused-silence"),
    ],
)
def test_comment_that_does_not_work_is_told(found, comment, told):
    assert found(f"  {comment}\n{RULE}\n") == [(told, 2, ""), ("over-broad", 3, "")]


def test_comment_apart_from_a_rule_silences_nothing(found):
    assert ("over-broad", 4, "") in found(f"  # lint: allow over-broad because\n\n{RULE}\n")


def test_text_that_looks_like_a_comment_is_none(found):
    rule = RULE.replace("owner: team", "owner: team, note: 'x # lint: allow over-broad because'")
    assert found(f"{rule}\n") == [("over-broad", 2, "")]


def test_one_comment_silences_one_rule(found):
    other = RULE.replace("id: x", "id: y").replace("alice", "bob")
    assert found(f"  # lint: allow over-broad because\n{RULE}\n{other}\n") == [
        ("over-broad", 3, "because"),
        ("over-broad", 4, ""),
    ]


def test_yaml_comments_have_their_lines():
    text = "# a\n\nx:  # b\n  # c\n  - '# no'  # d\n  - [1,  # e\n     2]\n  - |\n    # text\n# f\n"
    assert [(c.line, c.text, c.alone) for c in yaml_comments(text)] == [
        (1, "# a", True),
        (3, "# b", False),
        (4, "# c", True),
        (5, "# d", False),
        (6, "# e", False),
        (10, "# f", True),
    ]


def test_python_comments_have_their_lines():
    assert [(c.line, c.text, c.alone) for c in python_comments("# a\nx = '# no'  # b\n")] == [
        (1, "# a", True),
        (2, "# b", False),
    ]
    assert python_comments("def (:\n") == []
    assert python_comments("x = '''") == []
