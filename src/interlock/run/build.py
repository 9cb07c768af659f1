"""Builds of the graph worker: which code decides how runs go on, and which build new runs go to.

With `worker_versioning` a run stays with the build on which its execution began, and moves to the current one when
it goes on in a new execution, which it does as soon as another build is current: code may change under open runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.enums.v1 import WorkerDeploymentVersionStatus
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_fixed

import interlock
from interlock.digest import digest_bytes, digest_of
from interlock.errors import Conflict, Unreachable
from interlock.settings import Settings

COMES_UP_S: Final = 10
_SHOWN: Final = 12
_PREFIX: Final = "WORKER_DEPLOYMENT_VERSION_STATUS_"


@dataclass(frozen=True)
class Build:
    """One build, as the Temporal server knows it."""

    name: str
    status: str
    """current: new runs go to it. ramping: some do. draining: only open runs are with it. drained: none is; its
    workers may be stopped. inactive: it never was current."""


def build_id(settings: Settings) -> str:
    """The setting; or, where it is empty, a digest of all code on which a replay depends: the engine's, agents/ and
    workflows/. The same files are the same build."""
    if settings.build_id:
        return settings.build_id
    engine = Path(interlock.__file__).parent
    folders = {"engine": engine, "agents": settings.root / "agents", "workflows": settings.root / "workflows"}
    files = {
        f"{name}/{file.relative_to(folder)}": digest_bytes(file.read_bytes())
        for name, folder in folders.items()
        for file in folder.rglob("*.py")
    }
    return digest_of(files).removeprefix("sha256:")[:_SHOWN]


def deployment(settings: Settings) -> WorkerDeploymentConfig | None:
    """How a graph worker says which build it is; None where builds are not told apart."""
    if not settings.worker_versioning:
        return None
    version = WorkerDeploymentVersion(deployment_name=settings.name, build_id=build_id(settings))
    return WorkerDeploymentConfig(
        version=version, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.PINNED
    )


async def builds(client: Client, settings: Settings) -> list[Build]:
    """Every build that the server knows, newest first.

    Raises:
        Unreachable: Temporal does not answer.
    """
    info = await _described(client, settings)
    if info is None:
        return []
    found = sorted(info.version_summaries, key=lambda one: one.create_time.ToNanoseconds(), reverse=True)
    return [Build(one.deployment_version.build_id, _status(one.status)) for one in found]


async def make_current(client: Client, settings: Settings, name: str) -> None:
    """Have new runs, and runs that go on in a new execution, go to this build. A worker that comes up asks for work
    of one kind after the other: it is waited for until it asks for all kinds.

    Raises:
        Conflict: no worker of this build has come up, or none that serves all that the current build does.
        Unreachable: Temporal does not answer.
    """
    known = [build.name for build in await builds(client, settings)]
    if name not in known:
        raise Conflict(
            f"build {name!r} is not known; known are: {', '.join(known) or 'none'}",
            next_step="start a graph worker of it with INTERLOCK_WORKER_VERSIONING=true",
        )
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=settings.name, build_id=name, identity=client.identity
    )
    try:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(_not_all_served),
            stop=stop_after_delay(COMES_UP_S),
            wait=wait_fixed(0.25),
            reraise=True,
        ):
            with attempt:
                await client.workflow_service.set_worker_deployment_current_version(request)
    except RPCError as error:
        if _not_all_served(error):
            raise Conflict(
                f"no worker of build {name!r} serves all that the current build does: {error.message}",
                next_step="start a graph worker of it, and try again",
            ) from error
        raise Unreachable(f"Temporal did not make build {name!r} the current one: {error.message}") from error


def _not_all_served(error: BaseException) -> bool:
    return isinstance(error, RPCError) and error.status == RPCStatusCode.FAILED_PRECONDITION


async def _described(client: Client, settings: Settings) -> WorkerDeploymentInfo | None:
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=settings.name)
    try:
        return (await client.workflow_service.describe_worker_deployment(request)).worker_deployment_info
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise Unreachable(f"Temporal does not describe the builds: {error.message}") from error


def _status(status: int) -> str:
    return WorkerDeploymentVersionStatus.Name(status).removeprefix(_PREFIX).lower()  # type: ignore[arg-type]
