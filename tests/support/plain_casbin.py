"""Casbin as its manual has it, to show beside ours what it does by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import casbin
from casbin.persist import Adapter, load_policy_line

ALLOW = "some(where (p.eft == allow))"
ALLOW_AND_DENY = "some(where (p.eft == allow)) && !some(where (p.eft == deny))"
EXACT = "r.sub == p.sub && r.obj == p.obj && r.act == p.act"


class Lines(Adapter):
    """Rows as a policy file has them."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines

    def load_policy(self, model: Any) -> None:
        for line in self.lines:
            load_policy_line(line, model)


def model(matcher: str = EXACT, effect: str = ALLOW_AND_DENY, *, request: str = "sub, obj, act") -> str:
    """A model's text, with roles."""
    return (
        f"[request_definition]\nr = {request}\n[policy_definition]\np = sub, obj, act, eft\n"
        f"[role_definition]\ng = _, _\n[policy_effect]\ne = {effect}\n[matchers]\nm = {matcher}\n"
    )


def plain(lines: Sequence[str], matcher: str = EXACT, effect: str = ALLOW_AND_DENY, **more: str) -> casbin.Enforcer:
    """A stock enforcer over these rows."""
    return casbin.Enforcer(casbin.Enforcer.new_model(text=model(matcher, effect, **more)), Lines(lines))
