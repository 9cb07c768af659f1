"""The project: its folders mounted as one namespace, its names resolved, its parts pinned in a manifest."""

from interlock.project.check import Checks, KnownNames, PlacedMessage, ReferenceCheck, check
from interlock.project.description import AgentDescription, ProjectDescription, WorkflowDescription, describe
from interlock.project.load import load_agents, load_workflows
from interlock.project.logs import prepare_logs
from interlock.project.manifest import CompileProblem, Compiler, compile_manifest
from interlock.project.mount import NAMESPACE, mount, unmount
from interlock.project.problem import Problem
from interlock.project.sample import prepare_sample
from interlock.project.scaffold import scaffold
from interlock.project.snapshot import Snapshot, take_snapshot

__all__ = [
    "NAMESPACE",
    "AgentDescription",
    "Checks",
    "CompileProblem",
    "Compiler",
    "KnownNames",
    "PlacedMessage",
    "Problem",
    "ProjectDescription",
    "ReferenceCheck",
    "Snapshot",
    "WorkflowDescription",
    "check",
    "compile_manifest",
    "describe",
    "load_agents",
    "load_workflows",
    "mount",
    "prepare_logs",
    "prepare_sample",
    "scaffold",
    "take_snapshot",
    "unmount",
]
