"""The sandbox: one tool call in one container, and nothing out of it but the result."""

from interlock.sandbox.call import UNOBSERVED, Limit, Observer, SandboxCall, SandboxResult
from interlock.sandbox.checks import Check
from interlock.sandbox.cleaning import clean
from interlock.sandbox.compiler import ToolProblem, compile_tools
from interlock.sandbox.docker_driver import DockerDriver
from interlock.sandbox.driver import Driver, make_driver, run_once
from interlock.sandbox.examine import doctor, self_test
from interlock.sandbox.fleet import Ahead
from interlock.sandbox.images import build_command, build_image, image_id
from interlock.sandbox.in_process import InProcessDriver
from interlock.sandbox.report import PoolReport, SandboxReport
from interlock.sandbox.runtimes import available_runtimes
from interlock.sandbox.sbom import kept_sbom, sbom_of

__all__ = [
    "UNOBSERVED",
    "Ahead",
    "Check",
    "DockerDriver",
    "Driver",
    "InProcessDriver",
    "Limit",
    "Observer",
    "PoolReport",
    "SandboxCall",
    "SandboxReport",
    "SandboxResult",
    "ToolProblem",
    "available_runtimes",
    "build_command",
    "build_image",
    "clean",
    "compile_tools",
    "doctor",
    "image_id",
    "kept_sbom",
    "make_driver",
    "run_once",
    "sbom_of",
    "self_test",
]
