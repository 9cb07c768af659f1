"""One node of a graph, made to run under Temporal: as an activity, or inside the workflow.

The plugin replaces the function that a node runs; this class stays around it, so that what crosses the
activity boundary is dumped and revived on both sides, replies reach the gate, and ids are the same at every
replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph._internal._constants import CONFIG_KEY_SCRATCHPAD, CONFIG_KEY_SEND, RESUME
from langgraph._internal._runnable import RunnableCallable
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.types import Interrupt
from temporalio.exceptions import is_cancelled_exception

from interlock.graph.body import activity_body, workflow_body
from interlock.graph.gate import Drained
from interlock.graph.messages import dump, revive
from interlock.graph.place import place_of
from interlock.graph.progress import PROGRESS
from interlock.graph.questions import Question
from interlock.graph.record import Recorded
from interlock.graph.runtime import runtime_of_node
from interlock.graph.work import Place, Work


class GraphNode(RunnableCallable):
    """A node as the plugin takes it."""

    def __init__(self, work: Work, place: Place) -> None:
        self.work, self.place = work, place
        body = activity_body(work) if place == "activity" else workflow_body(work)
        # The plugin identifies functions by qualified name and refuses local ones.
        body.__qualname__ = body.__name__ = work.where
        super().__init__(None, body, name=work.where.rpartition(".")[2], trace=False, recurse=False)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run the node; in the workflow, or in the trial run that stands for it."""
        assert config is not None
        progress, place, answers = PROGRESS.get(), place_of(config), _answers(config)
        if place in progress.questions:
            _keep(config, answers)
        progress.enter(place, answers)
        try:
            result = await self._through(input, config, kwargs)
        except (GraphBubbleUp, Drained) as stop:
            if progress.halts(place) or isinstance(stop, Drained):
                progress.stop(place, answers)
            if isinstance(stop, GraphInterrupt) and stop.args[0] and not self.work.inner:
                progress.questions[place] = Question(stop.args[0][0], place, list(answers))
            raise
        except Exception as error:
            if is_cancelled_exception(error):
                raise
            # Raising would make LangGraph cancel the siblings in the order of a set, which differs at replay.
            progress.failures.append((place, error))
            raise GraphInterrupt(()) from error
        if progress.halts(place):  # and the node went on as if nothing were
            progress.stop(place, answers)
        progress.leave(place)
        return result

    async def _through(self, state: Any, config: RunnableConfig, kwargs: dict[str, Any]) -> Any:
        if self.place == "workflow":
            return await super().ainvoke(state, config, **kwargs)
        _keep(config, _answers(config))
        # The activity has the context from the manifest: each step's history would hold it otherwise.
        with runtime_of_node(context=None, store=None):
            reply = await super().ainvoke(dump(state, path=f"{self.work.where}: input"), config, **kwargs)
        await PROGRESS.get().report([Recorded.model_validate(item) for item in reply["replies"]])
        if reply["interrupts"]:
            namespace = config["configurable"]["checkpoint_ns"]
            # Ids are made anew here: those of the activity belong to the run that is now replayed.
            raise GraphInterrupt(tuple(_interrupt(item, namespace) for item in reply["interrupts"]))
        return revive(reply["result"], self.work.types)


def _answers(config: RunnableConfig) -> list[Any]:
    """What the node's questions were answered so far. The list that LangGraph will give the node."""
    answers: list[Any] = config["configurable"][CONFIG_KEY_SCRATCHPAD].resume
    return answers


def _keep(config: RunnableConfig, answers: list[Any]) -> None:
    """Keep them for when the node asks again, which LangGraph does only of answers that it saw being read: not of
    those that an activity read."""
    if answers:
        config["configurable"][CONFIG_KEY_SEND]([(RESUME, list(answers))])


def _interrupt(item: Mapping[str, Any], namespace: str) -> Interrupt[Any]:
    return Interrupt.from_ns(revive(item["value"]), namespace, response_schema=item["response_schema"])
