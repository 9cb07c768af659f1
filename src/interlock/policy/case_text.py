"""A permission case as YAML that can be pasted into permissions/cases/."""

from __future__ import annotations

import io
import json
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from interlock.policy.cases import Case, CaseRequest
from interlock.policy.expected import Expected

_VERBS: Final = {"allow": "is allowed", "ask": "is asked about", "deny": "is denied"}
_MOST_NAME: Final = 400


def as_case(request: CaseRequest, expected: Expected, against: str) -> Case:
    """The case, named for what it shows.

    Args:
        request: the request.
        expected: its decision.
        against: the mistake that it would notice, in words.
    """
    who = f"{request.tool} by {request.agent} for {request.requester}"
    name = f"{who} {_VERBS[expected.verdict]}, which would change with {against}"
    return Case(name=name[:_MOST_NAME], request=request, expect=expected)


def request_line(request: CaseRequest) -> str:
    """A request on one line: who for whom, the tool and its arguments, and what else is not as usual."""
    value = _request(request)
    head = f"{value.pop('tool')} by {value.pop('agent')} for {value.pop('requester')}"
    return f"{head}: {json.dumps(value, ensure_ascii=False)}"


def case_text(case: Case) -> str:
    """The item of the list `cases`, indented as it stands there; what has its default is left out."""
    expected = case.expect.model_dump(mode="json", exclude_defaults=True)
    item = {"name": case.name, "request": _laid_out(_request(case.request)), "expect": _flow(expected)}
    yaml = YAML(pure=True)
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 10_000
    out = io.StringIO()
    yaml.dump([item], out)
    return out.getvalue()


def _request(request: CaseRequest) -> dict[str, Any]:
    """What is not as it is by default, in the order of the fields."""
    return request.model_dump(mode="json", exclude_defaults=True)


def _laid_out(request: dict[str, Any]) -> dict[str, Any]:
    return {key: _flow(value) if isinstance(value, dict | list) else value for key, value in request.items()}


def _flow(value: Any) -> Any:
    """Nested values on one line."""
    if isinstance(value, dict):
        mapping = CommentedMap((key, _flow(inner)) for key, inner in value.items())
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list):
        sequence = CommentedSeq(_flow(inner) for inner in value)
        sequence.fa.set_flow_style()
        return sequence
    return value
