"""Names and digests: the strings by which things are known, and what each may look like."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import StringConstraints

DIGEST_PATTERN: Final = r"^sha256:[0-9a-f]{64}$"
NAME_PATTERN: Final = r"^[a-z][a-z0-9_]{0,63}$"
TOOL_PATTERN: Final = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$"
SUBJECT_PATTERN: Final = r"^(agent|user|role|group):[a-z0-9][a-z0-9._@-]{0,127}$"
RUN_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"

Digest = Annotated[str, StringConstraints(pattern=DIGEST_PATTERN)]
"""`sha256:` and 64 lower-case hex digits."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""The name of an agent, workflow, profile or route."""

ToolName = Annotated[str, StringConstraints(pattern=TOOL_PATTERN, max_length=128)]
"""Dotted lower-case segments; never normalised."""

SubjectName = Annotated[str, StringConstraints(pattern=SUBJECT_PATTERN)]
"""Who: `agent:fixer`, `user:alice`, `role:maintainer`, `group:security`."""

RunId = Annotated[str, StringConstraints(pattern=RUN_PATTERN)]
"""The id of a run: Temporal's workflow id."""

OptionalDigest = Digest | Literal[""]
"""Empty: there is none: no workspace, no result."""
