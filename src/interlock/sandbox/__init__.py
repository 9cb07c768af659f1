"""The sandbox: one tool call in one container, and nothing out of it but the result.

Each name is loaded when it is asked for: whoever compiles tools or reads a result needs no proxy and no pool.
"""

from typing import TYPE_CHECKING

from interlock.later import later

if TYPE_CHECKING:
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
else:
    __getattr__ = later(
        __name__,
        {
            "Ahead": "fleet",
            "Check": "checks",
            "DockerDriver": "docker_driver",
            "Driver": "driver",
            "InProcessDriver": "in_process",
            "Limit": "call",
            "Observer": "call",
            "PoolReport": "report",
            "SandboxCall": "call",
            "SandboxReport": "report",
            "SandboxResult": "call",
            "ToolProblem": "compiler",
            "UNOBSERVED": "call",
            "available_runtimes": "runtimes",
            "build_command": "images",
            "build_image": "images",
            "clean": "cleaning",
            "compile_tools": "compiler",
            "doctor": "examine",
            "image_id": "images",
            "kept_sbom": "sbom",
            "make_driver": "driver",
            "run_once": "driver",
            "sbom_of": "sbom",
            "self_test": "examine",
        },
    )

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
