"""Compiles operations of an OpenAPI document into tools."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from interlock.definitions import ToolSchema
from interlock.definitions.declared import HttpReconcile, HttpTool, Operation, schema_of, segment
from interlock.definitions.tool import KEY_PARAMETER
from interlock.project.declared.compiled import Wrong
from interlock.project.declared.openapi import Document
from interlock.project.declared.schemas import Translation, Untranslatable, resolved

_ACTIONS: Final = {"get": "read", "head": "read", "options": "read", "delete": "delete"}
_IGNORED_HEADERS: Final = frozenset({"accept", "content-type", "authorization"})
"""OpenAPI says that parameters of these names mean nothing."""
KEY_HEADER: Final = "idempotency-key"
"""A header of this name, and any parameter named `idempotency_key`, is the engine's and no argument."""
_STYLES: Final = ("form", "spaceDelimited", "pipeDelimited", "deepObject")


def operations(
    tool: HttpTool, stem: str, files: Mapping[str, bytes]
) -> Iterator[tuple[ToolSchema, dict[str, Any]]]:
    """The contract and the flat definition of each operation.

    Raises:
        Wrong: the document or an operation of it cannot be used.
    """
    path = f"tools/{tool.document}"
    if path not in files:
        raise Wrong(f"document: there is no {path}", ("document",))
    document = Document(files[path], path)
    chosen = {tool.operation: Operation(reconcile=tool.reconcile)} if tool.operation else tool.operations
    owners: dict[str, str] = {}
    for ident, own in chosen.items():
        place = ("operation",) if tool.operation else ("operations", ident)
        name = (tool.name or stem) if tool.operation else f"{stem}.{_segment(ident)}"
        if name.endswith(".") or name in owners:
            raise Wrong(f"operation {ident!r} would be the tool {name!r}, as {owners.get(name, 'none')!r}", place)
        owners[name] = ident
        try:
            yield _Operation(document, ident).compiled(tool, name, own)
        except (Untranslatable, ValidationError) as error:
            reason = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else error
            raise Wrong(f"operation {ident!r}: {reason}", place) from error
        except Wrong as error:
            raise Wrong(f"operation {ident!r}: {error}", error.place or place) from error
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            raise Wrong(f"operation {ident!r}: {path} is not as OpenAPI has it: {error}", place) from error


def _segment(ident: str) -> str:
    """`listPets` as `list_pets`."""
    return segment(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", ident))


class _Operation:
    """One operation of a document."""

    def __init__(self, document: Document, ident: str) -> None:
        self._document = document
        self._ident = ident
        self._path, self._method, self._operation, self._declared = document.operation(ident)
        self._translation = Translation(document.resolver)
        self._properties: dict[str, Any] = {}
        self._required: list[str] = []
        self._key_header = ""

    def compiled(self, tool: HttpTool, name: str, own: Operation) -> tuple[ToolSchema, dict[str, Any]]:
        """Its contract and flat definition."""
        flat = self._flat(tool)
        given: dict[str, Any] = {"type": "object", "properties": self._properties, "additionalProperties": False}
        if self._required:
            given["required"] = self._required
        defaults = self._defaults()
        if own.reconcile is not None:
            flat["reconcile"] = self._reconcile(tool, own.reconcile)
            defaults["reconcile"] = True
        return schema_of(name, given, self._result(), defaults, tool, own), flat

    def _flat(self, tool: HttpTool) -> dict[str, Any]:
        parameters = [made for one in self._declared if (made := self._parameter(one)) is not None]
        self._whole_path(parameters)
        header = self._key_header or ("" if self._reads else tool.idempotency_header)
        return {
            "method": self._method.upper(),
            "server": tool.server.rstrip("/"),
            "path": self._path,
            "parameters": parameters,
            "body": self._body(),
            "numbers": self._translation.numbers,
            **({"key_header": header} if header else {}),
        }

    @property
    def _reads(self) -> bool:
        return self._method in ("get", "head", "options")

    def _reconcile(self, tool: HttpTool, asks: HttpReconcile) -> dict[str, Any]:
        """The operation that finds out, over arguments that this one has."""
        try:
            other = _Operation(self._document, asks.operation)
            flat = other._flat(tool)
        except Wrong as error:
            raise Wrong(f"reconcile: {error}") from error
        if other._method != "get" or flat["body"] is not None:
            raise Wrong(f"reconcile: {asks.operation!r} is no GET without a body, and asking may change nothing")
        for name in other._properties:
            if name not in self._properties:
                raise Wrong(f"reconcile: {asks.operation!r} takes {name!r}, which is no argument of this operation")
            if name in other._required and name not in self._required:
                raise Wrong(f"reconcile: {asks.operation!r} needs {name!r}, which a call may leave out")
        return {**flat, "not_done": list(asks.not_done)}

    def _defaults(self) -> dict[str, Any]:
        summary, text = (str(self._operation.get(key) or "").strip() for key in ("summary", "description"))
        described = f"{summary}\n\n{text}".strip() if text != summary else text
        return {
            "description": (described or f"{self._method.upper()} {self._path}")[:8192],
            "action": _ACTIONS.get(self._method, "write"),
            "effects": "external",
            "idempotent": self._reads,
        }

    def _parameter(self, one: dict[str, Any]) -> dict[str, Any] | None:
        name, where = one["name"], str(one.get("in"))
        if where == "header" and name.lower() in _IGNORED_HEADERS:
            return None
        if where not in ("path", "query", "header"):
            if one.get("required") is True:
                raise Wrong(f"parameter {name!r} is required in {where!r}, which cannot be sent")
            return None
        if not name.isascii() or (where == "header" and not re.fullmatch(r"[A-Za-z0-9-]+", name)):
            raise Wrong(f"parameter {name!r}: its name cannot be sent in {where}")
        style = str(one.get("style") or ("form" if where == "query" else "simple"))
        if style not in (_STYLES if where == "query" else ("simple",)):
            raise Wrong(f"parameter {name!r}: style {style!r} in {where} is not supported")
        if where == "header" and name.lower() == KEY_HEADER:
            self._key_header = name
            return None
        if name == KEY_PARAMETER:
            return {"argument": name, "name": name, "in": where, "style": style, "explode": False, "engine": True}
        argument = self._argument(name, where)
        self._take(argument, self._schema(one), required=one.get("required") is True or where == "path")
        if text := one.get("description"):
            self._properties[argument] = {**self._properties[argument], "description": str(text)[:2000]}
        explode = one.get("explode", style == "form")
        return {"argument": argument, "name": name, "in": where, "style": style, "explode": explode is True}

    def _argument(self, name: str, where: str) -> str:
        """The argument for a parameter: its own name where that can be one."""
        plain = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "value"
        plain = plain if not plain[0].isdigit() else f"_{plain}"
        return plain if plain not in self._properties else f"{plain}_in_{where}"

    def _schema(self, one: dict[str, Any]) -> Any:
        if "schema" in one:
            return one["schema"]
        raise Wrong(f"parameter {one['name']!r} has no schema; one with `content` is not supported")

    def _take(self, argument: str, schema: Any, *, required: bool) -> None:
        if argument in self._properties:
            raise Wrong(f"two parameters would both be the argument {argument!r}")
        self._properties[argument] = self._translation.of(schema, (argument,))
        if required:
            self._required.append(argument)

    def _whole_path(self, parameters: list[dict[str, Any]]) -> None:
        named = set(re.findall(r"\{([^{}]+)\}", self._path))
        known = {one["name"] for one in parameters if one["in"] == "path"}
        if named != known:
            raise Wrong(f"path {self._path!r} and its parameters {sorted(known)} do not name the same")

    def _body(self) -> dict[str, Any] | None:
        raw = self._operation.get("requestBody")
        if raw is None:
            return None
        body = resolved(raw, self._document.resolver)
        media_type, schema = _json_content(body)
        required = isinstance(body, dict) and body.get("required") is True
        if not media_type:
            if not required:
                return None
            raise Wrong("its body is required and not JSON, which cannot be sent")
        argument = self._argument("body", "request")
        self._take(argument, schema, required=required)
        return {"argument": argument, "media_type": media_type}

    def _result(self) -> dict[str, Any]:
        """The schema of a good answer. Where several answers are good and differ, any of them."""
        answers = self._operation.get("responses")
        found: list[dict[str, Any]] = []
        for code, raw in dict(answers or {}).items():
            if re.fullmatch(r"2(\d\d|XX)", str(code)):
                answer = resolved(raw, self._document.resolver)
                media_type, schema = _json_content(answer)
                if not media_type:
                    # Nothing, text, or bytes that become an artifact.
                    found.append({"type": ["string", "null"]})
                else:
                    found.append(Translation(self._document.resolver).of(schema))
        if not found or {} in found:
            return {}
        return found[0] if len(found) == 1 else {"anyOf": found}


def _json_content(value: Any) -> tuple[str, Any]:
    """The JSON media type of a body or an answer, and its schema; empty if it has none."""
    content = value.get("content") if isinstance(value, dict) else None
    for media_type, inner in dict(content or {}).items():
        plain = str(media_type).partition(";")[0].strip().lower()
        if plain == "application/json" or plain.endswith("+json"):
            return plain, inner.get("schema", {}) if isinstance(inner, dict) else {}
    return "", {}
