"""The shell of a run: a process for each call, and what goes on between them in one file of the workspace.

What goes on: the working folder, exported variables, functions. The file is shell code that the next call reads
in; whoever can write files of the run can write it too, and it can do nothing that the call itself could not.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

from .. import key
from ..failure import ToolError
from ..relay import ENVIRONMENT
from . import program
from .room import Room

STATE = ".interlock/shell/state"
LARGEST_STATE = 256 * 1024

_OWN = ("INTERLOCK_ARTIFACTS", key.VARIABLE, *ENVIRONMENT)
"""Variables that each call has of its own, whatever the one before had."""

_BEGIN = r"""
__interlock_new=$1 __interlock_root=$3 __interlock_own=$5
cd -- "$3"
[ -f "$2" ] && "$0" -n "$2" && . "$2"
trap __interlock_save EXIT
. "$4"
"""
_BASH = (
    r"""
__interlock_save() {
  local code=$?
  trap - EXIT
  {
    case $PWD in
      "$__interlock_root") ;;
      "$__interlock_root"/*) printf 'cd -- "$__interlock_root"/%q\n' "${PWD#"$__interlock_root"/}" ;;
      *) printf 'cd -- %q\n' "$PWD" ;;
    esac
    unset -v OLDPWD PWD SHLVL _ $__interlock_own
    export -p
    unset -f __interlock_save
    declare -f
  } > "$__interlock_new" 2>/dev/null
  exit "$code"
}
"""
    + _BEGIN
)
_SH = (
    r"""
__interlock_quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }
__interlock_save() {
  __interlock_code=$?
  trap - EXIT
  {
    case $PWD in
      "$__interlock_root") ;;
      "$__interlock_root"/*)
        printf 'cd -- "$__interlock_root"/%s\n' "$(__interlock_quoted "${PWD#"$__interlock_root"/}")" ;;
      *) printf 'cd -- %s\n' "$(__interlock_quoted "$PWD")" ;;
    esac
    unset OLDPWD PWD $__interlock_own
    export -p
  } > "$__interlock_new" 2>/dev/null
  exit "$__interlock_code"
}
"""
    + _BEGIN
)


def carry_out(definition: dict[str, Any], arguments: dict[str, Any], room: Room) -> Any:
    """Run one command of the run's shell."""
    command = arguments["command"]
    if "\0" in command:
        raise ToolError("the command holds a NUL, which no shell takes")
    root, kept = os.getcwd(), os.path.abspath(STATE)
    shell = definition["shell"]
    options = ["--noprofile", "--norc"] if shell == "bash" else []
    script = _BASH if shell == "bash" else _SH
    note = _usable(kept)
    with tempfile.TemporaryDirectory(prefix="shell-") as folder:
        # By a file, because one argument of a program has less room than a command.
        asked, new = os.path.join(folder, "command"), os.path.join(folder, "state")
        with open(asked, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(command)
        ended = program.run([shell, *options, "-c", script, shell, new, kept, root, asked, " ".join(_OWN)], room)
        note = _keep(new, kept) or note
    stderr = "\n".join(part for part in (ended.stderr.text.rstrip("\n"), note) if part)
    return {"exit_code": ended.exit_code, "stdout": ended.stdout.text, "stderr": stderr}


def _usable(kept: str) -> str:
    """Put away a state that cannot be one; says so."""
    if os.path.islink(kept) or (os.path.exists(kept) and not os.path.isfile(kept)):
        raise ToolError(f"{STATE} is no regular file; remove it")
    if os.path.isfile(kept) and os.path.getsize(kept) > LARGEST_STATE:
        os.unlink(kept)
        return f"[the shell's state was larger than {LARGEST_STATE} bytes and was dropped: this call began anew]"
    return ""


def _keep(new: str, kept: str) -> str:
    """Take over the state that the call left; what could not be kept, and why."""
    if not os.path.isfile(new) or os.path.islink(new):
        return "[the shell did not end by itself, so its folder, variables and functions stay as before this call]"
    try:
        with open(new, "rb") as file:
            state = file.read(LARGEST_STATE + 1)
        if len(state) > LARGEST_STATE:
            return f"[its variables and functions have more than {LARGEST_STATE} bytes, so they stay as before]"
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        with open(kept, "wb") as target:
            target.write(state)
    except OSError as error:
        return f"[the shell's state could not be kept: {error.strerror}]"
    return ""
