"""What a project's agents and workflows say of themselves, found in a process that holds no secret."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from pydantic import Field, JsonValue, ValidationError

import interlock
from interlock.digest import digest_of
from interlock.errors import Conflict, ProjectError
from interlock.project.mount import CODE_FOLDERS
from interlock.project.problem import Problem
from interlock.project.snapshot import Snapshot, take_snapshot
from interlock.types.closed import Closed
from interlock.types.names import Digest, Name, OptionalDigest

TIMEOUT_S: Final = 60
"""Seconds that importing all agents and workflows may take."""
LARGEST: Final = 8 * 1024 * 1024
KEPT_ENVIRONMENT: Final = ("PATH", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV")
"""All that team code sees of the environment: no key, no token, no address."""
_MODULE: Final = "interlock.project.describe_child"


class AgentDescription(Closed):
    """An agent's definition, as data."""

    name: str
    prompt: str
    """Text, or `NAME.md`."""
    tools: tuple[str, ...]
    model: str
    max_steps: int
    max_tokens: int
    custom: bool
    """Whether it brings its own StateGraph."""
    hand_off: tuple[str, ...] = ()
    """The agents that it may hand work on to."""
    context: JsonValue = None
    """What the nodes of its graph read as `runtime.context`."""
    mermaid: str = ""
    """Its graph as a Mermaid diagram; empty where nothing drew it."""


class WorkflowDescription(Closed):
    """A workflow class, as data."""

    name: str
    agents: tuple[str, ...]
    description: str = ""
    input_schema: dict[str, JsonValue] = Field(default_factory=dict)
    signals: dict[Name, dict[str, JsonValue]] = Field(default_factory=dict)


class ProjectDescription(Closed):
    """What importing agents/ and workflows/ showed. It says nothing of digests: those come from the files."""

    agents: dict[Name, AgentDescription] = Field(default_factory=dict)
    workflows: dict[Name, WorkflowDescription] = Field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    content: OptionalDigest = ""
    """Digest of the files of agents/ and workflows/ that were imported."""


def describe(root: Path, *, cache: Path | None = None, graph_check: str = "") -> ProjectDescription:
    """Import agents/ and workflows/ in a child process with a bare environment, and say what they define.

    Args:
        root: the project's folder.
        cache: folder that keeps descriptions without problems by digest of the files; made if absent.
        graph_check: `module:function`, called in the child with each AgentDefinition; it raises where the agent's
            graph does not run and returns the graph's Mermaid text, or an empty string.

    Raises:
        ProjectError: the child died or hung; the message names the file that it was importing.
        Conflict: the files changed meanwhile.
    """
    before = take_snapshot(root)
    content = before.digest_of_folders(CODE_FOLDERS)
    kept = _kept(before.root, content, cache, graph_check)
    if kept is not None and kept.is_file():
        try:
            return _parse(kept.read_bytes(), before)
        except (ProjectError, OSError):
            kept.unlink(missing_ok=True)
    found = _parse(_run(before.root, graph_check), before).model_copy(update={"content": content})
    if take_snapshot(root).digest_of_folders(CODE_FOLDERS) != content:
        raise Conflict("the project's files changed while they were read", next_step="try again")
    if kept is not None and not found.problems:
        _keep(kept, found)
    return found


def _kept(root: Path, content: Digest, cache: Path | None, graph_check: str) -> Path | None:
    """Where the description of these very files is kept, by this engine and this Python."""
    if cache is None:
        return None
    engine = digest_of(
        [[str(p), str(p.stat().st_mtime_ns)] for p in sorted(Path(interlock.__file__).parent.rglob("*.py"))]
    )
    key = digest_of([str(root), content, engine, sys.version, graph_check])
    return cache / f"description-{key.removeprefix('sha256:')[:32]}.json"


def _keep(path: Path, found: ProjectDescription) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in sorted(path.parent.glob("description-*.json"), key=lambda file: file.stat().st_mtime)[:-15]:
        old.unlink(missing_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".new", delete=False) as file:
        file.write(found.model_dump_json())
    os.replace(file.name, path)


def _run(root: Path, graph_check: str) -> bytes:
    """The child's answer. It gets a session of its own, so that all it started can be killed with it."""
    with tempfile.TemporaryDirectory(prefix="interlock-describe-") as home, tempfile.TemporaryFile() as errors:
        environment = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
        child = subprocess.Popen(
            [sys.executable, "-I", "-B", "-m", _MODULE, str(root), graph_check],
            cwd=home,
            env=environment | {"HOME": home, "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        try:
            answer, _ = child.communicate(timeout=TIMEOUT_S)
            ended = f"the process ended with exit code {child.returncode}"
        except subprocess.TimeoutExpired:
            answer, ended = b"", f"it took longer than {TIMEOUT_S} seconds"
        finally:
            _kill(child)
        if child.returncode != 0 or not answer:
            errors.seek(0)
            raise _died(ended, errors.read()[-4000:].decode("utf-8", errors="replace"))
    return answer


def _kill(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _died(ended: str, said: str) -> ProjectError:
    files = [line.removeprefix(ANNOUNCE) for line in said.splitlines() if line.startswith(ANNOUNCE)]
    other = [line for line in said.splitlines() if not line.startswith(ANNOUNCE)]
    file = files[-1].strip() if files else ""
    problem = Problem(file=file or "agents", line=1, message=f"importing it did not end well: {ended}")
    return ProjectError(
        "agents/ and workflows/ cannot be described",
        problems=(str(problem), *other[-5:]),
        next_step="mend the file",
    )


ANNOUNCE: Final = "interlock: importing "
"""Prefix of the line that the child writes to stderr before each import."""


def _parse(answer: bytes, snapshot: Snapshot) -> ProjectDescription:
    """The child's answer, which team code could have written: read as hostile."""
    next_step = "an agent or workflow file wrote to the engine's own channel; remove what does"
    if len(answer) > LARGEST:
        raise ProjectError(f"the description of the project is larger than {LARGEST} bytes", next_step=next_step)
    try:
        found = ProjectDescription.model_validate_json(answer)
    except ValidationError as error:
        reason = f"the description of the project does not fit: {error.errors()[0]['msg']}"
        raise ProjectError(reason, next_step=next_step) from None
    for folder, described in (("agents", found.agents), ("workflows", found.workflows)):
        files = snapshot.modules(folder)
        for name, value in described.items():
            if name not in files or value.name != name:
                raise ProjectError(f"{folder}/{name}.py was described and does not exist", next_step=next_step)
    return found
