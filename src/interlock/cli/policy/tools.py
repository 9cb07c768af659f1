"""The schemas of the project's tools, where they are at hand: requests that are made up then look like calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.cli import say

if TYPE_CHECKING:
    from interlock.definitions import ToolSchema
    from interlock.settings import Settings


def known_tools(own: Settings) -> dict[str, ToolSchema]:
    """Schemas by name; none, and a note, where the tools cannot be compiled here."""
    from interlock.cli.policy.around import surroundings
    from interlock.errors import InterlockError

    try:
        return dict(surroundings(own)[0].tools)
    except InterlockError as error:
        say.note(f"requests are made up without the tools' schemas: {error.reason}")
        return {}
