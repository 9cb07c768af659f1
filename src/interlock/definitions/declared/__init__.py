"""Tools that are declared in tools/NAME.yaml instead of written in Python: their definitions, read and checked."""

from interlock.definitions.declared.command import (
    EXIT_RESULT,
    SHELL_ACTION,
    CommandReconcile,
    CommandTool,
    Group,
    ShellTool,
)
from interlock.definitions.declared.http import HttpReconcile, HttpTool, Operation
from interlock.definitions.declared.mcp import Lock, LockedTool, McpServer, pin, segment
from interlock.definitions.declared.options import Mistake, Options, check_options, schema_of
from interlock.definitions.declared.output import OutputTool
from interlock.definitions.declared.parameters import DECIMAL_PATTERN, Parameter, object_schema
from interlock.definitions.declared.reading import KINDS, Definition, Read, read_definition

__all__ = [
    "DECIMAL_PATTERN",
    "EXIT_RESULT",
    "KINDS",
    "SHELL_ACTION",
    "CommandReconcile",
    "CommandTool",
    "Definition",
    "Group",
    "HttpReconcile",
    "HttpTool",
    "Lock",
    "LockedTool",
    "McpServer",
    "Mistake",
    "Operation",
    "Options",
    "OutputTool",
    "Parameter",
    "Read",
    "ShellTool",
    "check_options",
    "object_schema",
    "pin",
    "read_definition",
    "schema_of",
    "segment",
]
