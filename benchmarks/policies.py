"""Policies of any size, and requests to them: what benchmarks/policy.py decides."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from interlock.policy import Bundle
from interlock.policy.content import Content
from interlock.policy.entries import SECTIONS, read_entry
from interlock.types.access import AccessRequest

KINDS = ("cold", "early", "late", "miss", "skewed")
"""Cold comes first, while nothing is kept."""

TENANTS, AGENTS, SERVICES, USERS = 50, 400, 250, 1_000
NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Made:
    """A policy, and what its rules are about."""

    bundle: Bundle
    rules: list[dict[str, Any]]
    users: list[str]
    holders: dict[str, str]
    """Role → one of its users."""


def make(rules: int, links: int, seed: int = 7) -> Made:
    """A bundle of so many rules and links of users to roles, of roles to roles."""
    chance = random.Random(seed)
    roles = max(2, min(links // 4, 20_000))
    users = max(1, min(USERS, links))
    own = {
        name: sorted({f"r{chance.randrange(roles)}" for _ in range(max(1, links // users))})
        for name in range(users)
    }
    members: dict[str, list[str]] = {f"r{number}": [] for number in range(roles)}
    for user, held in own.items():
        for role in held:
            members[role].append(f"user:u{user}")
    for number in range(roles):
        if not members[f"r{number}"]:
            members[f"r{number}"].append(f"user:u{number % users}")
    for number in range(1, roles):  # a tree of roles: what a role may, those below it may
        members[f"r{(number - 1) // 8}"].append(f"role:r{number}")
    tenants = [f"t{number}" for number in range(TENANTS)]
    written: dict[str, list[dict[str, Any]]] = {
        "users": [{"name": f"u{number}", "tenants": tenants} for number in range(users)],
        "roles": [{"name": name, "members": found} for name, found in members.items()],
        "routes": [{"name": "people", "approvers": ["user:u0"], "quorum": 1, "expires_after": "1h"}],
        "rules": [_rule(number, roles, chance) for number in range(rules)],
    }
    content = Content()
    for section in SECTIONS:
        for item in written.get(section, []):
            content.add(section, read_entry(section, item), "bench.yaml:1")
    holders = {f"role:{name}": held[0] for name, held in members.items()}
    return Made(Bundle.from_content(content), written["rules"], [f"user:u{n}" for n in range(users)], holders)


def _rule(number: int, roles: int, chance: random.Random) -> dict[str, Any]:
    effect = ("deny", "ask", *["allow"] * 8)[number % 10]
    rule: dict[str, Any] = {
        "id": f"r{number:06}",
        "effect": effect,
        "owner": "bench",
        "agent": f"agent:a{chance.randrange(AGENTS)}",
        "requester": f"role:r{chance.randrange(roles)}",
        "tenant": f"t{chance.randrange(TENANTS)}",
        "tool": f"s{chance.randrange(SERVICES)}.{'**' if number % 50 == 0 else f'op{chance.randrange(20)}'}",
    }
    if effect == "ask":
        rule["route"] = "people"
    if number % 3 == 0:
        rule["when"] = [{"argument": "path", "under": f"area{number % 97}"}, {"argument": "size", "le": 1000}]
    return rule


def about(rule: dict[str, Any], user: str) -> AccessRequest:
    """A request that this rule is about, by some user; whether the user has its role is another matter."""
    under = next((c["under"] for c in rule.get("when", []) if "under" in c), "anywhere")
    tool = rule["tool"].replace("**", "op1")
    return AccessRequest(
        tenant=rule["tenant"],
        agent=rule["agent"],
        requester=user,
        tool=tool,
        action="write",
        resource=f"tool:{tool}",
        arguments={"path": f"{under}/file.txt", "size": 10},
        run="bench",
        workflow="agent_run",
        time=NOON,
    )


def requests(made: Made, kind: str, count: int, seed: int = 11) -> Iterator[AccessRequest]:
    """Requests: `early` and `late` are about the strongest and the weakest rules, `miss` about none, `cold` about
    another rule each time, `skewed` about few rules often and many seldom."""
    chance = random.Random(seed)
    ranked = [rule.id for rule in made.bundle.rules]
    by_id = {rule["id"]: rule for rule in made.rules}
    last = len(ranked) - 1
    for number in range(count):
        if kind == "miss":
            yield about({"tenant": "t0", "agent": "agent:nobody", "tool": f"none.op{number % 7}"}, made.users[0])
            continue
        at = {
            "early": number % 10,
            "late": last - number % 10,
            "cold": chance.randrange(last + 1),
            "skewed": int(chance.paretovariate(1.1)) - 1,
        }[kind]
        rule = by_id[ranked[min(max(at, 0), last)]]
        yield about(rule, made.holders[rule["requester"]])
