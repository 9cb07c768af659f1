"""What a run's manifest gives an agent: its prompt, its tools' contracts, its model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from langchain_core.language_models import BaseChatModel

from interlock.definitions.agent import handing_to
from interlock.definitions.manifest import AgentEntry, Manifest
from interlock.errors import InvalidInput
from interlock.graph.models import model_name
from interlock.graph.proposals import Schemas, to_wire
from interlock.graph.services import Services
from interlock.types.names import Digest

_TASK: Final = {
    "type": "object",
    "properties": {"task": {"type": "string", "description": "All that it must know: it sees nothing else."}},
    "required": ["task"],
    "additionalProperties": False,
}


def _handing_on(agent: str) -> dict[str, Any]:
    """Handing work on to an agent, as a function in the form that chat models bind."""
    description = (
        f"Hand a task on to the agent {agent!r}. It works on the run's files in a run of its own, with no more "
        "permissions than yours; you get its final answer."
    )
    return {
        "type": "function",
        "function": {"name": handing_to(agent), "description": description, "parameters": _TASK},
    }


@dataclass(frozen=True)
class Binding:
    """One agent as its run pins it."""

    services: Services
    agent: str
    manifest: Manifest

    @property
    def entry(self) -> AgentEntry:
        """The agent's entry in the manifest."""
        return self.manifest.agents[self.agent]

    @property
    def prompt(self) -> str:
        """The system prompt."""
        return self.services.reader.read(self.entry.prompt).decode("utf-8", "replace")

    @property
    def schemas(self) -> Schemas:
        """JSON Schemas of the arguments of the agent's tools, and of handing work on."""
        own = {name: self.manifest.tools[name].schema_.parameters for name in self.entry.tools}
        return own | {handing_to(name): dict(_TASK) for name in self.entry.hand_off}

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The agent's tools as functions in the form that chat models bind."""
        return [*map(self._function, self.entry.tools), *map(_handing_on, self.entry.hand_off)]

    def _function(self, name: str) -> dict[str, Any]:
        schema, wire = self.manifest.tools[name].schema_, to_wire(name)
        if len(wire) > 64:
            raise InvalidInput(f"tool {name!r}: model providers take names of at most 64 characters")
        function = {"name": wire, "description": schema.description, "parameters": schema.parameters}
        return {"type": "function", "function": function}

    @property
    def model_name(self) -> str:
        """The model's full name, as events show it."""
        return model_name(self.entry.model, self.services.settings)

    def model(self) -> BaseChatModel:
        """The agent's chat model, no tools bound."""
        services, key = self.services, (self.model_name, self.agent, self.entry.playbook)
        found = services.models.get(key)
        if found is None:
            found = services.resolve(
                self.entry.model, services.settings, self.agent, self.manifest, services.reader
            )
            services.models[key] = found
        return found


def bind(services: Services, agent: str, manifest: Digest) -> Binding:
    """What the manifest blob `manifest` gives `agent`.

    Raises:
        InvalidInput: the manifest has no such agent.
        IntegrityError: the manifest's blob is absent or altered.
    """
    found = services.reader.manifest(manifest)
    if agent not in found.agents:
        raise InvalidInput(f"the run's manifest has no agent {agent!r}")
    return Binding(services, agent, found)
