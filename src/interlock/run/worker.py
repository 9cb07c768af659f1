"""The two worker roles. Graph workers run team code and hold no key; executors run engine code and act."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from temporalio.client import Client
from temporalio.langgraph import LangGraphPlugin
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from interlock import __version__
from interlock.audit import Ledger, open_blobs
from interlock.definitions import AgentDefinition
from interlock.graph import ACTIVITIES, Services, configure, register
from interlock.graph.writing import EVERY_S
from interlock.policy import PolicySource
from interlock.policy.reports import reporter, reports_folder
from interlock.policy.signature import signed_only
from interlock.project import load_agents, load_workflows, mount
from interlock.run.agent_run import AgentRun
from interlock.run.authority import trust
from interlock.run.build import build_id, deployment
from interlock.run.deciding import Deciding
from interlock.run.erase_workflow import EraseRun
from interlock.run.erasing import Erasing
from interlock.run.executor import BEAT_S, Executor
from interlock.run.proof import recorded_sources
from interlock.run.scheduled import Scheduled
from interlock.run.shadow import Shadow
from interlock.sandbox import Driver, make_driver
from interlock.settings import Settings
from interlock.signing import load_signer, load_verifier
from interlock.types.blobs import Blobs

PASSTHROUGH: Final = (
    "interlock",
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "orjson",
    "jwt",
    "cryptography",
    "jsonschema",
    "langchain_core",
    "langgraph",
    "langsmith",
    "xxhash",
    "ormsgpack",
    "httpx",
    "requests",
    "yaml",
    "casbin",
    "ruamel",
    "sqlalchemy",
    "docker",
    "attrs",
    "attr",
    "referencing",
    "rpds",
)
"""Modules that workflow code shares with the process instead of importing anew for each run. Engine code keeps
itself deterministic; a team's workflows/ are still imported in Temporal's sandbox."""


def policy_source(settings: Settings, blobs: Blobs, *, ledger: Ledger | None = None) -> PolicySource:
    """The policy in force, watched; every bundle that ever is gets kept by its digest.

    Raises:
        PolicyError: the files are wrong, or not signed as the settings demand.
        Unreachable: a signed policy is demanded, and its public key is not there.
    """

    def keep(bundle: Any) -> None:
        blobs.put(bundle.to_bytes())
        if ledger is not None:
            ledger.remember_bundle(bundle.digest)

    source = PolicySource(
        settings.root / "permissions",
        [keep],
        signed=signed_only(settings, ledger),
        on_state=[reporter(reports_folder(settings), "graph" if ledger is None else "executor")],
    )
    source.watch()
    return source


@dataclass(frozen=True)
class Content:
    """What a graph worker loads of a project: its agents, its graphs, its workflows."""

    agents: dict[str, AgentDefinition]
    workflows: list[type]

    @classmethod
    def load(cls, root: Path) -> Content:
        """Mount and import agents/ and workflows/.

        Raises:
            ProjectError: a file does not load.
        """
        mount(root)
        return cls(load_agents(root), [AgentRun, Scheduled, *load_workflows(root).values()])

    def plugin(self) -> LangGraphPlugin:
        """The official plugin with every agent's graph. Made once a process: it rewrites the graphs."""
        return LangGraphPlugin(graphs=register(self.agents))


def workflow_runner() -> SandboxedWorkflowRunner:
    """Temporal's workflow sandbox, engine modules passed through."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH))


def graph_worker(client: Client, settings: Settings, content: Content | None = None) -> Worker:
    """A worker for workflows, model calls and first decisions. Reads public keys, policy and blobs, no more."""
    blobs = open_blobs(settings)
    trust(load_verifier(settings.keys_folder, "api"))
    deciding = Deciding(policy_source(settings, blobs), blobs, settings.events_an_execution)
    configure(Services(blobs=blobs, settings=settings, decide=deciding.at_once))
    content, versioned = content or Content.load(settings.root), deployment(settings)
    return Worker(
        client,
        task_queue=settings.graph_queue,
        workflows=content.workflows,
        activities=[*deciding.activities(), *ACTIVITIES],
        plugins=[content.plugin()],
        workflow_runner=workflow_runner(),
        deployment_config=versioned,
        # Five events of each step repeat it: Temporal's own has 32 digits.
        build_id=None if versioned else build_id(settings),
        activity_executor=ThreadPoolExecutor(64),
        max_concurrent_activities=64,
        # What a node writes leaves with its activity's heartbeats, which would otherwise leave twice a minute.
        max_heartbeat_throttle_interval=timedelta(seconds=EVERY_S),
    )


def make_executor(settings: Settings, driver: Driver | None = None) -> Executor:
    """The execution edge of this process, with the executor's and the ledger's key."""
    keys = settings.keys_folder
    blobs = open_blobs(settings)
    ledger = Ledger(settings.effective_ledger_url)
    return Executor(
        name=f"{socket.gethostname()}-{os.getpid()}",
        ledger=ledger,
        blobs=blobs,
        policy=policy_source(settings, blobs, ledger=ledger),
        driver=driver or make_driver(settings),
        signer=load_signer(keys, "executor"),
        sealer=load_signer(keys, "ledger"),
        recorded=recorded_sources(ledger, blobs, keys),
        shadow=Shadow(settings, ledger, blobs),
    )


def executor_worker(client: Client, settings: Settings, executor: Executor) -> Worker:
    """A worker that acts: engine code only, the only role with keys and the Docker socket."""
    activities: Sequence[Any] = [*executor.activities(), *Erasing(executor).activities()]
    return Worker(
        client,
        task_queue=settings.executor_queue,
        build_id=__version__,
        workflows=[EraseRun],
        activities=activities,
        max_concurrent_activities=32,
        # Otherwise beats are held back until shortly before the timeout: a busy machine would then lose calls
        # that run, and a cancelled call would run on for seconds.
        max_heartbeat_throttle_interval=timedelta(seconds=BEAT_S),
    )
