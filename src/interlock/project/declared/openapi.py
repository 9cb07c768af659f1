"""Reads an OpenAPI document: its operations by id."""

from __future__ import annotations

import json
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from interlock.definitions.placed import did_you_mean
from interlock.project.declared.compiled import Wrong
from interlock.project.declared.schemas import Untranslatable, registry, resolved

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class Document:
    """One document."""

    def __init__(self, data: bytes, path: str) -> None:
        """Read it.

        Raises:
            Wrong: it is no OpenAPI document of version 3.0 or 3.1.
        """
        self.path = path
        self._value = _parsed(data, path)
        version = self._value.get("openapi") if isinstance(self._value, dict) else None
        if not isinstance(version, str) or not version.startswith(("3.0.", "3.1.")):
            raise Wrong(f"document: {path} is no OpenAPI 3.0 or 3.1 document", ("document",))
        self.resolver = registry(self._value)

    def operation(self, ident: str) -> tuple[str, str, dict[str, Any], list[dict[str, Any]]]:
        """Path, method, the operation and its parameters, those of its path included.

        Raises:
            Wrong: there is not exactly one.
            Untranslatable: a reference leads nowhere.
        """
        found, known = [], []
        for path, item in dict(self._value.get("paths") or {}).items():
            inner = resolved(item, self.resolver)
            for method in METHODS:
                one = inner.get(method) if isinstance(inner, dict) else None
                if isinstance(one, dict):
                    known.append(str(one.get("operationId", "")))
                    if one.get("operationId") == ident:
                        found.append((str(path), method, one, inner))
        if len(found) != 1:
            said = f"{len(found) or 'no'} operation {ident!r}{did_you_mean(ident, filter(None, known))}"
            raise Wrong(f"{self.path} has {said}")
        path, method, one, item = found[0]
        return path, method, one, self._parameters(item, one)

    def _parameters(self, item: dict[str, Any], one: dict[str, Any]) -> list[dict[str, Any]]:
        merged: dict[tuple[str, str], dict[str, Any]] = {}
        for raw in (*(item.get("parameters") or ()), *(one.get("parameters") or ())):
            parameter = resolved(raw, self.resolver)
            if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
                raise Untranslatable(f"a parameter is none: {str(raw)[:100]}")
            merged[parameter["name"], str(parameter.get("in"))] = parameter
        return list(merged.values())


def _parsed(data: bytes, path: str) -> Any:
    try:
        if path.endswith(".json"):
            return json.loads(data)
        return YAML(typ="safe", pure=True).load(data.decode())
    except (ValueError, YAMLError, RecursionError) as error:
        raise Wrong(
            f"document: {path} cannot be read: {' '.join(str(error).split())[:300]}", ("document",)
        ) from error
