"""The project: its folders mounted as one namespace, its names resolved, its parts pinned in a manifest."""

from interlock.project.check import Checks, KnownNames, PlacedMessage, ReferenceCheck, check
from interlock.project.declared import lock_path, read_lock
from interlock.project.description import AgentDescription, ProjectDescription, WorkflowDescription, describe
from interlock.project.load import load_agents, load_workflows
from interlock.project.logs import prepare_logs
from interlock.project.manifest import CompiledTools, CompileProblem, Compiler, compile_manifest, compile_tools
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
    "CompiledTools",
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
    "compile_tools",
    "describe",
    "load_agents",
    "load_workflows",
    "lock_path",
    "mount",
    "prepare_logs",
    "prepare_sample",
    "read_lock",
    "scaffold",
    "take_snapshot",
    "unmount",
]
