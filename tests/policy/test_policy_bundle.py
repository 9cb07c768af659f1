"""A bundle is a value with a digest, and comes back from its bytes."""

from __future__ import annotations

import json

import pytest

from interlock.digest import canonical, digest_bytes
from interlock.errors import InvalidInput, PolicyError
from interlock.policy import Bundle, decide, load_bundle

RULES = """\
rules:
  - id: a
    effect: allow
    owner: team
    agent: agent:fixer
    tool: edit_file
    when:
      - {argument: n, lt: 10.50}
      - {argument: x, in: [1, null, true, text, 2.5]}
      - {attribute: time, time_between: {from: '09:00', to: '17:00', zone: Europe/Berlin}}
  - {id: b, effect: ask, owner: team, agent: 'agent:*', tool: edit_file, route: leads, profile: small}
"""
PROFILE = "profiles:\n  - {name: small, cpus: 0.25}\n  - {name: whole, cpus: 2}\n"


@pytest.fixture
def bundle(load) -> Bundle:
    return load(RULES, profiles=PROFILE)


def test_bytes_give_the_same_bundle(bundle, request_of):
    again = Bundle.from_bytes(bundle.to_bytes())
    assert again.digest == bundle.digest == digest_bytes(bundle.to_bytes())
    for arguments in ({"n": "10.4", "x": 2}, {"n": "10.4", "x": None}, {"n": "10.5", "x": True}, {}):
        request = request_of(arguments=arguments)
        assert decide(again, request) == decide(bundle, request)


def test_old_bytes_decide_after_the_files_changed(load, rule, request_of):
    old = load(rule())
    stored = old.to_bytes()
    new = load(rule(effect="deny"))
    assert decide(new, request_of()).verdict == "deny"
    assert decide(Bundle.from_bytes(stored), request_of()) == decide(old, request_of())


def test_bytes_are_canonical_and_hold_no_float(bundle):
    value = json.loads(bundle.to_bytes(), parse_float=lambda text: pytest.fail(f"a float: {text}"))
    assert canonical(value) == bundle.to_bytes()
    assert bundle.profiles["small"].cpus == 0.25
    assert Bundle.from_bytes(bundle.to_bytes()).profiles["small"].cpus == 0.25


def test_zone_rules_travel_in_the_bundle(bundle, monkeypatch, request_of):
    stored = bundle.to_bytes()
    monkeypatch.setenv("PYTHONTZPATH", "/nowhere")
    monkeypatch.setattr("interlock.policy.content.zone_data", lambda name: pytest.fail("read from the machine"))
    arguments = {"n": "1", "x": 1}
    assert decide(Bundle.from_bytes(stored), request_of(arguments=arguments)).matched == ("b", "a")


@pytest.mark.parametrize(
    "change",
    [
        ("'agent:*'", "'agent:x'"),
        ("effect: allow", "effect: deny"),
        ("lt: 10.50", "lt: 10.51"),
        ("owner: team", "owner: else"),
        ("'17:00'", "'18:00'"),
    ],
)
def test_each_change_changes_the_digest(load, bundle, change):
    assert load(RULES.replace(*change), profiles=PROFILE).digest != bundle.digest


def test_order_of_entries_does_not_decide(write, request_of):
    rules = [
        f"  - {{id: {name}, effect: allow, owner: t, agent: 'agent:*', tool: edit_file}}\n"
        for name in ("b", "a", "c")
    ]
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        bundle = load_bundle(write(rules="rules:\n" + "".join(rules[index] for index in order)))
        assert decide(bundle, request_of()).matched == ("a", "b", "c")


def altered(bundle: Bundle, change) -> bytes:
    value = json.loads(bundle.to_bytes())
    change(value)
    return canonical(value)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(v=2),
        lambda v: v.update(semantics=1),
        lambda v: v.update(model=v["model"].replace("deny", "allow")),
        lambda v: v.pop("rules"),
        lambda v: v["rules"][0].update(effect="Deny"),
        lambda v: v["rules"][0].update(extra="x"),
        lambda v: v["rules"][1].update(route="nowhere"),
        lambda v: v["rules"].reverse(),
        lambda v: v["rules"].append(v["rules"][0]),
        lambda v: v.update(rules={}),
        lambda v: v.update(zones=[]),
        lambda v: v.update(sources={}),
        lambda v: v["profiles"][1].update(cpus="1"),
        lambda v: v.update(more=1),
    ],
)
def test_altered_bytes_are_refused(bundle, change):
    with pytest.raises(PolicyError):
        Bundle.from_bytes(altered(bundle, change))


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{}", b"\xff", b'{"v":1}', b'{"v":1,"v":1}'])
def test_other_bytes_are_refused(data):
    with pytest.raises(PolicyError):
        Bundle.from_bytes(data)


def test_white_space_in_bytes_is_refused(bundle):
    with pytest.raises(PolicyError, match="not in canonical form"):
        Bundle.from_bytes(bundle.to_bytes() + b"\n")


def test_route_resolves_groups_and_roles(load):
    more = """\
groups:
  - {name: inner, members: [user:carol, group:developers]}
roles:
  - {name: lead, members: [group:inner, user:alice]}
routes:
  - {name: many, approvers: [role:lead, user:bob], quorum: 2, expires_after: 90s}
"""
    route = load(more=more).route("many")
    assert route.approvers == ("user:alice", "user:bob", "user:carol")
    assert (route.quorum, route.expires_after_s) == (2, 90)
    with pytest.raises(InvalidInput, match="did you mean 'many'"):
        load(more=more).route("mony")


def test_bundle_cannot_be_changed(bundle):
    with pytest.raises(AttributeError):
        bundle.rules = ()
    with pytest.raises(TypeError):
        bundle.profiles["x"] = None
    with pytest.raises(TypeError):
        bundle.people.tenants["user:eve"] = frozenset({"acme"})
