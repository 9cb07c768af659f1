"""`interlock agent`: who acts, and by which graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.choices import among
from interlock.cli.options import AsJson, group
from interlock.cli.session import settings
from interlock.errors import ProjectError

if TYPE_CHECKING:
    from interlock.project import ProjectDescription

app = group("See the project's agents.")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List agents: their model, their tools, their limits."""
    found = _described()
    if as_json:
        fields = {"name", "tools", "model", "max_steps", "max_tokens", "custom"}
        say.document({"agents": [agent.model_dump(mode="json", include=fields) for agent in found.agents.values()]})
        return
    rows = [
        (a.name, a.model, "own" if a.custom else "standard", str(a.max_steps), ", ".join(a.tools))
        for a in found.agents.values()
    ]
    say.table(("agent", "model", "graph", "steps", "tools"), rows)


@app.command()
def graph(name: Annotated[str, typer.Argument(metavar="NAME", help="The agent.")], as_json: AsJson = False) -> None:
    """Print an agent's graph as a Mermaid flowchart."""
    agents = _described().agents
    drawn = agents[among(name, agents, "NAME")].mermaid
    if as_json:
        say.document({"agent": name, "mermaid": drawn})
    else:
        say.line(drawn.rstrip())


def _described() -> ProjectDescription:
    """What the agents say of themselves, found in a process without secrets.

    Raises:
        ProjectError: agents/ or workflows/ is wrong.
    """
    from interlock.project import describe
    from interlock.run.compilation import GRAPH_CHECK

    own = settings()
    found = describe(own.root, cache=own.state_folder / "cache", graph_check=GRAPH_CHECK)
    if found.problems:
        lines = tuple(map(str, found.problems))
        raise ProjectError("the project does not load:", problems=lines, next_step="interlock check")
    return found
