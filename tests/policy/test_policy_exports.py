"""The public names of the policy package."""

from __future__ import annotations

import ast
from pathlib import Path

import interlock.policy


def test_exported_names_are_the_imported_ones() -> None:
    tree = ast.parse(Path(str(interlock.policy.__file__)).read_text())
    imported = {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert len(set(interlock.policy.__all__)) == len(interlock.policy.__all__)
    assert set(interlock.policy.__all__) == imported
