"""What an agent is given, and what comes of it."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from interlock.types.closed import Closed
from interlock.types.names import Digest, OptionalDigest


class AgentTask(Closed):
    """One piece of work for one agent."""

    agent: str
    """Name of the agent, which is the name of its graph."""
    run: str
    manifest: Digest
    """Blob of the manifest that the run pins: prompt, tools and playbook come from there."""
    task: JsonValue
    """The agent's input: text, or an object."""
    context: JsonValue = None
    """What nodes and edges in the workflow read as `runtime.context`; activities have it from the manifest."""


class AgentOutcome(Closed):
    """How an agent came to its end."""

    status: Literal["completed", "failed"]
    result: OptionalDigest = ""
    """Blob of the final answer."""
    transcript: OptionalDigest = ""
    """Head of the transcript."""
    detail: str = ""
    """Why it failed."""
    steps: int = 0
    """How many times the model answered."""
