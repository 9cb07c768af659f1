"""An agent's prompt and playbook: where they are, and whether they can be used."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from interlock.project.problem import Problem, closest
from interlock.project.snapshot import Snapshot
from interlock.project.source import Source


def prompt_path(prompt: str) -> str | None:
    """`agents/NAME.md` where the prompt is the name of a file; None where it is the text itself."""
    return f"agents/{prompt}" if prompt.endswith(".md") and len(prompt.split()) == 1 else None


def playbook_path(agent: str) -> str:
    """Where the scripted model's playbook for an agent is, if it has one."""
    return f"agents/{agent}.playbook.yaml"


def check_prompt(snapshot: Snapshot, source: Source, prompt: str) -> Iterator[Problem]:
    """Whether the prompt can be read and says something."""
    where = source.keyword("prompt", prompt)
    path = prompt_path(prompt)
    if path is None:
        if not prompt.strip():
            yield source.problem(where, "the prompt is empty")
        return
    if path not in snapshot.files:
        known = {name.removeprefix("agents/") for name in snapshot.files if name.endswith(".md")}
        message = f"there is no prompt file {path} that can be read"
        yield source.problem(where, message, closest(prompt, known))
        return
    try:
        if not snapshot.files[path].decode("utf-8").strip():
            yield source.problem(where, f"the prompt file {path} is empty")
    except UnicodeDecodeError as error:
        line = snapshot.files[path][: error.start].count(b"\n") + 1
        yield Problem(file=path, line=line, message="this prompt is not UTF-8 text")


def check_playbook(path: str, data: bytes, tools: Collection[str]) -> Iterator[Problem]:
    """Whether a playbook is YAML that calls only the agent's own tools.

    `interlock.graph` checks its shape when it reads it; here are the mistakes that have a line.
    """
    try:
        turns = YAML(typ="rt", pure=True).load(data.decode("utf-8"))
    except UnicodeDecodeError:
        yield Problem(file=path, line=1, message="this playbook is not UTF-8 text")
        return
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        yield Problem(file=path, line=mark.line + 1 if mark else 1, message=f"not YAML: {_said(error)}")
        return
    if not isinstance(turns, CommentedSeq):
        yield Problem(file=path, line=1, message="a playbook is a list of turns: `- say: …`")
        return
    for turn in turns:
        calls = turn.get("calls", ()) if isinstance(turn, CommentedMap) else ()
        for call in calls if isinstance(calls, CommentedSeq) else ():
            yield from _call(path, call, tools)


def _call(path: str, call: Any, tools: Collection[str]) -> Iterator[Problem]:
    if not isinstance(call, CommentedMap):
        return
    tool = call.get("tool")
    if tool not in tools:
        at: Callable[[str], tuple[int, int]] = call.lc.value
        line = at("tool")[0] + 1 if "tool" in call else call.lc.line + 1
        message = f"this agent has no tool {tool!r}"
        yield Problem(file=path, line=line, message=message, suggestion=closest(str(tool), tools))


def _said(error: YAMLError) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]
