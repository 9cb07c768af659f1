"""Whose word counts in this process: the public keys, loaded once when a worker starts.

Workflow code asks here for the API's public key. It is configuration of the process and not part of a run's
input, because whoever writes to Temporal could otherwise bring a key of their own.
"""

from __future__ import annotations

from interlock.errors import Unreachable
from interlock.signing import Role, Verifier

_verifiers: dict[Role, Verifier] = {}


def trust(*verifiers: Verifier) -> None:
    """Let this process believe statements under these keys."""
    _verifiers.update({verifier.role: verifier for verifier in verifiers})


def verifier_of(role: Role) -> Verifier:
    """The public key of a role.

    Raises:
        Unreachable: none was loaded: nothing can be verified, so nothing is believed.
    """
    if role not in _verifiers:
        raise Unreachable(
            f"no public key of the {role} is loaded", next_step="start the worker with its keys folder"
        )
    return _verifiers[role]


def api_verifier() -> Verifier:
    """The key that speaks for people."""
    return verifier_of("api")
