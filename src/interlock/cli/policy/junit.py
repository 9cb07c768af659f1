"""Results of permission cases as JUnit XML, the form that build servers read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from interlock.approval.visible import visible

if TYPE_CHECKING:
    from interlock.policy import CaseResult


def junit(results: Sequence[CaseResult]) -> bytes:
    """One suite a file, one test a case, in the order of the results."""
    failures = sum(not result.passed for result in results)
    root = ElementTree.Element("testsuites", tests=str(len(results)), failures=str(failures))
    for file, own in groupby(results, key=lambda result: result.source.rpartition(":")[0]):
        _suite(root, file, list(own))
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _suite(root: ElementTree.Element, file: str, results: Sequence[CaseResult]) -> None:
    failures = sum(not result.passed for result in results)
    counts = {"tests": len(results), "failures": failures, "errors": 0, "skipped": 0}
    own = {"name": file, **{name: str(count) for name, count in counts.items()}}
    suite = ElementTree.SubElement(root, "testsuite", own)
    for result in results:
        line = result.source.rpartition(":")[2]
        # XML has no form for control characters, and a name may hold any text of a case file.
        test = ElementTree.SubElement(
            suite, "testcase", name=visible(result.name), classname=file, file=file, line=line, time="0"
        )
        if not result.passed:
            ElementTree.SubElement(test, "failure", message=visible(result.message)).text = result.source
