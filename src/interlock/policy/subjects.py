"""How subjects are written in permissions/: `user:alice`, `group:security`, `agent:*`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

_NAME: Final = r"[a-z0-9][a-z0-9._@-]{0,127}"


def _reference(*kinds: str, anyone: str = "") -> Callable[[str], str]:
    pattern = re.compile(rf"({'|'.join(kinds)}):{_NAME}", re.ASCII)
    wanted = " or ".join(f"'{kind}:NAME'" for kind in kinds) + (f" or '{anyone}'" if anyone else "")

    def check(text: str) -> str:
        if text != anyone and not pattern.fullmatch(text):
            raise ValueError(f"{text!r} must look like {wanted}")
        return text

    return check


PersonName = Annotated[str, StringConstraints(pattern=rf"^{_NAME}$")]
AgentReference = Annotated[str, AfterValidator(_reference("agent", "role", "group", anyone="agent:*"))]
PersonReference = Annotated[str, AfterValidator(_reference("user", "role", "group", anyone="user:*"))]
ApproverReference = Annotated[str, AfterValidator(_reference("user", "role", "group"))]
MemberReference = Annotated[str, AfterValidator(_reference("user", "agent", "group", "role"))]
