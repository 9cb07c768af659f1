"""The connection to the Docker engine, and what its errors mean to a reader."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import docker
import docker.errors
import docker.utils
import requests

from interlock.errors import InterlockError, SandboxUnavailable

TIMEOUT_S: Final = 30
MAX_CALLS: Final = 64
"""Calls that one driver runs at the same time; more wait their turn."""
START_ENGINE: Final = (
    "start it with `systemctl start docker` or `dockerd`, or set DOCKER_HOST; see `interlock doctor`"
)


def connect() -> docker.APIClient:
    """A client of the engine that DOCKER_HOST names, or of the local one.

    Raises:
        SandboxUnavailable: it does not answer.
    """
    with engine_errors():
        return docker.APIClient(
            **docker.utils.kwargs_from_env(), version="auto", timeout=TIMEOUT_S, max_pool_size=MAX_CALLS
        )


@contextmanager
def engine_errors() -> Iterator[None]:
    """Say what is wrong with the engine instead of what is wrong with the HTTP connection to it."""
    try:
        yield
    except InterlockError:
        # Some are OSErrors too, and say already what is wrong.
        raise
    except docker.errors.ImageNotFound as error:
        raise SandboxUnavailable(f"no sandbox image: {error.explanation}", next_step=BUILD_IMAGE) from error
    except docker.errors.APIError as error:
        reason = f"the Docker engine refused: {error.explanation or error}"
        raise SandboxUnavailable(reason, next_step="see `interlock sandbox doctor`") from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise SandboxUnavailable(f"no Docker engine answers: {error}", next_step=START_ENGINE) from error


BUILD_IMAGE: Final = "build it with `interlock sandbox build`"
