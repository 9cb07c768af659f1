"""Reading permissions/: whole, or not at all with every problem that was found."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from interlock.errors import PolicyError
from interlock.policy.bundle import Bundle
from interlock.policy.content import Content
from interlock.policy.crosscheck import Finding, cross_check
from interlock.policy.entries import SECTIONS, name_of, read_entry
from interlock.policy.messages import problems
from interlock.policy.problems import Problem, did_you_mean
from interlock.policy.yaml_file import YamlFile, read_yaml

CASES: Final = "cases"
"""Folder of the permission cases, which are no part of the policy."""

SIGNATURE: Final = "policy.signature"
"""File that says who released the policy; it stands beside it and is no part of it."""

_IGNORED: Final = (".md", ".schema.json", "~")


def load_bundle(folder: Path) -> Bundle:
    """Read every policy file under `folder`.

    Raises:
        PolicyError: anything at all is wrong; `problems` lists all of it as `file:line: message`.
    """
    bundle, problems = read_policy(folder)
    if bundle is None:
        reason = f"the policy in {folder} was refused as a whole; {len(problems)} problem(s):"
        raise PolicyError(reason, problems=tuple(map(str, problems)))
    return bundle


def read_policy(folder: Path) -> tuple[Bundle | None, list[Problem]]:
    """The bundle of the files under `folder`; or every problem, by file and line."""
    reader = _Reader()
    paths, unread = policy_files(folder)
    reader.problems += unread
    for path in paths:
        reader.read(read_yaml(path, label(folder, path)))
    return reader.finish()


def load_with(folder: Path, file: Path, text: str) -> Bundle:
    """The policy as it would be if `file`, in `folder`, had this text; nothing of the folder is touched.

    Raises:
        PolicyError: it does not load so.
    """
    with tempfile.TemporaryDirectory(prefix="interlock-policy-") as scratch:
        copy = Path(scratch) / folder.resolve().name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(CASES, ".*"))
        changed = copy / file.resolve().relative_to(folder.resolve())
        changed.write_text(text, encoding="utf-8")
        return load_bundle(copy)


def label(folder: Path, path: Path) -> str:
    """What messages call a file: `permissions/grants.yaml`."""
    return f"{folder.resolve().name}/{path.relative_to(folder).as_posix()}"


def policy_files(folder: Path) -> tuple[list[Path], list[Problem]]:
    """All policy files, sorted; and a problem for each file that would be left unread without a word."""
    paths: list[Path] = []
    problems: list[Problem] = []
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and Path(here, f) != folder / CASES)
        linked = [Path(here, f) for f in folders if Path(here, f).is_symlink()]
        problems += [
            Problem(f"{label(folder, p)}:1", "a linked folder is not read: put it here", "unread-file")
            for p in linked
        ]
        for name in sorted(names):
            path = Path(here, name)
            if name.endswith(".yaml") and not name.startswith("."):
                paths.append(path)
            elif not name.startswith(".") and not name.endswith(_IGNORED) and path != folder / SIGNATURE:
                problems.append(
                    Problem(
                        f"{label(folder, path)}:1", "would not be read: name it *.yaml or move it", "unread-file"
                    )
                )
    if not paths and not problems:
        problems.append(Problem(f"{folder}:1", "no policy file (*.yaml) here: nothing would be allowed"))
    return sorted(paths), problems


class _Reader:
    """Collects entries and problems over all files."""

    def __init__(self) -> None:
        self.content = Content()
        self.problems: list[Problem] = []
        self.places: dict[tuple[str, str], tuple[YamlFile, int]] = {}
        self.broken: dict[str, set[str]] = {section: set() for section in SECTIONS}

    def read(self, file: YamlFile) -> None:
        """Take up every entry of a file."""
        self.problems += file.problems
        if file.value is None:
            if not file.problems:  # what a full disk or a broken copy leaves, guardrails and all
                self.problems.append(Problem(file.source(), "holds nothing: delete it, or write 'rules: []'"))
            return
        if not isinstance(file.value, dict):
            self.problems.append(Problem(file.source(), f"must be a mapping with {', '.join(SECTIONS)}"))
            return
        for section, items in file.value.items():
            if section not in SECTIONS:
                guess = did_you_mean(section, SECTIONS)
                self.problems.append(
                    Problem(file.source((section,)), f"unknown key {section!r}{guess}", "unknown-key")
                )
            elif not isinstance(items, list):
                self.problems.append(Problem(file.source((section,)), f"{section!r} must be a list"))
            else:
                self._section(file, section, items)

    def _section(self, file: YamlFile, section: str, items: list[Any]) -> None:
        for index, item in enumerate(items):
            place = (section, index)
            try:
                entry = read_entry(section, item)
            except ValidationError as error:
                self._broken(section, item)
                self.problems += problems(error, SECTIONS[section], item, file, place)
                continue
            name = name_of(entry)
            if (section, name) in self.places:
                first = self.content.sources[f"{section}:{name}"]
                said = f"{section[:-1]} {name!r} is defined twice, first at {first}"
                self.problems.append(Problem(file.source(place), said, "defined-twice"))
                continue
            self.places[section, name] = (file, index)
            self.content.add(section, entry, file.source(place))

    def _broken(self, section: str, item: Any) -> None:
        name = item.get("id" if section == "rules" else "name") if isinstance(item, dict) else None
        if isinstance(name, str):
            self.broken[section].add(name)

    def finish(self) -> tuple[Bundle | None, list[Problem]]:
        """The bundle, if nothing was wrong; else what was."""
        also = {section: frozenset(names) for section, names in self.broken.items()}
        self.problems += self._located(cross_check(self.content, also))
        if self.problems:
            return None, sorted(set(self.problems), key=lambda problem: problem.order)
        self.content.load_zones()
        return Bundle.from_content(self.content), []

    def _located(self, findings: Iterator[Finding]) -> Iterator[Problem]:
        for finding in findings:
            file, index = self.places[finding.section, finding.name]
            source = file.source((finding.section, index, finding.key))
            said = f"{finding.section[:-1]} {finding.name!r}: {finding.message}"
            yield Problem(source, said, finding.code)
