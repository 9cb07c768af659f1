"""What a person asks to run: a workflow or an agent by name, with an input that fits."""

from __future__ import annotations

from pydantic import JsonValue

from interlock.definitions import Manifest
from interlock.run.arguments import check_value
from interlock.run.catalogue import Scope, known
from interlock.run.contracts import AGENT_RUN


def asked_for(manifest: Manifest, name: str, value: JsonValue) -> tuple[str, JsonValue]:
    """The workflow that a name means, and its input.

    Raises:
        InvalidInput: no such workflow or agent, or the input does not fit.
    """
    if name not in manifest.workflows and name in manifest.agents:
        name, value = AGENT_RUN, {"agent": name, "task": value}
    elif name != AGENT_RUN:
        known(name, {**manifest.agents, **manifest.workflows}, "workflow or agent")
    Scope.of(manifest, name, value)
    if name != AGENT_RUN:
        schema, hint = manifest.workflows[name].input_schema, "see interlock check, or the workflow's file"
        check_value(schema, value, root="input", next_step=hint)
    return name, value
