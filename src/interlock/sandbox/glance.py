"""A container that serves only to look at an image: no network, no capabilities, gone when the look is over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import docker
import docker.errors

from interlock.sandbox import options
from interlock.sandbox.engine import engine_errors
from interlock.sandbox.owner import own_id

_LIFETIME_S: Final = 600


@contextmanager
def glance(api: docker.APIClient, image: str, command: list[str]) -> Iterator[str]:
    """Create such a container, not started, and yield its id. The image is pulled if it is not there.

    Raises:
        SandboxUnavailable: no engine, or the image cannot be had.
    """
    with engine_errors():
        try:
            ident = _create(api, image, command)
        except docker.errors.ImageNotFound:
            for _ in api.pull(image, stream=True):
                pass
            ident = _create(api, image, command)
        try:
            yield ident
        finally:
            api.remove_container(ident, force=True)


def _create(api: docker.APIClient, image: str, command: list[str]) -> str:
    created = api.create_container(
        image,
        entrypoint=command,
        user=f"{options.USER}:{options.USER}",
        labels={options.LABEL: own_id(), options.LABEL_EXPIRES: str(int(time.time()) + _LIFETIME_S)},
        host_config=api.create_host_config(
            network_mode="none",
            mem_limit="256m",
            pids_limit=64,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            read_only=True,
        ),
        use_config_proxy=False,
    )
    return str(created["Id"])
