"""The scripted model: a deterministic stand-in that follows a playbook. It needs no key and no network, and
it is called scripted wherever it shows.

It keeps no state. Which turns were taken follows from the conversation alone, so that a retry, another worker
or a replay comes to the same reply.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, InvalidToolCall, ToolCall, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from interlock.graph.playbook import PlaybookCall, Turn
from interlock.graph.results import STATUS

NAME: Final = "scripted"


class ScriptedModel(BaseChatModel):
    """Takes the first unused turn of its playbook that fits the last results."""

    turns: tuple[Turn, ...]
    source: str = "playbook"
    """The playbook's file, for the words with which it ends."""

    @property
    def _llm_type(self) -> str:
        return NAME

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": NAME, "playbook": self.source}

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        """The model itself: the playbook says which tools are called."""
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        reply = self.reply(messages)
        return ChatResult(generations=[ChatGeneration(message=reply)], llm_output={"model_name": NAME})

    def reply(self, messages: Sequence[BaseMessage]) -> AIMessage:
        """The next reply to this conversation."""
        index = self._next_turn(messages)
        if index is None:
            text = f"The scripted model has no turn left in {self.source} that fits; it ends here."
            return _message(text, (), "end", messages)
        turn = self.turns[index]
        return _message(turn.say, turn.calls, str(index + 1), messages)

    def _next_turn(self, messages: Sequence[BaseMessage]) -> int | None:
        """Go through the conversation as it went, a turn for each reply; the answer is the next that fits."""
        left: dict[str | None, deque[int]] = {}
        for index, turn in enumerate(self.turns):
            left.setdefault(turn.when, deque()).append(index)
        results: list[ToolMessage] = []
        for message in messages:
            if isinstance(message, AIMessage):
                _take_first(left, results)
                results = []
            elif isinstance(message, ToolMessage):
                results.append(message)
        return _take_first(left, results)


def _take_first(left: dict[str | None, deque[int]], results: list[ToolMessage]) -> int | None:
    """The first turn that is for any results, or for these."""
    fitting = [turns for when in (None, _worst(results)) if (turns := left.get(when))]
    return min(fitting, key=lambda turns: turns[0]).popleft() if fitting else None


def _worst(results: list[ToolMessage]) -> str:
    """refused before error before ok; no results have no status."""
    found = {message.response_metadata.get(STATUS) or _by_langchain(message) for message in results}
    ranked = ("refused", "unknown", "error", "ok")
    worst = next((status for status in ranked if status in found), "")
    return "error" if worst == "unknown" else worst


def _by_langchain(message: ToolMessage) -> str:
    return "ok" if message.status == "success" else "error"


def _message(text: str, calls: Sequence[PlaybookCall], turn: str, seen: Sequence[BaseMessage]) -> AIMessage:
    ids = [f"scripted_{turn}_{number}" for number in range(1, len(calls) + 1)]
    tool_calls = [
        ToolCall(name=call.tool, args=dict(call.arguments), id=call_id, type="tool_call")
        for call_id, call in zip(ids, calls, strict=True)
        if not isinstance(call.arguments, str)
    ]
    broken = [
        InvalidToolCall(name=call.tool, args=call.arguments, id=call_id, error="not JSON", type="invalid_tool_call")
        for call_id, call in zip(ids, calls, strict=True)
        if isinstance(call.arguments, str)
    ]
    read, written = sum(len(m.text) for m in seen) // 4, (len(text) + len(str(tool_calls))) // 4
    return AIMessage(
        content=text,
        tool_calls=tool_calls,
        invalid_tool_calls=broken,
        # Four characters a token: an estimate, so that budgets can be tried without a key.
        usage_metadata={"input_tokens": read, "output_tokens": written, "total_tokens": read + written},
        response_metadata={"model_name": NAME, "scripted_turn": turn},
    )
