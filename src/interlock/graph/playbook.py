"""The playbook of a scripted model: a YAML list of turns, written beside the agent.

- say: I look at the failing test first.
  calls:
    - {tool: run_tests, arguments: {}}
- when: refused
  say: The pull request was refused, so I stop here.
- say: Done.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from pydantic import Field, JsonValue, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from interlock.errors import InvalidInput
from interlock.types.closed import Closed


class PlaybookCall(Closed):
    """One tool call of a turn."""

    tool: str
    arguments: dict[str, JsonValue] | str = Field(default_factory=dict)
    """An object; or a text, which stands for arguments that a model wrote as broken JSON."""


class Turn(Closed):
    """One reply of the scripted model."""

    say: str = ""
    calls: tuple[PlaybookCall, ...] = ()
    """Empty: the turn is the final answer."""
    when: Literal["ok", "error", "refused"] | None = None
    """Take this turn only if the last results had this status: ok if all were, else the worst of them."""


_TURNS: TypeAdapter[tuple[Turn, ...]] = TypeAdapter(tuple[Turn, ...])


@lru_cache(maxsize=64)
def read_playbook(text: str, source: str) -> tuple[Turn, ...]:
    """The turns of a playbook.

    Args:
        text: the YAML.
        source: the file, for messages.

    Raises:
        InvalidInput: names the file, the turn (from 1) and what is wrong.
    """
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise InvalidInput(f"{source}: not YAML: {error}") from error
    if not isinstance(value, list) or not value:
        raise InvalidInput(f"{source}: a playbook is a list of turns: `- say: …`")
    try:
        return _TURNS.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        turn, *field = first["loc"]
        place = ".".join(str(part) for part in field) or "turn"
        raise InvalidInput(f"{source}: turn {int(turn) + 1}: {place}: {first['msg']}") from error
