"""The sample's bug is real: the released source has it, and the playbook's own edit mends it."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from interlock.errors import Conflict, IntegrityError, InvalidInput, Unreachable
from interlock.project import prepare_logs, prepare_sample

CHECKOUT = Path(__file__).resolve().parents[2]
SAMPLE = CHECKOUT / "tests" / "project" / "fix_issue"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def workspace(tmp_path: Path, cache: Path) -> Path:
    prepare_sample(SAMPLE, tmp_path / "workspace", cache)
    return tmp_path / "workspace"


def run_pytest(workspace: Path, *targets: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *targets]
    return subprocess.run(command, cwd=workspace / "source", capture_output=True, text=True, check=False)


def playbook_calls() -> list[tuple[str, dict[str, str]]]:
    turns = YAML(typ="safe").load(CHECKOUT / "agents" / "fixer.playbook.yaml")
    return [(call["tool"], call["arguments"]) for turn in turns for call in turn.get("calls", ())]


def test_released_source_has_the_bug(workspace: Path) -> None:
    assert "6 failed" in run_pytest(workspace).stdout
    others = run_pytest(workspace, "--deselect", "tests/test_fraction_of_second.py")
    assert others.returncode == 0, others.stdout


def test_playbook_mends_the_bug(workspace: Path) -> None:
    """Plays the calls on the tools as a worker would, but in this process."""
    script = (
        "import json, pathlib, sys\nfrom importlib import import_module\nfrom interlock.project import mount\n"
        f"mount(pathlib.Path({str(CHECKOUT)!r}), tools=True)\n"
        "out = []\n"
        "for tool, arguments in json.load(sys.stdin):\n"
        "    out.append(getattr(import_module(f'interlock_project.tools.{tool}'), tool)(**arguments))\n"
        "print(json.dumps(out))\n"
    )
    calls = playbook_calls()
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=workspace,
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = list(zip((tool for tool, _ in calls), json.loads(done.stdout), strict=True))
    assert [result["passed"] for tool, result in results if tool == "run_tests"] == [False, True]
    assert len(results[0][1]["matches"]) == 1
    proposed = results[-1][1]
    assert proposed["files"] == ["parse.py"]
    patch = (workspace / "artifacts" / "change.patch").read_text().splitlines()
    changed = [line[0] for line in patch if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert changed == ["-", "+"]


def test_repository_holds_the_source(workspace: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", workspace / "origin.git", tmp_path / "clone"], check=True)
    files = {p.relative_to(workspace / "source") for p in (workspace / "source").rglob("*") if p.is_file()}
    cloned = {p.relative_to(tmp_path / "clone") for p in (tmp_path / "clone").rglob("*") if p.is_file()}
    assert {path for path in cloned if path.parts[0] != ".git"} == files


def test_repository_survives_as_plain_files(workspace: Path, tmp_path: Path) -> None:
    """A workspace travels as files; folders that hold none are lost on the way."""
    for file in (workspace / "origin.git").rglob("*"):
        assert not file.is_symlink()
        if file.is_file():
            copy = tmp_path / "origin.git" / file.relative_to(workspace / "origin.git")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    subprocess.run(["git", "clone", "--quiet", tmp_path / "origin.git", tmp_path / "clone"], check=True)
    assert (tmp_path / "clone" / "parse.py").is_file()


def test_same_sample_gives_the_same_files(workspace: Path, tmp_path: Path, cache: Path) -> None:
    prepare_sample(SAMPLE, tmp_path / "again", cache)
    for file in workspace.rglob("*"):
        if file.is_file():
            assert (tmp_path / "again" / file.relative_to(workspace)).read_bytes() == file.read_bytes()


def test_no_line_of_the_package_is_kept() -> None:
    assert sorted(file.name for file in SAMPLE.iterdir()) == ["issue.md", "regression_test.py", "source.json"]


def sample(folder: Path, **changes: str) -> Path:
    source = json.loads((SAMPLE / "source.json").read_text()) | changes
    folder.mkdir()
    (folder / "source.json").write_text(json.dumps(source))
    (folder / "regression_test.py").write_bytes((SAMPLE / "regression_test.py").read_bytes())
    return folder


def test_other_digest_is_refused(tmp_path: Path) -> None:
    broken = sample(tmp_path / "sample", sha256="0" * 64)
    with pytest.raises(Unreachable, match="HASH"):
        prepare_sample(broken, tmp_path / "workspace", tmp_path / "cache")
    assert not (tmp_path / "workspace").exists()


def test_altered_cache_is_refused(tmp_path: Path, cache: Path, workspace: Path) -> None:
    (kept,) = cache.glob("*.tar.gz")
    altered = tmp_path / "cache"
    altered.mkdir()
    (altered / kept.name).write_bytes(kept.read_bytes() + b"x")
    with pytest.raises(IntegrityError, match="sha256"):
        prepare_sample(SAMPLE, tmp_path / "other", altered)


def test_unreachable_index_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(Unreachable, match=r"parse 1\.20\.0 could not be downloaded") as error:
        prepare_sample(SAMPLE, tmp_path / "workspace", tmp_path / "cache")
    assert str(tmp_path / "cache" / "parse-1.20.0") in error.value.next_step


@pytest.mark.parametrize("change", [{"name": "--index-url=x"}, {"version": "1 --pre"}, {"sha256": "md5"}])
def test_options_do_not_pass_as_names(tmp_path: Path, change: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(change))):
        prepare_sample(sample(tmp_path / "sample", **change), tmp_path / "workspace", tmp_path / "cache")


@pytest.mark.parametrize("kind", ["link", "parent", "absolute"])
def test_hostile_archive_is_refused(tmp_path: Path, kind: str) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        entry = tarfile.TarInfo({"link": "p/x", "parent": "p/../../evil", "absolute": "/evil"}[kind])
        if kind == "link":
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)
    digest = hashlib.sha256(data.getvalue()).hexdigest()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"parse-1.20.0-{digest[:12]}.tar.gz").write_bytes(data.getvalue())
    with pytest.raises(InvalidInput):
        prepare_sample(sample(tmp_path / "sample", sha256=digest), tmp_path / "workspace", tmp_path / "cache")
    assert not (tmp_path / "evil").exists()
    assert not Path("/evil").exists()


def test_used_folder_is_left_alone(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "mine").write_text("x")
    with pytest.raises(Conflict, match="not empty"):
        prepare_sample(SAMPLE, tmp_path / "workspace", cache)
    with pytest.raises(Conflict, match="not empty"):
        prepare_logs(tmp_path / "workspace")


def test_logs_of_this_machine_are_copied(tmp_path: Path) -> None:
    copied = prepare_logs(tmp_path / "workspace")
    assert copied
    for path in copied:
        assert path.parts[0] == "logs"
        data = (tmp_path / "workspace" / path).read_bytes()
        assert Path("/var/log", *path.parts[1:]).read_bytes().endswith(data)


def test_long_log_keeps_its_last_whole_lines(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "dpkg.log").write_text("".join(f"line {n}\n" for n in range(50_000)))
    (path,) = prepare_logs(tmp_path / "workspace", tmp_path / "log")
    lines = (tmp_path / "workspace" / path).read_text().splitlines()
    assert lines[-1] == "line 49999"
    assert lines[0].startswith("line ")
    assert len(lines) < 50_000


def test_machine_without_logs_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"dpkg\.log"):
        prepare_logs(tmp_path / "workspace", tmp_path)
