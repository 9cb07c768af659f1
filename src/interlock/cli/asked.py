"""A question to the policy about a call that nobody proposed: made as a run would make it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from interlock.cli.session import bundle_of
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.definitions import Manifest, ToolEntry
    from interlock.policy import Bundle
    from interlock.scratch import ScratchBlobs
    from interlock.settings import Settings
    from interlock.types.access import AccessRequest


@dataclass(frozen=True)
class Asked:
    """The question, and what it was made from."""

    bundle: Bundle
    manifest: Manifest
    entry: ToolEntry
    request: AccessRequest


def ask_about(
    own: Settings,
    blobs: ScratchBlobs,
    *,
    tool: str,
    agent: str,
    user: str,
    arguments: dict[str, Any],
    workflow: str,
) -> Asked:
    """Compile the project and make the access request of a call, now.

    Raises:
        InvalidInput: no such agent, tool of this agent or person; or the arguments do not fit.
        ProjectError, PolicyError: the project does not compile.
    """
    from interlock.cli.resolve import person_of
    from interlock.run.attributes import complete
    from interlock.run.catalogue import Scope, access_request, known
    from interlock.run.compilation import compiled
    from interlock.run.contracts import RunSoFar

    if not agent:
        raise InvalidInput("--agent: which agent would make the call?", next_step="interlock agent list")
    bundle = bundle_of(own)
    requester = person_of(bundle, own.tenant, user)
    manifest = compiled(own, blobs)
    name = agent.removeprefix("agent:")
    known(name, manifest.agents, "agent")
    entry = Scope(manifest, (name,)).tool(name, tool)
    request = access_request(
        entry,
        arguments,
        tenant=own.tenant,
        agent=name,
        requester=requester,
        run=f"try-{secrets.token_hex(6)}",
        workflow=workflow,
        time=datetime.now(UTC),
    )
    request = complete(request, entry, RunSoFar(), manifest=manifest, bundle=bundle, blobs=blobs)
    return Asked(bundle, manifest, entry, request)
