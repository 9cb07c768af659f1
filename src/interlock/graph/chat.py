"""The agent's chat model, for the nodes of graphs of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import Runnable

from interlock.errors import InterlockError, Refused
from interlock.graph.binding import Binding
from interlock.graph.context import current
from interlock.graph.record import record
from interlock.graph.reply import keep_reply
from interlock.graph.transcript import append_each


def chat_model(agent: str = "", *, tools: bool = True) -> Runnable[LanguageModelInput, AIMessage]:
    """The model of the running agent, as its run pins it. Call it inside a node that runs as an activity.

    Each reply is stored and recorded: the run's ledger shows it, and the agent's limits count it.

    Args:
        agent: the agent's own name; empty for the same.
        tools: whether the agent's tools are bound.

    Raises:
        Refused: `agent` is not the one that runs.
        InterlockError: called outside a node, or in one that runs in the workflow.
    """
    binding = current()
    if agent not in ("", binding.agent):
        raise Refused(f"agent {binding.agent!r} may not use the model of agent {agent!r}")
    shared = binding.model()
    model = shared.model_copy(update={"callbacks": [*_as_list(shared), _Recorder(binding)]})
    return model.bind_tools(binding.tools) if tools and binding.tools else model


def system_prompt() -> SystemMessage:
    """The prompt of the running agent, as its run pins it. Call it where `chat_model` may be called."""
    return SystemMessage(current().prompt)


def _as_list(model: BaseChatModel) -> list[BaseCallbackHandler]:
    return list(model.callbacks) if isinstance(model.callbacks, list) else []


class _Recorder(BaseCallbackHandler):
    """Puts each reply on the activity's record. A reply that cannot be recorded is an error."""

    raise_error = True
    run_inline = True

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self._seen: dict[UUID, list[BaseMessage]] = {}

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        self._seen[run_id] = _only(messages)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        generation = _only(response.generations)[0]
        if not isinstance(generation, ChatGeneration) or not isinstance(generation.message, AIMessage):
            raise InterlockError("the model answered something that is no message")
        before = append_each(self._binding.services.blobs, "", self._seen.pop(run_id))
        record(before, keep_reply(self._binding, before, generation.message))


def _only(batch: Sequence[Any]) -> Any:
    if len(batch) != 1:
        raise InterlockError("ask a model one thing at a time, so that each reply is recorded")
    return batch[0]
