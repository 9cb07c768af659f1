"""A rule as a person would write it: an item of `rules` in a policy file."""

from __future__ import annotations

from io import StringIO
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from interlock.policy.entries import Rule

_ORDER: Final = tuple(Rule.model_fields)
_UNBROKEN: Final = 1_000_000
"""A width at which no line is folded."""


def rule_yaml(rule: Rule) -> str:
    """The rule's own keys, one a line, conditions in braces; loads as the same rule again."""
    stored = rule.model_dump(mode="json", by_alias=True)
    written = sorted(rule.model_fields_set, key=_ORDER.index)
    plain = CommentedMap((key, _inline(_unlisted(stored[key]))) for key in written if key != "when")
    if rule.when:
        plain["when"] = CommentedSeq(_inline(condition) for condition in stored["when"])
    writer, text = YAML(), StringIO()
    writer.width = _UNBROKEN
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.dump(CommentedMap(rules=CommentedSeq([plain])), text)
    return text.getvalue().removeprefix("rules:\n")


def _unlisted(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _inline(value: Any) -> Any:
    """Mappings and lists on one line; a decimal as the number that it is."""
    if isinstance(value, dict) and set(value) == {"decimal"}:
        return YAML().load(value["decimal"])
    if isinstance(value, dict):
        made: Any = CommentedMap((key, _inline(item)) for key, item in value.items())
    elif isinstance(value, list):
        made = CommentedSeq(map(_inline, value))
    else:
        return value
    made.fa.set_flow_style()
    return made
