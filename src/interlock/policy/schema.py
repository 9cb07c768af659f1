"""JSON Schema of the files in permissions/, for editors. Generated from the models that read them."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field, create_model

from interlock.policy.cases import Case
from interlock.policy.entries import SECTIONS
from interlock.types.closed import Closed

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class PolicyFile(Closed):
    """A policy file: any of these lists, in any number of files."""


class CaseFile(Closed):
    """A file of permission cases."""

    cases: list[Case]


def schema(kind: Literal["policy", "cases"] = "policy") -> dict[str, Any]:
    """The JSON Schema of a policy file, or of a file in permissions/cases/."""
    if kind == "cases":
        model: type[Closed] = CaseFile
    else:
        fields: dict[str, Any] = {name: (list[entry], Field(default=[])) for name, entry in SECTIONS.items()}  # type: ignore[valid-type]
        model = create_model("PolicyFile", __base__=PolicyFile, **fields)
    found = model.model_json_schema(by_alias=True)
    # Unset operators have defaults that mean nothing to an author.
    for field in found["$defs"].get("Condition", {}).get("properties", {}).values():
        field.pop("default", None)
    return {
        "$schema": DIALECT,
        "title": f"Interlock {kind} file",
        **{k: v for k, v in found.items() if k != "title"},
    }
