"""How a question may be answered, for the form: one of some texts, an object, or any text."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import JsonValue

from interlock.approval.card import Card


class Answers(NamedTuple):
    """What the form of a question offers."""

    choices: tuple[str, ...]
    fields: tuple[str, ...]
    """Of an answer that is a JSON object; empty where it is a text."""
    is_object: bool


def answers(card: Card) -> Answers:
    """What a question takes."""
    choices: JsonValue = card.exact_arguments.get("choices")
    answer: JsonValue = card.exact_arguments.get("answer")
    if card.kind != "question":
        return Answers((), (), False)
    texts = tuple(str(one) for one in choices) if isinstance(choices, list) else ()
    properties = answer.get("properties") if isinstance(answer, dict) else None
    return Answers(texts, tuple(properties) if isinstance(properties, dict) else (), isinstance(answer, dict))
