"""Agents as LangGraph graphs that run inside Temporal workflows: models, messages, the way to the gate."""

from interlock.graph.chat import chat_model, system_prompt
from interlock.graph.draw import mermaid
from interlock.graph.drive import drive
from interlock.graph.gate import GATE, Asking, CallResult, Drained, Gate, ModelReply, ProposedCall
from interlock.graph.governed import governed_tools
from interlock.graph.models import model_name, resolve_model
from interlock.graph.playbook import read_playbook
from interlock.graph.registry import ACTIVITIES, register
from interlock.graph.services import Services, configure, services
from interlock.graph.smoke import smoke
from interlock.graph.stopped import Stopped
from interlock.graph.task import AgentOutcome, AgentTask
from interlock.graph.writing import Written

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
    "drive",
    "governed_tools",
    "mermaid",
    "model_name",
    "read_playbook",
    "register",
    "resolve_model",
    "services",
    "smoke",
    "system_prompt",
]
