"""Reviews a source tree and asks a person how severe what it found is. Brings its own graph."""

from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt

from interlock import agent
from interlock.graph import chat_model, governed_tools, system_prompt

SEVERITIES = ("none", "low", "high")


class Review(MessagesState):
    severity: str
    result: dict[str, str]


async def read(state: Review) -> dict[str, Any]:
    """Ask the model for the next look at the code, or for the finding."""
    reply = await chat_model().ainvoke([system_prompt(), *state["messages"]])
    return {"messages": [reply]}


def look_again_or_ask(state: Review) -> str:
    last = state["messages"][-1]
    wants_tools = isinstance(last, AIMessage) and (last.tool_calls or last.invalid_tool_calls)
    return "look" if wants_tools else "ask"


def ask(state: Review) -> dict[str, Any]:
    """A person says how severe the finding is; the graph waits as long as it takes."""
    finding = state["messages"][-1].text
    answer = interrupt({"question": "How severe is this?", "finding": finding, "answers": list(SEVERITIES)})
    word = str(answer).strip().lower()
    return {"severity": word if word in SEVERITIES else "low"}


def conclude(state: Review) -> dict[str, Any]:
    return {"result": {"severity": state["severity"], "finding": state["messages"][-1].text}}


def graph() -> StateGraph:
    builder = StateGraph(Review)
    builder.add_node("read", read)
    builder.add_node("look", governed_tools())
    builder.add_node("ask", ask, metadata={"execute_in": "workflow"})
    builder.add_node("conclude", conclude, metadata={"execute_in": "workflow"})
    builder.add_edge(START, "read")
    builder.add_conditional_edges("read", look_again_or_ask, ["look", "ask"])
    builder.add_edge("look", "read")
    builder.add_edge("ask", "conclude")
    builder.add_edge("conclude", END)
    return builder


reviewer = agent(
    "reviewer",
    prompt="reviewer.md",
    tools=["search_code", "read_file"],
    max_steps=30,
    max_tokens=300_000,
    graph=graph,
)
