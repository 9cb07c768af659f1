"""The canonical layout of policy files: `interlock policy fmt`.

ruamel.yaml writes the values anew, in the order of the models' keys; comments go back to the entries and keys at
which they stood. What the files mean never changes: values are compared before anything is written.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlock.digest import parse
from interlock.errors import IntegrityError, PolicyError
from interlock.policy.bundle import Bundle
from interlock.policy.comment_places import attach
from interlock.policy.comments import yaml_comments
from interlock.policy.layout import laid_out, with_comments
from interlock.policy.loader import CASES, label, load_bundle, policy_files
from interlock.policy.yaml_file import parse_yaml, read_yaml


def formatted(path: Path, folder: Path) -> str:
    """One file of `folder` in canonical layout.

    Raises:
        PolicyError: it cannot be read, or its layout cannot change without what it says.
    """
    file = read_yaml(path, label(folder, path))
    if file.problems or not (file.value is None or isinstance(file.value, dict)):
        lines = tuple(map(str, file.problems)) or (f"{file.source()}: must be a mapping",)
        raise PolicyError(f"{file.label} cannot be read", problems=lines)
    text = path.read_text("utf-8")
    if not file.value:
        return text
    attached = attach(file, yaml_comments(text), text.splitlines())
    found = with_comments(laid_out(file, attached), file.label, attached)
    if parse_yaml(found.encode(), file.label).value != file.value:
        raise PolicyError(f"{file.label}: its layout cannot be changed without changing what it says")
    return found


def reformatted(folder: Path) -> dict[Path, str]:
    """Every policy and case file under `folder` that is not in canonical layout, with its new text.

    Raises:
        PolicyError: the policy does not load.
        IntegrityError: the new files would be another policy; nothing should be written.
    """
    before = load_bundle(folder)
    paths = [*policy_files(folder)[0], *sorted((folder / CASES).rglob("*.yaml"))]
    texts = {path: formatted(path, folder) for path in paths}
    changed = {path: text for path, text in texts.items() if path.read_text("utf-8") != text}
    if changed and meaning(before) != meaning(_loaded(folder, changed)):
        raise IntegrityError("the files in canonical layout would be another policy; nothing was written")
    return changed


def _loaded(folder: Path, changed: Mapping[Path, str]) -> Bundle:
    """The bundle of a copy of the folder in which files were changed."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / folder.resolve().name
        shutil.copytree(folder, copy)
        for path, text in changed.items():
            (copy / path.relative_to(folder)).write_text(text, "utf-8")
        return load_bundle(copy)


def meaning(bundle: Bundle) -> Any:
    """All of a bundle that decisions depend on: everything but the lines at which it is written."""
    value = parse(bundle.to_bytes())
    return {**value, "sources": sorted(value["sources"])}


def write(changed: Mapping[Path, str]) -> None:
    """Replace each file at once, with the mode that it has."""
    for path, text in changed.items():
        made = path.with_name(f".{path.name}.new")
        made.write_text(text, "utf-8")
        shutil.copymode(path, made)
        os.replace(made, path)
