"""Loads the scripts, which are no package: they run before anything is installed, and inside images."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def load(folder: str, name: str) -> ModuleType:
    with importable(ROOT / folder):
        return importlib.import_module(name)


@pytest.fixture(scope="session")
def debian() -> ModuleType:
    return load("scripts/setup", "debian")


@pytest.fixture(scope="session")
def engine() -> ModuleType:
    return load("scripts/setup", "engine")


@pytest.fixture(scope="session")
def environment() -> ModuleType:
    return load("scripts/setup", "environment")


@pytest.fixture(scope="session")
def machine() -> ModuleType:
    return load("scripts/setup", "machine")


@pytest.fixture(scope="session")
def report() -> ModuleType:
    return load("scripts/setup", "report")
