"""Checks a tool's source without running it and without a sandbox: annotations, names, templates."""

from __future__ import annotations

import ast
import string
from collections.abc import Collection, Iterator

from interlock.definitions.tool import KEY_PARAMETER
from interlock.project.problem import Problem, closest
from interlock.project.source import Source

Function = ast.FunctionDef | ast.AsyncFunctionDef


def check_tool(source: Source, stem: str, profiles: Collection[str] | None) -> Iterator[Problem]:
    """What is wrong with tools/STEM.py.

    Args:
        source: the parsed file.
        stem: the file's name without `.py`.
        profiles: the sandbox profiles there are; None leaves them unchecked.
    """
    found = list(_tools(source.tree))
    if len(found) != 1:
        where: ast.AST = found[1][0] if found else source.tree
        message = f"a tool file has exactly one function with @tool(...), this one has {len(found)}"
        yield source.problem(where, message)
        return
    function, options = found[0]
    yield from _annotations(source, function)
    yield from _templates(source, function, options)
    own = options.get("name", ast.Constant(function.name))
    if isinstance(own, ast.Constant) and str(own.value).replace(".", "_") != stem:
        yield source.problem(function, f"the tool is named {own.value!r} and its file {stem!r}; give them one name")
    profile = options.get("profile", ast.Constant("default"))
    if profiles is not None and isinstance(profile, ast.Constant) and profile.value not in profiles:
        place: ast.AST = profile if "profile" in options else function
        message = f"unknown sandbox profile {profile.value!r}"
        yield source.problem(place, message, closest(str(profile.value), profiles))


def tool_name(source: Source, stem: str) -> str:
    """The name of the tool in tools/STEM.py; `stem` where the source does not say it plainly."""
    found = list(_tools(source.tree))
    own = found[0][1].get("name") if found else None
    return str(own.value) if isinstance(own, ast.Constant) else stem


def _tools(tree: ast.Module) -> Iterator[tuple[Function, dict[str, ast.expr]]]:
    """Each function that `@tool` marks, with the decorator's keywords."""
    names = _decorator_names(tree)
    for node in tree.body:
        if isinstance(node, Function):
            for decorator in node.decorator_list:
                call = decorator.func if isinstance(decorator, ast.Call) else decorator
                if ast.unparse(call) in names:
                    keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
                    yield node, {keyword.arg: keyword.value for keyword in keywords if keyword.arg}


def _decorator_names(tree: ast.Module) -> set[str]:
    """How this module spells `interlock.tool`."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "interlock":
            names |= {alias.asname or alias.name for alias in node.names if alias.name == "tool"}
        elif isinstance(node, ast.Import):
            names |= {f"{alias.asname or alias.name}.tool" for alias in node.names if alias.name == "interlock"}
    return names


def _annotations(source: Source, function: Function) -> Iterator[Problem]:
    arguments = function.args
    for starred in (arguments.vararg, arguments.kwarg):
        if starred is not None:
            yield source.problem(starred, f"parameter *{starred.arg} has no schema; name each parameter")
    for parameter in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if parameter.annotation is None:
            message = f"parameter {parameter.arg!r} of {function.name} has no annotation, so it has no schema"
            yield source.problem(parameter, message)
        elif parameter.arg == KEY_PARAMETER and not _is_text(parameter.annotation):
            message = f"parameter {KEY_PARAMETER!r} is the engine's and a str; give yours another name"
            yield source.problem(parameter, message)
    if function.returns is None:
        yield source.problem(function, f"{function.name} has no return annotation, so its result has no schema")
    if not ast.get_docstring(function):
        yield source.problem(function, f"{function.name} has no docstring, which is what the model reads")


def _is_text(annotation: ast.expr) -> bool:
    """Whether it is plainly str, or Annotated[str, …]."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value == "str"
    if isinstance(annotation, ast.Subscript) and isinstance(annotation.slice, ast.Tuple):
        return (
            ast.unparse(annotation.value).endswith("Annotated") and ast.unparse(annotation.slice.elts[0]) == "str"
        )
    return ast.unparse(annotation) == "str"


def _templates(source: Source, function: Function, options: dict[str, ast.expr]) -> Iterator[Problem]:
    """`resource` and `sentence` may only name parameters."""
    arguments = function.args
    known = {one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)} - {KEY_PARAMETER}
    for option in ("resource", "sentence"):
        template = options.get(option)
        if not isinstance(template, ast.Constant) or not isinstance(template.value, str):
            continue
        try:
            fields = [field for _, field, _, _ in string.Formatter().parse(template.value) if field is not None]
        except ValueError as error:
            yield source.problem(template, f"{option} {template.value!r} is no template: {error}")
            continue
        for field in fields:
            if field not in known:
                message = f"{option} names {{{field}}}, and {function.name} has no such parameter"
                yield source.problem(template, message, closest(field, known))
