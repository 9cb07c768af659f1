"""A graph as a picture in text."""

from __future__ import annotations

from interlock.graph.prepare import Graph


def mermaid(builder: Graph) -> str:
    """The graph as a Mermaid flowchart. Made here, without a service."""
    return builder.compile().get_graph().draw_mermaid()
