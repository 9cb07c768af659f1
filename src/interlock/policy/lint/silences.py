"""Comments that leave a finding be, with a reason: `# lint: allow CODE reason`, at the entry or right above it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from interlock.policy.comments import Comment, python_comments, yaml_comments
from interlock.policy.lint.finding import KINDS, LintFinding, finding
from interlock.policy.loader import label, policy_files
from interlock.policy.problems import did_you_mean

_SILENCE: Final = re.compile(r"#+\s*lint:\s*(.*)")
_ALLOW: Final = re.compile(r"allow\s+([a-z][a-z-]*)\s*(.*)")

Comments = Mapping[str, Iterable[Comment]]
"""File as findings call it → its comments."""


def comments_of(folder: Path, project: Path | None = None) -> dict[str, list[Comment]]:
    """The comments of every policy file, agent and tool; the files as findings call them."""
    found = {label(folder, path): yaml_comments(path.read_text("utf-8")) for path in policy_files(folder)[0]}
    for part in ("agents", "tools") if project else ():
        for path in sorted((project or folder).glob(f"{part}/*.py")):
            found[f"{part}/{path.name}"] = python_comments(path.read_text("utf-8"))
    return found


class _Silence(NamedTuple):
    file: str
    written: int
    """Line of the comment."""
    line: int
    """Line that it is about."""
    code: str
    reason: str


def silenced(findings: Iterable[LintFinding], comments: Comments) -> list[LintFinding]:
    """The findings, those that a comment leaves be with its reason; and a finding for each comment that does not
    work."""
    silences: dict[tuple[str, int, str], _Silence] = {}
    wrong: list[LintFinding] = []
    for file, found in comments.items():
        for silence, problem in _read(file, list(found)):
            if problem:
                wrong.append(_bad(silence, problem))
            else:
                silences[silence.file, silence.line, silence.code] = silence
    told: list[LintFinding] = []
    used: set[_Silence] = set()
    for one in findings:
        known = silences.get((one.file, one.line, one.code))
        told.append(one.model_copy(update={"silenced": known.reason}) if known else one)
        used |= {known} if known else set()
    return [*told, *wrong, *map(_unused, (s for s in silences.values() if s not in used))]


def _read(file: str, comments: list[Comment]) -> Iterable[tuple[_Silence, str]]:
    alone = {comment.line for comment in comments if comment.alone}
    for comment in comments:
        written = _SILENCE.fullmatch(comment.text)
        if not written:
            continue
        line = comment.line
        while comment.alone and line in alone:
            line += 1
        allow = _ALLOW.fullmatch(written[1].strip())
        code, reason = (allow[1], allow[2].strip()) if allow else ("", "")
        yield _Silence(file, comment.line, line, code, reason), _problem(code, reason)


def _problem(code: str, reason: str) -> str:
    if not code:
        return "write '# lint: allow CODE reason'"
    if code not in KINDS or code.endswith("-silence"):
        return f"there is no code {code!r}{did_you_mean(code, KINDS)}"
    return "" if reason else f"it gives no reason for {code!r}"


def _unused(silence: _Silence) -> LintFinding:
    said = f"there is no {silence.code!r} here that the comment could leave be."
    return finding("unused-silence", f"{silence.file}:{silence.written}", said, "Drop the comment.")


def _bad(silence: _Silence, problem: str) -> LintFinding:
    said = f"the comment does not work: {problem}."
    return finding("bad-silence", f"{silence.file}:{silence.written}", said, "Correct the comment, or drop it.")
