"""A permissions folder to write in, and requests to ask with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from interlock.errors import PolicyError
from interlock.policy import Bundle, load_bundle
from interlock.types import AccessRequest

PEOPLE = """\
users:
  - {name: alice, tenants: [acme]}
  - {name: bob, tenants: [acme]}
  - {name: carol, tenants: [acme, other]}
groups:
  - {name: developers, members: [user:alice, user:bob]}
routes:
  - {name: leads, approvers: [user:bob, user:carol], expires_after: 4h}
profiles:
  - {name: default}
"""

Write = Callable[..., Path]
Load = Callable[..., Bundle]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files of permissions/ by name; `people.yaml` is there unless given."""

    def write_files(**files: str) -> Path:
        folder = tmp_path / "permissions"
        for name, text in {"people": PEOPLE, **files}.items():
            path = folder / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return folder

    return write_files


@pytest.fixture
def load(write: Write) -> Load:
    """Load the rules of a text, one or many, indented or not."""

    def load_rules(rules: str = "rules: []\n", **files: str) -> Bundle:
        return load_bundle(write(rules=rules, **files))

    return load_rules


@pytest.fixture
def refused(write: Write) -> Callable[..., list[str]]:
    """The problems of files that must be refused."""

    def refuse(**files: str) -> list[str]:
        with pytest.raises(PolicyError) as caught:
            load_bundle(write(**files))
        return list(caught.value.problems)

    return refuse


def ask(**changes: Any) -> AccessRequest:
    """A request of agent fixer for alice in tenant acme, changed as given."""
    plain = {
        "tenant": "acme",
        "agent": "agent:fixer",
        "requester": "user:alice",
        "tool": "edit_file",
        "action": "write",
        "resource": "workspace:source/x.py",
        "arguments": {"path": "source/x.py"},
        "run": "run-1",
        "workflow": "fix_issue",
        "time": datetime(2026, 1, 5, 12, 0, tzinfo=UTC),
    }
    return AccessRequest.model_validate({**plain, **changes})


@pytest.fixture
def request_of() -> Callable[..., AccessRequest]:
    """Makes requests."""
    return ask


def one_rule(**keys: str) -> str:
    """A file with one rule that allows the plain request; keys are changed or, with an empty text, left out."""
    plain = {"id": "r", "effect": "allow", "owner": "team", "agent": "agent:fixer", "tool": "edit_file"}
    lines = [f"{key}: {value}" for key, value in {**plain, **keys}.items() if value]
    return "rules:\n  - " + "\n    ".join(lines) + "\n"


@pytest.fixture
def rule() -> Callable[..., str]:
    """Writes one rule."""
    return one_rule
