"""What an earlier call of the same run left as an artifact, as the one file that a reading call is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from interlock.events import CallFinished
from interlock.types.call import ToolCall
from interlock.types.workspace import FileEntry, Tree

FILE: Final = "output"
"""Its name in the sandbox, whatever the artifact's is."""


class Recorded(Protocol):
    """Where the events of a run are."""

    def events(self, run: str) -> Any:
        """All of them, in order."""
        ...


def earlier_output(ledger: Recorded, call: ToolCall, arguments: Mapping[str, Any]) -> Tree:
    """The artifact that a call names, of its own run and of no other; without a file where there is none.

    Args:
        ledger: what is on record.
        call: who reads.
        arguments: `call`, such as `c4`, and `name`.
    """
    wanted = f"{call.run}:{arguments.get('call')}"
    for event in ledger.events(call.run):
        if isinstance(event, CallFinished) and event.call_id == wanted:
            for artifact in event.artifacts:
                if artifact.name == arguments.get("name"):
                    return Tree(files={FILE: FileEntry(digest=artifact.digest, size=artifact.size)})
    return Tree()
