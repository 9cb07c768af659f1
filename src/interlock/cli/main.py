"""The command line. Exit codes: 0 ok, 1 a gate failed or a refusal, 2 usage, 3 a part is unreachable."""

from __future__ import annotations

import gc
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command_name
from typer.models import CommandInfo

import interlock
from interlock.cli import (
    account_deputies,
    account_tokens,
    accounts,
    agent,
    approval,
    approval_amend,
    approval_edit,
    approval_grant,
    approval_stats,
    builds,
    codec,
    dev,
    doctor,
    flight_check,
    keys,
    mcp,
    notifications,
    policy,
    project,
    replay,
    run,
    run_content,
    run_control,
    run_erase,
    run_live,
    run_signal,
    run_start,
    run_wait,
    run_workspace,
    sandbox,
    sandbox_pool,
    say,
    schedule,
    schedule_control,
    schedule_show,
    serve,
    tool,
    tool_call,
    tool_discover,
    worker,
)
from interlock.cli.options import JSON_WANTED
from interlock.errors import InterlockError

# What a process loads as it starts stays: looking for garbage in it over and over is a sixth of a command's time.
gc.set_threshold(50_000, 20, 20)


class Root(TyperGroup):
    """Turns the engine's errors into messages and exit codes; a traceback is for `--debug`."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except InterlockError as error:
            if ctx.params.get("debug"):
                raise
            _tell(error, as_json=bool(ctx.meta.get(JSON_WANTED)))
            raise typer.Exit(error.exit_code) from error


def _tell(error: InterlockError, *, as_json: bool) -> None:
    if as_json:
        kind = type(error).__name__
        say.document({"error": {"kind": kind, "reason": error.reason, "next_step": error.next_step}})
    say.note(f"error: {error.reason}", style="bold red")
    if error.next_step:
        say.note(f"next: {error.next_step}", style="")


_WIDTH: Any = {} if sys.stdout.isatty() else {"terminal_width": 160, "max_content_width": 160}

app = typer.Typer(
    cls=Root,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,
    # Off a terminal nothing is wrapped or cut to a guessed width.
    context_settings={"help_option_names": ["-h", "--help"], **_WIDTH},
)


def _version(value: bool) -> None:
    if value:
        say.line(f"interlock {interlock.__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback where something fails.")] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
) -> None:
    """A runtime in which AI agents do real work and cannot do what nobody allowed."""


for part in (project, dev, worker, serve, doctor, replay, flight_check, mcp):
    part.add_to(app)
app.add_typer(run.app, name="run")
for part in (run_start, run_wait, run_live, run_control, run_erase, run_signal, run_content, run_workspace):
    part.add_to(run.app)
app.add_typer(builds.app, name="builds")
app.add_typer(schedule.app, name="schedule")
schedule_show.add_to(schedule.app)
schedule_control.add_to(schedule.app)
app.add_typer(approval.app, name="approval")
approval_edit.add_to(approval.app)
approval_stats.add_to(approval.app)
approval_amend.add_to(approval.app)
approval_grant.add_to(approval.app)
app.add_typer(policy.app, name="policy")
app.add_typer(agent.app, name="agent")
app.add_typer(tool.app, name="tool")
tool_call.add_to(tool.app)
tool_discover.add_to(tool.app)
app.add_typer(sandbox.app, name="sandbox")
sandbox_pool.add_to(sandbox.app)
app.add_typer(keys.app, name="keys")
app.add_typer(codec.app, name="codec")
app.add_typer(notifications.app, name="notifications")
app.add_typer(accounts.app, name="accounts")
accounts.app.add_typer(account_tokens.app, name="token")
accounts.app.add_typer(account_deputies.app, name="deputy")


def _keep_only(part: typer.Typer, words: list[str]) -> None:
    """Forget the commands beside the one that `words` begin with: typer reads the signature of each that it knows,
    which for all of them is a tenth of a second."""
    if not words:
        return
    groups = [group for group in part.registered_groups if group.name == words[0]]
    commands = [one for one in part.registered_commands if _name(one) == words[0]]
    if groups or commands:
        part.registered_groups, part.registered_commands = groups, commands
    for group in groups:
        if group.typer_instance is not None:
            _keep_only(group.typer_instance, words[1:])


def _name(command: CommandInfo) -> str:
    return command.name or get_command_name(command.callback.__name__ if command.callback else "")


def main() -> None:
    """Entry point of `interlock`."""
    _keep_only(app, sys.argv[1:])
    code = 1
    try:
        app()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    if "temporalio.bridge.temporal_sdk_bridge" not in sys.modules:
        sys.exit(code)
    # Temporal's native threads may still run, and the interpreter's own end then aborts the process now and
    # then: "PyGILState_Release: thread state must be current". Everything of ours is closed by here.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
