"""File a request for a rule that would allow what was denied. It changes nothing; people review it."""

from typing import Annotated

from interlock import tool

LONGEST = 1_000


@tool(
    action="propose",
    resource="policy:{tool}",
    idempotent=True,
    sentence="Ask the owners of the policy for a rule about {tool}",
)
def request_permission(
    tool: Annotated[str, "The tool whose call was denied, like 'edit_file'."],
    reason: Annotated[
        str, "Why the task needs this call, and what you would do with it. At most 1,000 characters."
    ],
) -> str:
    """Ask for a rule that would allow a call which the policy denied.

    Use it only after a call was denied and no other way leads to the goal. Nothing is permitted by it now: people
    review it later, with the exact calls that were denied. Go on with what you can do, and say in your result what
    is missing.
    """
    if not reason.strip() or len(reason) > LONGEST:
        raise ValueError(f"reason must have 1 to {LONGEST} characters, not {len(reason)}")
    return f"Filed: people will review a rule for {tool}. It stays denied in this run; do not repeat the call."
