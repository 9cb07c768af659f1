"""A waiting request, its route, and people whose statements the API's real key signs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from interlock.approval import ApprovalClaims, lifetime_until
from interlock.definitions import ToolEntry, ToolSchema
from interlock.digest import canonical, digest_of
from interlock.scratch import ScratchBlobs
from interlock.signing import Signer, Verifier, create_keys, load_signer, load_verifier
from interlock.types import ApprovalRequest, FileEntry, Route, ToolCall, Tree

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
RUN = "run-1"


@dataclass(frozen=True)
class Keys:
    api: Signer
    verifier: Verifier
    executor: Signer


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder: Path = tmp_path_factory.mktemp("keys")
    create_keys(folder)
    return Keys(load_signer(folder, "api"), load_verifier(folder, "api"), load_signer(folder, "executor"))


@pytest.fixture
def route() -> Route:
    return Route(
        name="maintainers", approvers=("user:bob", "user:carol", "user:dave"), quorum=1, expires_after_s=3600
    )


def with_stage(route: Route, **changed: Any) -> Route:
    """The route with its only stage changed."""
    return route.model_copy(update={"stages": (route.stages[0].model_copy(update=changed),)})


@dataclass
class Waiting:
    """One call that waits, with everything that its digest binds; change a part before `build`."""

    route: Route
    arguments: dict[str, Any] = field(default_factory=lambda: {"path": "src/a.py", "text": "x"})
    sentence: str = "Write {text} into {path}"
    preview: Any = "arguments"
    kind: Any = "call"
    before: dict[str, bytes] = field(default_factory=dict)
    after: dict[str, bytes] = field(default_factory=dict)
    executable: tuple[str, ...] = ()
    blobs: ScratchBlobs = field(default_factory=ScratchBlobs)

    def tree(self, files: dict[str, bytes], executable: tuple[str, ...] = ()) -> str:
        entries = {
            path: FileEntry(digest=self.blobs.put(data), size=len(data), executable=path in executable)
            for path, data in files.items()
        }
        return self.blobs.put(canonical(Tree(files=entries).as_hashed()))

    def call(self) -> ToolCall:
        return ToolCall(
            tenant="default",
            run=RUN,
            call_id=f"{RUN}:c1",
            agent="agent:fixer",
            tool="write_file",
            tool_digest=self.blobs.put(b"source of the tool"),
            arguments=self.blobs.put(canonical(self.arguments)),
            workspace=self.tree(self.after, self.executable) if self.preview == "workspace_diff" else "",
        )

    def tool(self) -> ToolEntry:
        schema = ToolSchema(
            name="write_file",
            description="Write.",
            parameters={"type": "object"},
            result={},
            action="write",
            resource="workspace:{path}",
            workspace="write",
            effects="contained",
            idempotent=True,
            profile="default",
            preview=self.preview,
            sentence=self.sentence,
        )
        return ToolEntry(source=self.blobs.put(b"source of the tool"), path="tools/write_file.py", schema=schema)

    def request(self) -> ApprovalRequest:
        call = self.call()
        return ApprovalRequest(
            request_id=f"{RUN}:a1",
            run=RUN,
            kind=self.kind,
            call_id=call.call_id,
            call_digest=digest_of(call.as_hashed()),
            subject=call.arguments,
            rule="writes_ask",
            reason="Rule 'writes_ask' asks.",
            route=self.route,
            requester="user:alice",
            requested_at=NOW,
            expires_at=NOW + timedelta(hours=1),
        )


@pytest.fixture
def waiting(route: Route) -> Waiting:
    return Waiting(route)


@pytest.fixture
def claim(waiting: Waiting) -> Callable[..., ApprovalClaims]:
    """A person's decision on the waiting request; any field may be another."""

    def make(by: str = "user:carol", verdict: str = "approve", **changed: Any) -> ApprovalClaims:
        request = waiting.request()
        fields: dict[str, Any] = {
            "tenant": "default",
            "sub": by,
            "run": request.run,
            "request": request.request_id,
            "about": request.kind,
            "verdict": verdict,
            "call": request.call_digest,
            **lifetime_until(NOW, request.expires_at),
        }
        return ApprovalClaims(**{**fields, **changed})

    return make
