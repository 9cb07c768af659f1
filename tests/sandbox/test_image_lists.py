"""Lists of packages are names and nothing else; a mistake is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

import interlock.sandbox.images as images
from interlock.digest import digest_bytes
from interlock.errors import InvalidInput
from interlock.sandbox.base import build_base
from interlock.sandbox.image_python import ImagePython
from interlock.sandbox.lists import debian_packages, requirements
from interlock.sandbox.wheels import LOCK, wheels_for
from interlock.settings import Settings

PYTHON = ImagePython("3.11", "x86_64", "glibc 2.36")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "images" / "sandbox-data"
    made.mkdir(parents=True)
    return made


def test_comments_and_empty_lines_are_skipped(folder):
    (folder / "packages.txt").write_text("# for reports\n\njq  # JSON\nlibstdc++6\n")
    assert debian_packages(folder) == {
        "jq": "images/sandbox-data/packages.txt:3",
        "libstdc++6": "images/sandbox-data/packages.txt:4",
    }


@pytest.mark.parametrize(
    "line", ["jq,vim", "--include=x", "jq vim", "-oAPT::x=1", "../x", "JQ", "?installed", "jq\x00x"]
)
def test_odd_debian_name_is_refused(folder, line):
    (folder / "packages.txt").write_text(f"git\n{line}\n")
    with pytest.raises(InvalidInput, match=r"packages\.txt:2: .* is no name of a Debian package"):
        debian_packages(folder)


@pytest.mark.parametrize(
    "line",
    ["--index-url https://x.example", "-e .", "-r other.txt", "./here", "git+https://x.example/y", "a b", "x=>1"],
)
def test_odd_requirement_is_refused(folder, line):
    (folder / "requirements.txt").write_text(f"httpx\n{line}\n")
    with pytest.raises(InvalidInput, match=r"requirements\.txt:2: .* is no requirement"):
        requirements(folder)


def test_address_of_a_requirement_is_refused(folder):
    (folder / "requirements.txt").write_text("x @ https://x.example/x-1-py3-none-any.whl\n")
    with pytest.raises(InvalidInput, match="names an address"):
        requirements(folder)


def test_spoiled_lock_is_refused(folder):
    (folder / "requirements.txt").write_text("tabulate\n")
    made_from = digest_bytes((folder / "requirements.txt").read_bytes())
    head = f"# Made by `interlock sandbox build` from requirements.txt {made_from}, for {PYTHON}.\n"
    note = (
        "# Keep it under version control: builds take these wheels and no others. Remove it to take newer ones.\n"
    )
    (folder / LOCK).write_text(head + note + "--extra-index-url https://x.example\n")
    with pytest.raises(InvalidInput, match="is no pinned wheel"):
        wheels_for(folder, {"tabulate": "here"}, PYTHON, lambda line: None)


def test_platforms_go_no_further_than_the_image():
    asked = PYTHON.options()
    assert "manylinux_2_36_x86_64" in asked
    assert "manylinux_2_37_x86_64" not in asked
    assert asked.index("manylinux_2_36_x86_64") < asked.index("manylinux2014_x86_64")


def test_musl_gets_musl_wheels():
    asked = ImagePython("3.12", "aarch64", "").options()
    assert "musllinux_1_2_aarch64" in asked
    assert not any("manylinux" in word for word in asked)


def test_image_of_lists_only_is_an_image(folder):
    (folder / "requirements.txt").write_text("tabulate\n")
    settings = Settings(root=folder.parents[1])
    assert images.folder_of(settings, "data") == folder
    before = images.tag_of(settings, "data")
    (folder / "requirements.txt").write_text("tabulate\nidna\n")
    assert images.tag_of(settings, "data") != before


def test_lock_is_part_of_the_tag(folder):
    (folder / "requirements.txt").write_text("tabulate\n")
    settings = Settings(root=folder.parents[1])
    before = images.tag_of(settings, "data")
    (folder / LOCK).write_text("tabulate==1\n")
    assert images.tag_of(settings, "data") != before


def test_unknown_debian_package_is_named_before_any_download():
    said: list[str] = []
    with pytest.raises(InvalidInput) as raised:
        build_base(
            None, "x", "y", {"git": "a:1", "nosuchpkg-abc": "images/sandbox-data/packages.txt:2"}, said.append
        )
    assert raised.value.reason.startswith("images/sandbox-data/packages.txt:2: ")
    assert "no package 'nosuchpkg-abc'" in raised.value.reason
    assert said == []
