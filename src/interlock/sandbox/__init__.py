"""The sandbox: one tool call in one container, and nothing out of it but the result."""

from interlock.sandbox.call import Limit, SandboxCall, SandboxResult
from interlock.sandbox.checks import Check
from interlock.sandbox.compiler import ToolProblem, compile_tools
from interlock.sandbox.driver import Driver

__all__ = ["Check", "Driver", "Limit", "SandboxCall", "SandboxResult", "ToolProblem", "compile_tools"]
