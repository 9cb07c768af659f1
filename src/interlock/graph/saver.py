"""What LangGraph keeps of a graph between two nodes: as JSON, the newest state only, ready to be carried over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.memory import InMemorySaver

from interlock.graph.messages import Types, dump, revive

Typed = tuple[str, bytes]
_EMPTY: Final[Typed] = ("empty", b"")


class StateSerde:
    """State as JSON and back. Only the types that the graph's schemas name are made anew: whoever could write a
    run's state could otherwise have the worker make anything."""

    def __init__(self, types: Types) -> None:
        self._types = types

    def dumps_typed(self, obj: Any) -> Typed:
        """`obj` as JSON text."""
        # What was being done when a run is cancelled is not gone on with.
        value = repr(obj) if isinstance(obj, BaseException) else dump(obj)
        return "json", json.dumps(value).encode()

    def loads_typed(self, data: Typed) -> Any:
        """What `dumps_typed` was given."""
        return revive(json.loads(data[1]), self._types)


class StateSaver(InMemorySaver):
    """Keeps one checkpoint of the graph, and one of each graph in it."""

    def get_next_version(self, current: str | None, channel: None) -> str:
        """The next number. Nothing at random: there are no branches here to be told apart."""
        return f"{int(current or 0) + 1:010}"

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint, and forget those before it: which is newest does not depend on a clock."""
        saved = super().put(config, checkpoint, metadata, new_versions)
        thread, namespace = config["configurable"]["thread_id"], config["configurable"]["checkpoint_ns"]
        self._forget(thread, namespace, checkpoint)
        return saved

    def _forget(self, thread: str, namespace: str, newest: Checkpoint) -> None:
        found = self.storage[thread][namespace]
        for other in [key for key in found if key != newest["id"]]:
            del found[other]
            self.writes.pop((thread, namespace, other), None)
        for key in [key for key in self.blobs if key[:2] == (thread, namespace)]:
            if newest["channel_versions"].get(key[2]) != key[3]:
                del self.blobs[key]

    def exported(self, thread: str) -> dict[str, Any]:
        """Everything that LangGraph needs to go on, by namespace."""
        return {namespace: self._export(thread, namespace, at) for namespace, at in self._live(thread)}

    def _live(self, thread: str) -> Iterator[tuple[str, str]]:
        """Namespaces and ids of their checkpoints, without those of inner graphs that have ended."""
        newest = {namespace: next(iter(found)) for namespace, found in self.storage[thread].items() if found}
        for namespace, at in newest.items():
            metadata = self.serde.loads_typed(self.storage[thread][namespace][at][1])
            parents = metadata.get("parents", {})
            if all(newest.get(outer) == of for outer, of in parents.items()):
                yield namespace, at

    def _export(self, thread: str, namespace: str, at: str) -> dict[str, Any]:
        checkpoint, metadata, _ = self.storage[thread][namespace][at]
        values = {key[2:]: value for key, value in self.blobs.items() if key[:2] == (thread, namespace)}
        writes = self.writes.get((thread, namespace, at), {})
        return {
            "id": at,
            "checkpoint": _read(checkpoint),
            "metadata": _read(metadata),
            "values": [[channel, version, _read(value)] for (channel, version), value in values.items()],
            "writes": [
                [task, index, channel, _read(value), path]
                for (task, index), (_, channel, value, path) in writes.items()
            ],
        }

    def restore(self, thread: str, exported: dict[str, Any]) -> None:
        """Take up what `exported` gave."""
        for namespace, found in exported.items():
            at = found["id"]
            self.storage[thread][namespace][at] = (_typed(found["checkpoint"]), _typed(found["metadata"]), None)
            for channel, version, value in found["values"]:
                self.blobs[thread, namespace, channel, version] = _typed(value)
            self.writes[thread, namespace, at] = {
                (task, index): (task, channel, _typed(value), path)
                for task, index, channel, value, path in found["writes"]
            }


def _read(value: Typed) -> list[Any]:
    return [] if value == _EMPTY else [json.loads(value[1])]


def _typed(value: list[Any]) -> Typed:
    return ("json", json.dumps(value[0]).encode()) if value else _EMPTY
