"""Reads content source without running it: which line says what."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from interlock.project.mount import NAMESPACE
from interlock.project.problem import Problem


@dataclass(frozen=True)
class Source:
    """One content module, parsed."""

    path: str
    tree: ast.Module

    def problem(self, node: ast.AST, message: str, suggestion: str = "") -> Problem:
        """A problem at the line of `node`."""
        return Problem(file=self.path, line=getattr(node, "lineno", 1), message=message, suggestion=suggestion)

    def string(self, value: str) -> ast.AST:
        """Where the module writes this string; the module itself where it does not."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant) and node.value == value:
                return node
        return self.tree

    def keyword(self, name: str, value: str) -> ast.AST:
        """Where the module passes this string as keyword argument `name`; else wherever it writes it."""
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.keyword) or node.arg != name:
                continue
            if isinstance(node.value, ast.Constant) and node.value.value == value:
                return node.value
        return self.string(value)


def parse(path: str, data: bytes) -> Source | Problem:
    """The module's syntax tree, or its syntax error."""
    try:
        return Source(path, ast.parse(data, filename=path))
    except SyntaxError as error:
        return Problem(file=path, line=error.lineno or 1, message=f"syntax error: {error.msg}")
    except ValueError as error:
        return Problem(file=path, line=1, message=f"not Python source: {error}")


def imports(source: Source) -> Iterator[tuple[ast.stmt, str, tuple[str, ...]]]:
    """Each import of the module: statement, absolute or dotted-relative module name, imported names."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name, ()
        elif isinstance(node, ast.ImportFrom):
            yield node, "." * node.level + (node.module or ""), tuple(alias.name for alias in node.names)


def content_imports(source: Source, modules: Collection[tuple[str, str]]) -> Iterator[Problem]:
    """Imports of other content: they would tie files that are pinned, replaced and run apart.

    Args:
        source: a content module.
        modules: (folder, name) of every content module.
    """
    for node, module, names in imports(source):
        # The names first: they are what says which file of a folder is meant.
        for candidate in (*(f"{module}.{name}" for name in names), module):
            if what := _content(candidate, modules):
                yield source.problem(node, f"imports {what}; content names other content by string")
                break


def _content(module: str, modules: Collection[tuple[str, str]]) -> str:
    """What of the project a module name means; empty for a module from elsewhere."""
    inside = module.startswith((".", f"{NAMESPACE}."))
    folder, _, rest = module.removeprefix(f"{NAMESPACE}.").lstrip(".").partition(".")
    name = rest.split(".")[0]
    if folder == "tools" and (folder, name) in modules:
        return f"the tool {name!r}, which runs only in a sandbox"
    return "content" if inside or (folder, name) in modules else ""
