"""Findings as SARIF 2.1.0, which code hosts and editors show at their lines.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from interlock.policy.lint.finding import KINDS, LintFinding

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(findings: Sequence[LintFinding], *, version: str) -> dict[str, Any]:
    """One run of the lint, as a SARIF log.

    Args:
        findings: also those that are silenced; they are suppressed results.
        version: of Interlock.
    """
    rules = [
        {
            "id": code,
            "shortDescription": {"text": f"{kind.title[0].upper()}{kind.title[1:]}."},
            "defaultConfiguration": {"level": kind.severity},
        }
        for code, kind in KINDS.items()
    ]
    driver = {"name": "interlock policy lint", "semanticVersion": version, "rules": rules}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": [*map(_result, findings)]}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(one: LintFinding) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": one.file}, "region": {"startLine": one.line}}
    where: dict[str, Any] = {"physicalLocation": place}
    if one.entry:
        where["logicalLocations"] = [{"fullyQualifiedName": one.entry}]
    found: dict[str, Any] = {
        "ruleId": one.code,
        "ruleIndex": list(KINDS).index(one.code),
        "level": one.severity,
        "message": {"text": f"{one.message} {one.next_step}"},
        "locations": [where],
    }
    if one.silenced:
        found["suppressions"] = [{"kind": "inSource", "justification": one.silenced}]
    return found
