"""`policy test`, `policy mutate` and `policy diff` on the reference project and on a new one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest


def edit(project: Path, file: str, old: str, new: str) -> None:
    path = project / "permissions" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.fixture
def before(project: Path) -> Path:
    """The policy as it was, beside the project's."""
    return Path(shutil.copytree(project / "permissions", project / "before"))


def test_policy_test_passes_with_full_coverage(interlock):
    told = interlock("policy", "test", "--min-coverage", "100")
    assert told.code == 0
    assert re.search(r" 0 failed; (\d+) of \1 rules decide a case \(100 %\)\n$", told.out)
    assert interlock("policy", "test", "--json").json["coverage"] == 100


def test_failing_case_is_named_with_its_line(interlock, project):
    edit(project, "cases/fixer.yaml", "verdict: allow, rule: fixer_edits", "verdict: deny")
    told = interlock("policy", "test", "--junit", "junit.xml")
    assert told.code == 1
    assert "permissions/cases/fixer.yaml:13: the fixer edits a file of the source tree: expected deny" in told.out
    root = ElementTree.parse(project / "junit.xml").getroot()
    (failure,) = root.iter("failure")
    assert failure.text == "permissions/cases/fixer.yaml:13"
    assert (root.get("failures"), len(list(root.iter("testcase")))) == ("1", int(root.get("tests", "0")))


def test_uncovered_rule_fails_below_the_minimum(interlock, project):
    shutil.rmtree(project / "permissions/cases")
    (project / "permissions/cases").mkdir()
    (project / "permissions/cases/one.yaml").write_text(
        "cases:\n  - name: nothing <&> 'happens'\n    request: {agent: 'agent:fixer', requester: "
        "'user:alice', tool: nothing, action: read}\n    expect: {verdict: deny}\n"
    )
    told = interlock("policy", "test", "--min-coverage", "1", "--junit", "junit.xml")
    assert told.code == 1
    assert "permissions/grants.yaml:12: rule 'fixer_edits' decides no case" in told.out
    (case,) = ElementTree.parse(project / "junit.xml").getroot().iter("testcase")
    assert case.get("name") == "nothing <&> 'happens'"
    assert interlock("policy", "test").code == 0


def test_junit_that_cannot_be_written_is_a_usage_error(interlock):
    told = interlock("policy", "test", "--junit", "/nowhere/at/all.xml")
    assert told.code == 2
    assert "--junit" in told.err


def test_policy_mutate_kills_what_can_be_told_apart(interlock):
    told = interlock("policy", "mutate")
    assert told.code == 0
    assert "(100.0 %)" in told.out
    found = interlock("policy", "mutate", "--json").json
    assert (found["ok"], found["survivors"]) == (True, [])


def test_survivor_is_shown_with_a_case_to_paste(interlock, project):
    cases = project / "permissions/cases/fixer.yaml"
    cases.write_text(cases.read_text().replace(", profile: tests}", "}"))
    told = interlock("policy", "mutate", "--min", "100")
    assert told.code == 1
    assert (
        "permissions/grants.yaml:22: rule fixer_runs_tests without profile: no case fails; this one would:"
        in told.out
    )
    (survivor,) = interlock("policy", "mutate", "--json").json["survivors"]
    (project / "permissions/cases/pasted.yaml").write_text(f"cases:\n{survivor['case']}")
    assert interlock("policy", "mutate", "--min", "100").code == 0


def test_policy_diff_says_what_is_newly_allowed(interlock, project, before):
    edit(project, "grants.yaml", "tool: [search_code, read_file]", "tool: [search_code, read_file, read_log]")
    told = interlock("policy", "diff", "before", "--exit-code")
    assert told.code == 1
    assert "changed rule fixer_reads (permissions/grants.yaml:4): tool: search_code, read_file →" in told.out
    assert (
        "  newly allowed: allow by fixer_reads (permissions/grants.yaml:4); before: deny by default\n" in told.out
    )
    found = interlock("policy", "diff", "before", "--json").json
    (change,) = found["changes"]
    assert (found["widened"], change["effects"][0]["request"]["tool"]) == (True, "read_log")


def test_narrower_policy_passes_the_gate(interlock, project, before):
    edit(project, "guardrails.yaml", "[main, master, HEAD]", "[main, master, HEAD, trunk]")
    told = interlock("policy", "diff", "before", "permissions", "--exit-code")
    assert told.code == 0
    assert "  newly denied: deny by no_pull_request_from_main" in told.out
    assert told.out.endswith("1 change(s), 0 permit(s) more\n")


def test_same_policy_has_nothing_to_tell(interlock, before):
    told = interlock("policy", "diff", "before", "--exit-code")
    assert (told.code, told.out) == (0, "no change in what is decided\n")


def test_policy_diff_reads_a_git_revision(interlock, project):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "permissions"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], cwd=project, check=True, capture_output=True)
    edit(project, "grants.yaml", "    profile: tests\n", "")
    told = interlock("policy", "diff", "git:HEAD")
    assert told.code == 0
    assert "  other terms: allow by fixer_runs_tests" in told.out
    assert "profile of the tool instead of tests" in told.out


@pytest.mark.parametrize("name", ["nowhere", "git:--output=x", "git:no_such_revision", "git:"])
def test_unknown_policy_is_a_usage_error(interlock, project, name):
    told = interlock("policy", "diff", name)
    assert told.code == 2
    assert not (project / "x").exists()


def test_linked_file_of_a_revision_is_refused(interlock, project):
    (project / "permissions/more.yaml").symlink_to("/etc/hostname")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "permissions"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], cwd=project, check=True, capture_output=True)
    told = interlock("policy", "diff", "git:HEAD")
    assert told.code == 2
    assert "permissions/more.yaml is a link" in told.err
