"""One thing that is wrong in the project, where it is, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from pydantic import Field

from interlock.types.closed import Closed


class Problem(Closed):
    """What `interlock check` prints as one line."""

    file: str
    """Path in the project, with `/`."""
    line: int = Field(ge=1)
    message: str
    """What is wrong, and the next step where it is not obvious."""
    suggestion: str = ""
    """The known name that is closest to the unknown one; empty where none is close."""

    def __str__(self) -> str:
        meant = f" (did you mean {self.suggestion!r}?)" if self.suggestion else ""
        return f"{self.file}:{self.line}: {self.message}{meant}"


def closest(name: str, known: Collection[str]) -> str:
    """The name in `known` that looks most like `name`, or an empty string."""
    found = difflib.get_close_matches(name, sorted(known), n=1)
    return found[0] if found else ""


def in_order(problems: Collection[Problem]) -> list[Problem]:
    """Each problem once, by file and line."""
    return sorted(set(problems), key=lambda problem: (problem.file, problem.line, problem.message))
