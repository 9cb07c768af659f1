"""A container as the engine keeps it: created, attached to, removed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import docker
import docker.errors
import requests

from interlock.errors import Conflict

_REMOVED_S: Final = 30
_STREAMS: Final = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}


def conflict(name: str) -> Conflict:
    """What is raised when another container has a call's name."""
    next_step = "`interlock sandbox clean` removes what a dead executor left"
    return Conflict(f"this call already has a container, {name!r}", next_step=next_step)


def create(api: docker.APIClient, arguments: dict[str, Any]) -> str:
    """Create a container; its id.

    Raises:
        Conflict: another has its name.
    """
    try:
        ident: str = api.create_container(**arguments)["Id"]
    except docker.errors.APIError as error:
        if error.status_code == requests.codes.conflict:
            raise conflict(arguments["name"]) from error
        raise
    return ident


def attach(api: docker.APIClient, ident: str) -> Any:
    """What is attached to its streams."""
    return api.attach_socket(ident, params=_STREAMS)


def remove(api: docker.APIClient, ident: str) -> bool:
    """Remove a container with force and wait until it is gone; whether this call removed it."""
    try:
        api.remove_container(ident, force=True, v=True)
    except docker.errors.NotFound:
        return False
    except docker.errors.APIError as error:
        if error.status_code != requests.codes.conflict:
            raise
        # Removal is under way; the engine tells when it is done.
        with suppress(docker.errors.NotFound):
            api.wait(ident, timeout=_REMOVED_S, condition="removed")
    return True
