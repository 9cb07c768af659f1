"""The graph worker: runs team code, which means workflows, models and first decisions, and holds no key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from temporalio.client import Client
from temporalio.langgraph import LangGraphPlugin
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from interlock.audit import open_blobs
from interlock.definitions import AgentDefinition
from interlock.graph import ACTIVITIES, Services, configure, register
from interlock.graph.writing import EVERY_S
from interlock.project import load_agents, load_workflows, mount
from interlock.run.agent_run import AgentRun
from interlock.run.authority import trust
from interlock.run.build import build_id, deployment
from interlock.run.deciding import Deciding
from interlock.run.scheduled import Scheduled
from interlock.run.watched_policy import policy_source
from interlock.settings import Settings
from interlock.signing import load_verifier

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
    "webauthn",
    "cbor2",
    "asn1crypto",
    "OpenSSL",
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
