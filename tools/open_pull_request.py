"""Propose the changes of the workspace's source tree: a branch in the real repository, and the patch."""

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, TypedDict

from interlock import artifact, tool, workspace_path

PATCH = "change.patch"
BRANCH = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")
AUTHOR = "Interlock agent"
EMAIL = "agent@interlock.invalid"


class PullRequest(TypedDict):
    branch: str
    base: str
    commit: str
    patch: str
    files: list[str]


@tool(
    action="publish",
    resource="repository:origin",
    workspace="write",
    flow="sink",
    destination=("branch",),
    idempotent=True,
    preview="workspace_diff",
    sentence="Open a pull request from branch {branch} titled {title}",
)
def open_pull_request(
    title: Annotated[str, "One line: what the change does."],
    body: Annotated[str, "What was wrong, what the change does, how it was tested."],
    branch: Annotated[str, "Name of the new branch, like 'fix/parse-fraction'."],
) -> PullRequest:
    """Commit the state of source/ on a new branch of the repository, and keep the patch as change.patch.

    The default branch is not touched. Asking again with the same branch and the same files changes nothing and
    gives the same answer; for other files choose another branch name.
    """
    if not title.strip() or "\n" in title or len(title) > 120:
        raise ValueError("title must be one line of 1 to 120 characters")
    if not BRANCH.fullmatch(branch) or len(branch) > 80:
        raise ValueError(f"branch {branch!r} must be lower-case letters, digits and . _ - in parts joined by /")
    with tempfile.TemporaryDirectory() as scratch:
        return propose(Repository(workspace_path("origin.git"), Path(scratch)), title.strip(), body.strip(), branch)


class Repository:
    """The bare repository beside source/, used without hooks and without anybody's configuration."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        if not (folder / "HEAD").is_file() or not Path("source").is_dir():
            raise ValueError("the workspace needs a folder source/ and a bare repository origin.git")
        self.work_tree = Path("source").resolve()
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(scratch),
            "GIT_DIR": str(folder.resolve()),
            "GIT_WORK_TREE": str(self.work_tree),
            "GIT_INDEX_FILE": str(scratch / "index"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
        }
        for role in ("AUTHOR", "COMMITTER"):
            self.environment |= {f"GIT_{role}_NAME": AUTHOR, f"GIT_{role}_EMAIL": EMAIL}

    def git(self, *arguments: str, stdin: str | None = None, may_fail: bool = False) -> str:
        """Run git; its standard output, stripped; empty where it failed and may."""
        # Another user may own the files, and the repository's own configuration is not trusted with commands.
        settings = (
            "safe.directory=*",
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "core.logAllRefUpdates=false",
        )
        safe = [word for setting in settings for word in ("-c", setting)]
        done = subprocess.run(
            ["git", *safe, *arguments],
            cwd=self.work_tree,
            env=self.environment,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
        if done.returncode and not may_fail:
            raise RuntimeError(f"git {arguments[0]} failed: {done.stderr.strip()[-1000:]}")
        return "" if done.returncode else done.stdout.strip("\n")


def propose(repository: Repository, title: str, body: str, branch: str) -> PullRequest:
    git = repository.git
    base = git("symbolic-ref", "--short", "HEAD")
    if branch == base:
        raise ValueError(f"branch {branch!r} is the default branch; choose another name")
    parent = git("rev-parse", "--verify", f"refs/heads/{base}")
    git("read-tree", parent)
    git("add", "--all", "--force", ".")
    tree = git("write-tree")
    if tree == git("rev-parse", f"{parent}^{{tree}}"):
        raise ValueError("source/ is the same as the default branch: there is nothing to propose")
    commit = git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", may_fail=True)
    if commit and git("rev-parse", f"{commit}^{{tree}}") != tree:
        raise ValueError(f"branch {branch!r} exists with other content; choose another name")
    if not commit:
        # One second after the parent: the same change gives the same commit, whenever the call runs.
        when = int(git("show", "--no-patch", "--format=%ct", parent)) + 1
        repository.environment |= {f"GIT_{role}_DATE": f"{when} +0000" for role in ("AUTHOR", "COMMITTER")}
        commit = git("commit-tree", tree, "-p", parent, "-F", "-", stdin=f"{title}\n\n{body}\n")
        git("update-ref", f"refs/heads/{branch}", commit, "0" * 40)
    patch = git("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--full-index", "--binary", parent, commit)
    files = readable(git("diff", "--name-only", "-z", parent, commit)).strip("\0").split("\0")
    kept = artifact(PATCH, f"{patch}\n".encode("utf-8", "surrogateescape"))
    return PullRequest(branch=branch, base=base, commit=commit, patch=kept, files=files)


def readable(text: str) -> str:
    """File names of any bytes, as text that JSON can hold."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
