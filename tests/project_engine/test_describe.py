"""What team code says of itself, in a process that can tell it nothing."""

import json
from pathlib import Path

import pytest

from interlock.errors import ProjectError
from interlock.project import describe

LEAK = """\
import json, os, sys
from interlock import agent

reader = agent("reader", prompt=json.dumps([dict(os.environ), sys.argv, os.getcwd()]), tools=["look"])
"""


def test_definitions_are_described(project: Path) -> None:
    found = describe(project)
    agent = found.agents["reader"]
    assert (agent.prompt, agent.tools, agent.model, agent.custom) == ("reader.md", ("look",), "default", False)
    assert found.workflows["reading"].agents == ("reader",)
    assert found.problems == ()


def test_team_code_sees_no_secret(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "INTERLOCK_LEDGER_URL", "PYTHONPATH", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "/secret")
    (project / "agents" / "reader.py").write_text(LEAK)
    seen = describe(project).agents["reader"].prompt
    assert "/secret" not in seen
    allowed = {"PATH", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV", "HOME", "PYTHONIOENCODING", "LC_CTYPE"}
    assert set(json.loads(seen)[0]) <= allowed


def test_output_of_team_code_is_not_the_answer(project: Path) -> None:
    file = project / "agents" / "reader.py"
    file.write_text("import os\nprint('{}')\nos.write(1, b'{\"agents\": {}}')\n" + file.read_text())
    assert list(describe(project).agents) == ["reader"]


def test_answer_about_files_that_are_not_there_is_refused(project: Path) -> None:
    forged = (
        "import os\nfrom interlock.project.description import ProjectDescription\n"
        "ProjectDescription.model_dump_json = lambda self: "
        '\'{"workflows": {"ghost": {"name": "ghost", "agents": []}}}\'\n'
    )
    file = project / "agents" / "reader.py"
    file.write_text(forged + file.read_text())
    with pytest.raises(ProjectError, match=r"workflows/ghost\.py was described and does not exist"):
        describe(project)


def test_hanging_import_is_ended(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.project.description.TIMEOUT_S", 3)
    (project / "agents" / "slow.py").write_text("import time\ntime.sleep(1000)\n")
    with pytest.raises(ProjectError, match=r"agents/slow\.py:1: .*longer than 3 seconds"):
        describe(project)


def test_description_is_kept_for_the_same_files(project: Path, tmp_path: Path) -> None:
    cache, counter = tmp_path / "cache", tmp_path / "imports"
    file = project / "agents" / "reader.py"
    file.write_text(f"open({str(counter)!r}, 'a').write('x')\n" + file.read_text())
    first = describe(project, cache=cache)
    assert describe(project, cache=cache) == first
    assert counter.read_text() == "x"
    file.write_text(file.read_text().replace('"reader.md"', '"Other."'))
    assert describe(project, cache=cache).agents["reader"].prompt == "Other."
    assert counter.read_text() == "xx"


def test_broken_project_is_described_anew(project: Path, tmp_path: Path) -> None:
    (project / "agents" / "bad.py").write_text("1/0\n")
    assert len(describe(project, cache=tmp_path / "cache").problems) == 1
    assert not (tmp_path / "cache").exists()


def test_damaged_cache_is_replaced(project: Path, tmp_path: Path) -> None:
    first = describe(project, cache=tmp_path)
    (kept,) = tmp_path.glob("description-*.json")
    kept.write_text("{")
    assert describe(project, cache=tmp_path) == first
    assert kept.read_text() != "{"
