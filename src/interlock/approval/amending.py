"""What people may say of an open request besides deciding it: its requester withdraws it, an approver hands their
decision on to another person; and, of no request in particular, who decides for them while they are away.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from interlock.approval.tokens import Claims
from interlock.types.names import SubjectName


class AmendClaims(Claims):
    """A person withdraws a request, or hands their decision on it on."""

    TYP = "interlock-amendment"

    request: str
    verb: Literal["withdraw", "reassign"]
    to: SubjectName | Literal[""] = ""
    """For `reassign`: who decides instead."""
    reason: str = Field(min_length=1, max_length=2_000)
