"""How a graph stops so that it can go on in another execution of its workflow."""

from __future__ import annotations

from pydantic import JsonValue


class Stopped(Exception):
    """The run drains, and the graph stopped between two nodes.

    Attributes:
        state: what `drive` needs to go on, as canonical JSON.
    """

    def __init__(self, state: JsonValue) -> None:
        super().__init__("the graph stopped, because its run goes on in a new execution")
        self.state = state
