"""What the fuzzer starts from: the reference project's policy, and one policy with everything in it."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

PERMISSIONS = Path(__file__).resolve().parents[3] / "permissions"

OPERATORS: tuple[dict[str, Any], ...] = (
    {"argument": "n", "eq": "a"},
    {"argument": "n", "ne": 1},
    {"argument": "n.path", "lt": 5},
    {"argument": "n", "le": 5},
    {"argument": "n", "gt": -5},
    {"argument": "n", "ge": 0},
    {"argument": "n", "in": ["a", 1, None, True]},
    {"argument": "n", "not_in": [False]},
    {"argument": "n", "under": ["a/b", "/c"]},
    {"argument": "n", "not_under": "/a"},
    {"argument": "n", "host_in": [".a.b", "a.b"]},
    {"argument": "n", "matches": "a[^b]*(c|d)+"},
    {"argument": "n", "contains": "a"},
    {"argument": "n", "length_le": 3},
    {"argument": "n", "label": "untrusted"},
    {"attribute": "destination", "no_label": ["untrusted", "secret"]},
    {"attribute": "seen", "label": "secret"},
    {"attribute": "requester", "in": ["user:alice"]},
    {"attribute": "flow", "eq": "sink"},
    {
        "attribute": "time",
        "time_between": {"from": "22:00", "to": "06:00", "zone": "Europe/Berlin", "days": ["fri"]},
    },
    {"attribute": "tokens", "le": 1000},
    {"count": {"tool": "a.**", "within": "1h"}, "le": 5},
    {"sum": {"tool": "a", "argument": "n"}, "le": 100},
    {"preceded_by": "a.b", "eq": True},
)

POLICY: dict[str, Any] = {
    "users": [{"name": "alice", "tenants": ["acme"]}, {"name": "bob", "tenants": ["acme", "other"]}],
    "groups": [{"name": "devs", "members": ["user:alice"]}],
    "roles": [{"name": "lead", "members": ["group:devs", "user:bob"]}],
    "routes": [{"name": "leads", "approvers": ["role:lead"], "quorum": 1, "expires_after": "4h"}],
    "profiles": [{"name": "small", "memory_mib": 256, "time_s": 30}],
    "rules": [
        {
            "id": "grant",
            "effect": "allow",
            "owner": "t",
            "agent": "agent:*",
            "requester": ["role:lead", "user:*"],
            "tool": ["a", "a.*", "b.**"],
            "resource": "workspace:source/**",
            "tenant": "acme",
            "profile": "small",
            "expires": "2027-01-31",
            "ticket": "SEC-1",
        },
        {"id": "asked", "effect": "ask", "owner": "t", "agent": "agent:x", "tool": "**", "route": "leads"},
        {
            "id": "rail",
            "effect": "ask",
            "owner": "t",
            "agent": "agent:*",
            "tool": "a",
            "route": "leads",
            "guardrail": True,
        },
        *(
            {"id": f"deny.{number}", "effect": "deny", "owner": "t", "tool": f"t{number}", "when": [condition]}
            for number, condition in enumerate(OPERATORS)
        ),
    ],
}

REQUEST: dict[str, Any] = {
    "tenant": "acme",
    "agent": "agent:x",
    "requester": "user:alice",
    "tool": "a",
    "action": "write",
    "resource": "workspace:source/x.py",
    "arguments": {"n": 1, "path": "source/x.py", "a": {"b": [1, "x", None]}},
    "run": "run-1",
    "workflow": "w",
    "time": "2026-01-05T12:00:00Z",
    "flow": "sink",
    "emits": ["untrusted"],
    "destination": ["path"],
    "labels": {"n": ["untrusted"], "path": []},
    "seen": ["secret"],
    "facts": {},
    "events": 3,
}


def policy_files() -> list[bytes]:
    """Policy files to begin with."""
    short = {**POLICY, "rules": POLICY["rules"][:6]}
    own = [json.dumps(short, indent=1).encode(), json.dumps(short).encode(), block(short), block(short)]
    return [*own, *(path.read_bytes() for path in sorted(PERMISSIONS.glob("*.yaml")))]


def block(value: Any) -> bytes:
    """YAML as people write it."""
    text = StringIO()
    YAML(typ="safe", pure=True).dump(value, text)
    return text.getvalue().encode()
