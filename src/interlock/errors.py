"""The one error tree. Ground layer: imports nothing.

    InterlockError
    ├── InvalidInput            what a person or an agent gave us is wrong      exit 2
    │   ├── ProjectError        a file of the project is wrong (file:line)
    │   └── PolicyError         a file in permissions/ is wrong (file:line)
    ├── Refused                 somebody may not do this; nothing happened      exit 1
    │   ├── TokenRejected       a signature, expiry or binding does not hold
    │   └── EventForged         an event states what its proof does not bear out
    ├── TimedOut                what was waited for did not come in time        exit 1
    ├── Conflict                it was decided, reserved or changed before      exit 1
    ├── IntegrityError          stored bytes are not what their digest says     exit 1
    ├── Erased                  a run's content was erased on purpose           exit 1
    └── Unreachable             a part (Docker, Temporal, ledger) is not there  exit 3
        ├── SandboxUnavailable
        └── LedgerUnavailable

Each carries what a reader needs to mend it: `reason`, and `next_step` (a command or an edit).
"""

from __future__ import annotations


class InterlockError(Exception):
    """Base of everything that Interlock raises on purpose.

    Attributes:
        reason: what is wrong, naming the field or the part.
        next_step: what to do about it; empty where nothing sensible can be said.
    """

    exit_code = 1

    def __init__(self, reason: str, *, next_step: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.reason} ({self.next_step})" if self.next_step else self.reason


class InvalidInput(InterlockError, ValueError):
    """Input does not fit; correct the named field and try again."""

    exit_code = 2


class ProjectError(InvalidInput):
    """A file of the project is wrong.

    Attributes:
        problems: one line each, `file:line: what (did you mean …)`.
    """

    def __init__(self, reason: str, *, problems: tuple[str, ...] = (), next_step: str = "") -> None:
        super().__init__("\n".join((reason, *problems)), next_step=next_step)
        self.problems = problems


class PolicyError(ProjectError):
    """The policy files were refused as a whole; the bundle in force stays."""


class Refused(InterlockError, PermissionError):
    """Not allowed. Nothing was done."""


class TokenRejected(Refused):
    """A signed token is missing, altered, expired, or names another run, call or person."""


class EventForged(Refused):
    """An event claims a decision, approval, requester or receipt that its proof does not bear out."""


class TimedOut(InterlockError, TimeoutError):
    """What was waited for did not come in time; the message says what and how long."""


class Conflict(InterlockError):
    """Someone was first: the request was decided, the call reserved, or the head moved."""


class IntegrityError(InterlockError):
    """Stored bytes are missing or are not what their digest says."""


class Erased(InterlockError):
    """The run's data key was erased, so that its content cannot be read; by whom, when and why is in the ledger.

    Attributes:
        run: whose content it was.
    """

    def __init__(self, run: str, reason: str = "", *, next_step: str = "") -> None:
        super().__init__(reason or f"the content of run {run!r} was erased", next_step=next_step)
        self.run = run


class Unreachable(InterlockError, ConnectionError):
    """A part that this needs does not answer; `next_step` says how to start it."""

    exit_code = 3


class SandboxUnavailable(Unreachable):
    """No sandbox that satisfies the profile can be had. The call did not run."""


class LedgerUnavailable(Unreachable):
    """The ledger cannot be read or written. Nothing runs without it."""
