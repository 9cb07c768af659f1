"""How policy files are written: which texts are quoted, how decimals and null look."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

_TAG: Final = "tag:yaml.org,2002:"
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_OTHER_YAML: Final = re.compile(r"(?i)yes|no|on|off|[0-9]+(:[0-9]+)+")
"""Texts that older YAML readers take for true, false or a number."""


class _Representer(RoundTripRepresenter):
    """Writes plain values; ruamel's own leaves null empty and does not know decimals."""


def _text(writer: _Representer, value: str) -> ScalarNode:
    if _DAY.fullmatch(value):
        return writer.represent_scalar(f"{_TAG}timestamp", value)  # read as text, and familiar without quotes
    return writer.represent_scalar(f"{_TAG}str", value, style="'" if _OTHER_YAML.fullmatch(value) else None)


def _decimal(writer: _Representer, value: Decimal) -> ScalarNode:
    return writer.represent_scalar(f"{_TAG}float", format(value, "f"))


def _null(writer: _Representer, value: None) -> ScalarNode:
    return writer.represent_scalar(f"{_TAG}null", "null")


_Representer.add_representer(str, _text)
_Representer.add_representer(Decimal, _decimal)
_Representer.add_representer(type(None), _null)


def dumper() -> Any:
    """A writer that folds nothing and indents lists under their key."""
    writer = YAML(typ="rt", pure=True)
    writer.Representer = _Representer
    writer.width = 2**31
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.allow_unicode = True
    return writer
