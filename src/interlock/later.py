"""Packages whose names are loaded when somebody asks for them, for what they bring is large."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def later(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose `__init__` imports nothing.

    Args:
        package: its `__name__`.
        places: which module of the package each name is in. No name may be that of a module: once the module is
            loaded, Python takes the name for it.
    """

    def load(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{places[name]}"), name)

    return load
