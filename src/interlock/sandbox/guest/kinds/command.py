"""A program with arguments by a template. No value ever passes through a shell."""

from __future__ import annotations

import string
from typing import Any

from interlock import workspace_path

from .. import key
from ..failure import ToolError
from . import program
from .plain import NotPlain, plain
from .room import EXIT_CODE, Room


def carry_out(definition: dict[str, Any], arguments: dict[str, Any], room: Room) -> Any:
    """Run the command; its result as the definition says."""
    ended = _run(definition, arguments, room)
    good = definition["ok_exit_codes"]
    if not good and definition["result"] != "exit":
        good = [0]
    if good and ended.exit_code not in good:
        raise ToolError(f"{EXIT_CODE}{ended.exit_code}\n{_printed(ended)}".rstrip())
    return _result(definition, ended)


def reconcile(definition: dict[str, Any], arguments: dict[str, Any], room: Room) -> Any:
    """Run the program that finds out whether the call happened; its exit code says so."""
    asks = definition["reconcile"]
    ended = _run({**definition, "argv": asks["argv"], "script": "", "stdin": ""}, arguments, room)
    if ended.exit_code in asks["done"]:
        return {"answer": "done", "result": _result(definition, ended)}
    if ended.exit_code in asks["not_done"]:
        return {"answer": "not_done"}
    return {"answer": "unknown", "reason": f"{EXIT_CODE}{ended.exit_code}\n{_printed(ended)}"[:2000].rstrip()}


def _run(definition: dict[str, Any], arguments: dict[str, Any], room: Room) -> program.Ended:
    parameters = definition["parameters"]
    for name, value in arguments.items():
        _check(name, value, parameters[name])
    environment = dict(definition["environment"])
    given = {**arguments, key.PARAMETER: room.key}
    if definition["script"]:
        argv = ["sh", "-c", definition["script"]]
        environment |= {name: _joined(value) for name, value in arguments.items()}
    else:
        argv = expand(definition["argv"], given, {**parameters, key.PARAMETER: {"options": False}})
    stdin = _filled(definition["stdin"], given).encode("utf-8", "surrogateescape")
    return program.run(argv, room, stdin=stdin, environment=environment)


def _check(name: str, value: Any, parameter: dict[str, Any]) -> None:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str) and "\0" in one:
            raise ToolError(f"argument {name!r} holds a NUL, which no program argument can")
        if "path" in (parameter["type"], parameter["items"]):
            try:
                workspace_path(one)
            except ValueError as error:
                raise ToolError(f"argument {name!r}: {error}") from error


def expand(template: list[Any], arguments: dict[str, Any], parameters: dict[str, Any]) -> list[str]:
    """The program's arguments.

    Args:
        template: texts; lists, left out where an argument in them is missing; `{"when": name, "argv": texts}`.
        arguments: what the call gives.
        parameters: what the definition says of each.

    Raises:
        ToolError: a value would be taken for an option.
    """
    found: list[str] = []
    for element in template:
        group = isinstance(element, dict)
        if group and _absent(arguments.get(element["when"])):
            continue
        texts = [element] if isinstance(element, str) else element["argv"] if group else element
        if not isinstance(element, str) and any(name not in arguments for text in texts for name in _names(text)):
            continue
        for text in texts:
            found += _element(text, arguments, parameters, after_dashes="--" in found)
    return found


def _absent(value: Any) -> bool:
    # Zero is a value; an empty list or text is as good as none.
    return value is None or value is False or value in ("", [])


def _element(text: str, arguments: dict[str, Any], parameters: dict[str, Any], *, after_dashes: bool) -> list[str]:
    names = _names(text)
    lists = [name for name in names if isinstance(arguments[name], list)]
    if len(names) > 1 and lists:
        raise ToolError(f"argument {lists[0]!r} is a list and stands beside another in {text!r}")
    values = [{**arguments, lists[0]: one} for one in arguments[lists[0]]] if lists else [arguments]
    made = [_filled(text, value) for value in values]
    own = text.startswith("-") or after_dashes or any(parameters[name]["options"] for name in names)
    for one in made:
        if names and not own and one.startswith("-"):
            raise ToolError(
                f"argument {names[0]!r}: {one!r} would be taken for an option; a value may not begin with -"
            )
    return made


def _names(text: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]


def _filled(text: str, arguments: dict[str, Any]) -> str:
    parts = []
    for literal, name, _, _ in string.Formatter().parse(text):
        parts.append(literal)
        if name is not None:
            parts.append(_joined(arguments.get(name, "")))
    return "".join(parts)


def _joined(value: Any) -> str:
    """A value as text: a list has a line for each item."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "\n".join(map(_joined, value)) if isinstance(value, list) else str(value)


def _printed(ended: program.Ended) -> str:
    return "\n".join(part for part in (ended.stdout.text.rstrip(), ended.stderr.text.rstrip()) if part)


def _result(definition: dict[str, Any], ended: program.Ended) -> Any:
    kind = definition["result"]
    if kind == "exit":
        return {"exit_code": ended.exit_code, "stdout": ended.stdout.text, "stderr": ended.stderr.text}
    if kind == "lines":
        return ended.stdout.text.splitlines()
    if kind == "text":
        return ended.stdout.text
    try:
        return plain(ended.stdout.whole)
    except NotPlain as error:
        raise ToolError(f"its output is no result: {error}\n{ended.stdout.text[:2000]}") from error
