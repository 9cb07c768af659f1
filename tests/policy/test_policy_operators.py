"""Each operator on each kind of value: it holds, it does not, or it cannot be evaluated."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

ABSENT = object()


def told(load, rule, request_of, operator: str, value: object) -> str:
    """`holds`, `fails` or `unclear`, from an allow and a deny rule with the same condition."""
    when = f"[{{argument: a, {operator}}}]"
    arguments = {} if value is ABSENT else {"a": value}
    from interlock.policy import decide

    allow = decide(load(rule(when=when)), request_of(arguments=arguments))
    deny = decide(load(rule(effect="deny", agent="", tool="", when=when)), request_of(arguments=arguments))
    answer = {("allow", "r"): "holds", ("deny", ""): "fails", ("deny", "r"): "unclear"}
    assert bool(allow.condition_errors) == bool(deny.condition_errors)
    if allow.condition_errors:
        assert (allow.verdict, deny.rule) == ("deny", "r"), "an unclear condition must deny under both"
        return "unclear"
    assert (allow.verdict == "allow") == (deny.rule == "r")
    return answer[allow.verdict, allow.rule]


@pytest.mark.parametrize(
    ("operator", "value", "answer"),
    [
        ("eq: main", "main", "holds"),
        ("eq: main", "Main", "fails"),
        ("eq: main", 5, "unclear"),
        ("eq: main", None, "unclear"),
        ("eq: main", ABSENT, "unclear"),
        ("eq: 5", 5, "holds"),
        ("eq: 5", "5", "unclear"),
        ("eq: 1", True, "unclear"),
        ("eq: 0", False, "unclear"),
        ("eq: true", True, "holds"),
        ("eq: true", 1, "unclear"),
        ("eq: true", "true", "unclear"),
        ("eq: null", None, "holds"),
        ("eq: null", "x", "fails"),
        ("eq: null", ABSENT, "unclear"),
        ("eq: 10.50", "10.5", "holds"),
        ("eq: 10.50", 10, "fails"),
        ("ne: main", "fix", "holds"),
        ("ne: main", "main", "fails"),
        ("ne: main", ["main"], "unclear"),
        ("ne: null", "x", "holds"),
        ("lt: 10", 9, "holds"),
        ("lt: 10", 10, "fails"),
        ("lt: 10", "9", "unclear"),
        ("lt: 10", True, "unclear"),
        ("lt: 10", None, "unclear"),
        ("lt: 10", ABSENT, "unclear"),
        ("lt: 100.00", "99.99", "holds"),
        ("lt: 100.00", "100", "fails"),
        ("lt: 100.00", "1e1", "unclear"),
        ("lt: 100.00", "NaN", "unclear"),
        ("lt: 100.00", "-Infinity", "unclear"),
        ("lt: 100.00", " 1", "unclear"),
        ("lt: 100.00", "٣", "unclear"),
        ("lt: 100.00", "1_0", "unclear"),
        ("le: 10", 10, "holds"),
        ("le: 10", 11, "fails"),
        ("gt: 10", 11, "holds"),
        ("gt: 10", 10, "fails"),
        ("ge: 10", 10, "holds"),
        ("ge: -10", -11, "fails"),
        ("in: [a, b]", "b", "holds"),
        ("in: [a, b]", "c", "fails"),
        ("in: [a, b]", 1, "unclear"),
        ("in: [a, 1]", 1, "holds"),
        ("in: [a, 1]", True, "unclear"),
        ("in: [a, null]", None, "holds"),
        ("in: [5, null]", "x", "unclear"),
        ("not_in: [a, b]", "c", "holds"),
        ("not_in: [a, b]", "a", "fails"),
        ("not_in: [a, b]", 1, "unclear"),
        ("not_in: [1, null]", "x", "unclear"),
        ("not_in: [a, b]", ABSENT, "unclear"),
        ("under: source", "source/a/b.py", "holds"),
        ("under: source", "source", "holds"),
        ("under: source", "sources/a.py", "fails"),
        ("under: source", "Source/a.py", "fails"),
        ("under: source", "a/source/b", "fails"),
        ("under: source", "source/../etc", "unclear"),
        ("under: source", "./source/a", "unclear"),
        ("under: source", "source//a", "unclear"),
        ("under: source", "source/a/", "unclear"),
        ("under: source", "/source/a", "unclear"),
        ("under: source", "source\\a", "unclear"),
        ("under: source", "source/%2e%2e/a", "unclear"),
        ("under: source", "source/a\u0000", "unclear"),
        ("under: source", "source/a\n", "unclear"),
        ("under: source", "source/\u202ea", "unclear"),
        ("under: source", "source/\u200ba", "unclear"),
        ("under: source", "source/\uff0e\uff0e/a", "unclear"),
        ("under: source", "source/e\u0301", "unclear"),
        ("under: source", "source/\u00e9 a.py", "holds"),
        ("under: source", "", "unclear"),
        ("under: source", "a" * 5000, "unclear"),
        ("under: source", 5, "unclear"),
        ("under: [a, b/c]", "b/c/d", "holds"),
        ("under: [a, b/c]", "b/d", "fails"),
        ("under: /srv", "/srv/x", "holds"),
        ("under: /srv", "/srvx", "fails"),
        ("under: /", "/etc/passwd", "holds"),
        ("under: [a, /srv]", "/etc", "fails"),
        ("not_under: source", "docs/a", "holds"),
        ("not_under: source", "source/a", "fails"),
        ("not_under: source", "source/../a", "unclear"),
        ("host_in: example.org", "example.org", "holds"),
        ("host_in: example.org", "https://EXAMPLE.org:443/a?b#c", "holds"),
        ("host_in: example.org", "example.org.", "holds"),
        ("host_in: example.org", "a.example.org", "fails"),
        ("host_in: example.org", "evilexample.org", "fails"),
        ("host_in: example.org", "example.org.evil.com", "fails"),
        ("host_in: .example.org", "a.b.example.org", "holds"),
        ("host_in: .example.org", "example.org", "fails"),
        ("host_in: .example.org", "evilexample.org", "fails"),
        ("host_in: example.org", "http://example.org", "unclear"),
        ("host_in: example.org", "https://example.org@evil.com/", "unclear"),
        ("host_in: example.org", "https://user:p@example.org/", "unclear"),
        ("host_in: example.org", "https://example.org:8443/", "unclear"),
        ("host_in: example.org", "https://example.org\\@evil.com", "unclear"),
        ("host_in: example.org", "https://example.org%2f.evil.com", "unclear"),
        ("host_in: example.org", " example.org", "unclear"),
        ("host_in: example.org", "example.org\n", "unclear"),
        ("host_in: example.org", "example.org/..", "unclear"),
        ("host_in: example.org", "127.0.0.1", "unclear"),
        ("host_in: example.org", "https://2130706433/", "unclear"),
        ("host_in: example.org", "https://0x7f.1/", "unclear"),
        ("host_in: example.org", "https://[::1]/", "unclear"),
        ("host_in: example.org", "ex\u0430mple.org", "unclear"),
        ("host_in: example.org", "https://example。org", "unclear"),
        ("host_in: example.org", "", "unclear"),
        ("host_in: example.org", "example..org", "unclear"),
        ("host_in: example.org", "example.org..", "unclear"),
        ("host_in: example.org", ["example.org"], "unclear"),
        ("matches: 'fix/[a-z]+'", "fix/abc", "holds"),
        ("matches: 'fix/[a-z]+'", "fix/abc\n", "fails"),
        ("matches: 'fix/[a-z]+'", "xfix/abc", "fails"),
        ("matches: 'a|b'", "ab", "fails"),
        ("matches: '(a+)+$'", "a" * 50_000 + "!", "fails"),
        ("matches: 'a'", 5, "unclear"),
        ("contains: secret", "a secret b", "holds"),
        ("contains: secret", "a b", "fails"),
        ("contains: secret", ["secret"], "holds"),
        ("contains: secret", ["secrets"], "fails"),
        ("contains: 1", [True], "fails"),
        ("contains: 1", [1], "holds"),
        ("contains: 1", "1", "unclear"),
        ("contains: secret", {"secret": 1}, "unclear"),
        ("length_le: 3", "abc", "holds"),
        ("length_le: 3", "abcd", "fails"),
        ("length_le: 3", [1, 2, 3, 4], "fails"),
        ("length_le: 3", 3, "unclear"),
        ("length_le: 3", {}, "unclear"),
    ],
)
def test_operator_holds_fails_or_denies(load, rule, request_of, operator, value, answer):
    assert told(load, rule, request_of, operator, value) == answer


@pytest.mark.parametrize(
    ("window", "moment", "inside"),
    [
        ("{from: '09:00', to: '17:00', zone: UTC}", "2026-01-05T09:00", True),
        ("{from: '09:00', to: '17:00', zone: UTC}", "2026-01-05T16:59", True),
        ("{from: '09:00', to: '17:00', zone: UTC}", "2026-01-05T17:00", False),
        ("{from: '09:00', to: '17:00', zone: Europe/Berlin}", "2026-01-05T08:00", True),
        ("{from: '09:00', to: '17:00', zone: Europe/Berlin}", "2026-07-06T07:00", True),
        ("{from: '09:00', to: '17:00', zone: Europe/Berlin}", "2026-01-05T07:00", False),
        ("{from: '09:00', to: '17:00', zone: UTC, days: [mon, tue]}", "2026-01-06T10:00", True),
        ("{from: '09:00', to: '17:00', zone: UTC, days: [mon, tue]}", "2026-01-07T10:00", False),
        ("{from: '22:00', to: '06:00', zone: UTC, days: mon}", "2026-01-05T23:00", True),
        ("{from: '22:00', to: '06:00', zone: UTC, days: mon}", "2026-01-06T05:59", True),
        ("{from: '22:00', to: '06:00', zone: UTC, days: mon}", "2026-01-05T05:59", False),
        ("{from: '22:00', to: '06:00', zone: UTC, days: mon}", "2026-01-06T23:00", False),
    ],
)
def test_window_follows_zone_and_day(load, rule, request_of, window, moment, inside):
    from interlock.policy import decide

    bundle = load(rule(when=f"[{{attribute: time, time_between: {window}}}]"))
    when = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert (decide(bundle, request_of(time=when)).verdict == "allow") is inside


@pytest.mark.parametrize(
    ("condition", "verdict"),
    [
        ("{argument: options.mode, eq: safe}", "allow"),
        ("{argument: options.mode.x, eq: safe}", "deny"),
        ("{argument: options.missing, eq: safe}", "deny"),
        ("{argument: items, eq: own}", "allow"),
        ("{argument: keys, eq: own}", "deny"),
        ("{argument: options.items, eq: inner}", "allow"),
        ("{argument: options.__class__, eq: inner}", "deny"),
        ("{attribute: workflow, eq: fix_issue}", "allow"),
        ("{attribute: run, matches: 'run-[0-9]+'}", "allow"),
        ("{attribute: requester, in: ['user:alice']}", "allow"),
        ("{attribute: requester, ne: 'user:alice'}", "deny"),
        ("{attribute: resource, eq: 'workspace:source/x.py'}", "allow"),
    ],
)
def test_addresses_reach_only_data(load, rule, request_of, condition, verdict):
    from interlock.policy import decide

    request = request_of(arguments={"items": "own", "options": {"mode": "safe", "items": "inner"}})
    assert decide(load(rule(when=f"[{condition}]")), request).verdict == verdict
