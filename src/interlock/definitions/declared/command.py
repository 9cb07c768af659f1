"""A command: a program of the sandbox image, with arguments by a template; and a shell of the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, JsonValue, StringConstraints

from interlock.definitions.declared.options import Mistake, Options, check_options, check_template, fields_of
from interlock.definitions.declared.parameters import Parameters, check_parameters
from interlock.definitions.placed import did_you_mean
from interlock.definitions.tool import KEY_PARAMETER
from interlock.definitions.yaml_file import Place
from interlock.types.closed import Closed
from interlock.types.names import ToolName

Text = Annotated[str, StringConstraints(max_length=65_536)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
ExitCode = Annotated[int, Field(ge=0, le=255)]

SHELL_ACTION: Final = "shell"
"""The action of whatever runs a shell: a rule must name it to let one run."""

EXIT_RESULT: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "exit_code": {"type": "integer"},
        "stdout": {"type": "string"},
        "stderr": {"type": "string"},
    },
    "additionalProperties": False,
    "required": ["exit_code", "stdout", "stderr"],
}


class Group(Closed):
    """Elements that are left out unless an argument is given (and, where it is a boolean, true)."""

    when: str
    """Name of the argument."""
    argv: tuple[Text, ...] = Field(min_length=1)


Argv = tuple[Text | tuple[Text, ...] | Group, ...]


class CommandReconcile(Closed):
    """A program that finds out whether a call happened whose result was lost. Its exit code says so."""

    argv: Argv = Field(min_length=1)
    """As that of the tool, over the same arguments."""
    done: tuple[ExitCode, ...] = Field(default=(0,), min_length=1)
    """Exit codes that say: it happened. What the program prints is the call's result, read as the tool's own."""
    not_done: tuple[ExitCode, ...] = Field(min_length=1)
    """Exit codes that say: it did not happen, so it may run. With any other code a person decides."""


class CommandTool(Options):
    """A program of the image, started once a call, without a shell."""

    kind: Literal["command"]
    name: ToolName | Literal[""] = ""
    """The tool's name; the file's, unless it says another."""
    argv: Argv = ()
    """The program and its arguments. `{name}` stands for an argument, `{idempotency_key}` for the call's key; a
    list is left out where an optional argument in it is not given; an element that is a list argument alone becomes
    as many elements as it has."""
    shell: bool = False
    """Whether `script` is run by `sh`. Its action must be `shell` then."""
    script: Text = ""
    """A shell script; it finds the arguments in variables of their names, and no value is pasted into it."""
    stdin: Text = ""
    """Template of what the program reads; empty: nothing."""
    environment: dict[VariableName, Text] = Field(default_factory=dict)
    """Variables that it gets besides the sandbox's few. Literal text: no secret belongs here."""
    parameters: Parameters = Field(default_factory=dict)
    result: Literal["exit", "json", "lines", "text"] = "exit"
    """exit: exit code, stdout, stderr. The others: its stdout, read as that."""
    result_schema: dict[str, JsonValue] = Field(default_factory=dict)
    """JSON Schema that a `json` result must fit."""
    ok_exit_codes: tuple[ExitCode, ...] = Field(default=(), max_length=256)
    """Exit codes that are no failure; left out: every code for `exit`, 0 for the others."""
    reconcile: CommandReconcile | None = None

    def mistakes(self) -> Iterator[Mistake]:
        """What is wrong beyond the form."""
        yield from _described(self)
        yield from check_parameters(self.parameters)
        yield from check_options(self, self.parameters)
        if KEY_PARAMETER in self.parameters:
            said = f"parameters.{KEY_PARAMETER}: is the engine's: {{{KEY_PARAMETER}}} stands for it undeclared"
            yield ("parameters", KEY_PARAMETER), said
        yield from check_template(("stdin",), self.stdin, self._known)
        if self.result_schema and self.result != "json":
            yield ("result_schema",), "result_schema: is only for result: json"
        yield from self._shell_mistakes() if self.shell or self.script else self._argv_mistakes()
        yield from self._reconcile_mistakes()

    @property
    def _known(self) -> set[str]:
        """What templates of the program may name."""
        return {*self.parameters, KEY_PARAMETER}

    def _reconcile_mistakes(self) -> Iterator[Mistake]:
        if self.reconcile is None:
            return
        if self.idempotent:
            yield (
                ("reconcile",),
                "reconcile: is never asked of an idempotent tool, which simply runs again: drop one",
            )
        if both := set(self.reconcile.done) & set(self.reconcile.not_done):
            yield ("reconcile", "not_done"), f"reconcile.not_done: {min(both)} says done too"
        yield from self._template_mistakes(("reconcile", "argv"), self.reconcile.argv)

    def _shell_mistakes(self) -> Iterator[Mistake]:
        if not self.shell:
            yield ("script",), "script: a shell string needs `shell: true`; or give `argv`, which needs no shell"
        if not self.script.strip():
            yield ("shell",), "shell: needs a `script`; without one leave `shell` out and give `argv`"
        if self.argv:
            yield ("argv",), "argv: a tool has either `argv` or `script`, not both"
        if self.action != SHELL_ACTION:
            yield (
                ("action",),
                f"action: a tool with `shell: true` has action {SHELL_ACTION!r}, so that rules see it",
            )

    def _argv_mistakes(self) -> Iterator[Mistake]:
        if not self.argv:
            yield (), "argv: is missing: the program and its arguments, as a list"
            return
        if self.action == SHELL_ACTION:
            yield ("action",), f"action: {SHELL_ACTION!r} is for what runs a shell; name what this program does"
        yield from self._template_mistakes(("argv",), self.argv)

    def _template_mistakes(self, place: Place, argv: Argv) -> Iterator[Mistake]:
        first = argv[0]
        if not isinstance(first, str) or not first or "{" in first:
            yield (*place, 0), "argv: the first element is the program itself, without placeholders"
        for index, element in enumerate(argv):
            yield from self._element_mistakes((*place, index), element)

    def _element_mistakes(self, place: Place, element: str | tuple[str, ...] | Group) -> Iterator[Mistake]:
        if isinstance(element, Group) and element.when not in self.parameters:
            said = f"argv: when: {element.when!r} is no parameter{did_you_mean(element.when, self.parameters)}"
            yield place, said
        texts = (element,) if isinstance(element, str) else element.argv if isinstance(element, Group) else element
        guarded = {element.when} if isinstance(element, Group) else set()
        for text in texts:
            yield from ((place, said) for _, said in check_template((*place, "argv"), text, self._known))
        if isinstance(element, str):
            guarded |= {name for name, one in self.parameters.items() if one.required or one.default is not None}
            for name in sorted(_names(texts) & set(self.parameters) - guarded):
                said = f"argv: {{{name}}} is optional: put the elements that need it into a list of their own"
                yield place, said


def _names(texts: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for text in texts:
        try:
            found |= set(fields_of(text))
        except ValueError:
            continue
    return found


class ShellTool(Options):
    """A shell of the run: working folder, exported variables and functions go on from call to call."""

    kind: Literal["shell"]
    name: ToolName | Literal[""] = ""
    """The tool's name; the file's, unless it says another."""
    shell: Literal["bash", "sh"] = "bash"
    """Which program of the image. `sh` keeps no functions."""

    def mistakes(self) -> Iterator[Mistake]:
        """What is wrong beyond the form."""
        yield from _described(self)
        yield from check_options(self, ("command",))
        if self.action not in ("", SHELL_ACTION):
            yield ("action",), f"action: a shell has action {SHELL_ACTION!r}, so that rules see it"
        if "workspace" in self.model_fields_set and self.workspace != "write":
            yield ("workspace",), "workspace: a shell keeps its state among the run's files, so it must be `write`"


def _described(tool: CommandTool | ShellTool) -> Iterator[Mistake]:
    if not tool.description.strip():
        yield (), "description: is missing; it is what the model reads of the tool"
    if isinstance(tool, CommandTool) and not tool.action:
        yield (), "action: is missing: the verb that rules test, such as read, write or execute"
