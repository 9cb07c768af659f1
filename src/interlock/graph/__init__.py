"""Agents as LangGraph graphs that run inside Temporal workflows: models, messages, the way to the gate.

What others say to a graph is here at once. LangGraph is loaded with the first name that needs it: an executor has
no graphs, and no command but a few.
"""

from typing import TYPE_CHECKING

from interlock.graph.gate import GATE, Asking, CallResult, Drained, Gate, ModelReply, ProposedCall
from interlock.graph.stopped import Stopped
from interlock.graph.task import AgentOutcome, AgentTask
from interlock.later import later

if TYPE_CHECKING:
    from interlock.graph.chat import chat_model, system_prompt
    from interlock.graph.draw import mermaid
    from interlock.graph.governed import governed_tools
    from interlock.graph.models import model_name, resolve_model
    from interlock.graph.playbook import read_playbook
    from interlock.graph.registry import ACTIVITIES, register
    from interlock.graph.services import Services, configure
    from interlock.graph.writing import Written
else:
    __getattr__ = later(
        __name__,
        {
            "ACTIVITIES": "registry",
            "Services": "services",
            "Written": "writing",
            "chat_model": "chat",
            "configure": "services",
            "governed_tools": "governed",
            "mermaid": "draw",
            "model_name": "models",
            "read_playbook": "playbook",
            "register": "registry",
            "resolve_model": "models",
            "system_prompt": "chat",
        },
    )

__all__ = [
    "ACTIVITIES",
    "GATE",
    "AgentOutcome",
    "AgentTask",
    "Asking",
    "CallResult",
    "Drained",
    "Gate",
    "ModelReply",
    "ProposedCall",
    "Services",
    "Stopped",
    "Written",
    "chat_model",
    "configure",
    "governed_tools",
    "mermaid",
    "model_name",
    "read_playbook",
    "register",
    "resolve_model",
    "system_prompt",
]
