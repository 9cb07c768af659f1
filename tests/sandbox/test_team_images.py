"""A team's image adds what its lists say; its bill of materials is of what the image really holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator

from interlock.digest import digest_bytes
from interlock.errors import InvalidInput, SandboxUnavailable
from interlock.sandbox import build_image, image_id, sbom_of
from interlock.settings import Settings

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
LISTED = "tabulate>=0.9\norjson\n"


@pytest.fixture(scope="module")
def team(tmp_path_factory) -> Settings:
    """A project with an image of two wheels, one of them compiled."""
    root = tmp_path_factory.mktemp("team")
    folder = root / "images" / "sandbox-data"
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_text(LISTED)
    return Settings(root=root, state=root / "state")


@pytest.fixture(scope="module")
def built(team, engine, image) -> Iterator[str]:
    made = build_image(team, "data")
    yield made
    engine.remove_image(made, force=True)


def lock_of(team: Settings) -> Path:
    return team.root / "images" / "sandbox-data" / "requirements.lock"


async def test_wheels_are_there_in_the_sandbox(built, driver, blobs, make_call):
    body = "import orjson, tabulate\nreturn orjson.dumps({'a': 1}).decode() + tabulate.__version__"
    result = await driver.run(make_call(body, returns="str", image=built), blobs)
    assert result.status == "ok", result.error
    assert json.loads(result.value).startswith('{"a":1}')


async def test_installer_does_not_come_along(built, driver, blobs, make_call):
    body = "import importlib.util\nreturn [str(importlib.util.find_spec('pip')), str(os.path.exists('/wheels'))]"
    result = await driver.run(make_call(body, returns="list[str]", image=built), blobs)
    assert json.loads(result.value) == ["None", "False"]


def test_lock_names_each_wheel_by_digest(built, team):
    lines = lock_of(team).read_text().splitlines()
    assert digest_bytes(LISTED.encode()) in lines[0]
    pinned = [line for line in lines if not line.startswith("#")]
    assert [line.partition("==")[0] for line in pinned] == ["orjson", "tabulate"]
    assert all("--hash=sha256:" in line for line in pinned)


def test_locked_image_is_found_again(built, team):
    said: list[str] = []
    assert image_id(team, "data") == built
    assert build_image(team, "data", said.append) == built
    assert said == []


def test_wheel_of_other_digest_is_refused(built, team):
    lock = lock_of(team)
    kept = lock.read_text()
    name, _, digest = kept.splitlines()[-1].partition("sha256:")
    lock.write_text(kept.replace(digest, "0" * 64))
    try:
        with pytest.raises(SandboxUnavailable, match="DO NOT MATCH THE HASHES"):
            build_image(team, "data")
    finally:
        lock.write_text(kept)
    assert name.startswith("tabulate==")


def test_package_without_a_wheel_is_named(team):
    folder = team.root / "images" / "sandbox-odd"
    folder.mkdir()
    (folder / "requirements.txt").write_text("# ours\nno-such-thing-abcxyz==9\n")
    with pytest.raises(InvalidInput, match=r"sandbox-odd/requirements\.txt:2: the package index has no wheel of"):
        build_image(team, "odd")
    assert not (folder / "requirements.lock").exists()


def test_given_base_must_hold_the_debian_packages(team, image, engine):
    folder = team.root / "images" / "sandbox-extra"
    folder.mkdir()
    (folder / "packages.txt").write_text("git\nnosuchpkg-abc\n")
    given = team.model_copy(update={"base_image": image})
    with pytest.raises(
        InvalidInput, match=r"sandbox-extra/packages\.txt:2: the base .* does not hold 'nosuchpkg-abc'"
    ):
        build_image(given, "extra")
    assert image_id(given, "extra") is None
    (folder / "packages.txt").write_text("git\n")
    engine.remove_image(build_image(given, "extra"), force=True)


def packages_in(document: bytes) -> set[str]:
    return {component["purl"].partition("?")[0] for component in json.loads(document)["components"]}


def test_bill_of_materials_is_of_the_real_content(built, team, settings):
    found = packages_in(sbom_of(team, "data"))
    plain = packages_in(sbom_of(settings))
    added = {purl.partition("@")[0] for purl in found - plain}
    assert added == {"pkg:pypi/tabulate", "pkg:pypi/orjson"}
    assert any(purl.startswith("pkg:deb/debian/git@") for purl in plain)
    assert any(purl.startswith("pkg:deb/debian/libc6@") for purl in plain)


def test_bill_of_materials_follows_the_standard(image, settings):
    document = sbom_of(settings)
    validator = make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6)
    assert validator.validate_str(document.decode()) is None
    assert json.loads(document)["metadata"]["component"]["version"] == image


def test_bill_of_materials_is_the_same_each_time(image, settings, tmp_path):
    assert sbom_of(Settings(root=settings.root, state=tmp_path)) == sbom_of(settings)
    kept = list((tmp_path / "sbom").iterdir())
    assert [path.name for path in kept] == [f"{image.removeprefix('sha256:')}.cdx.json"]


def test_image_that_is_not_built_has_no_bill(settings):
    with pytest.raises(SandboxUnavailable, match="is not built"):
        sbom_of(Settings(root=settings.root, state=settings.state, image_prefix="interlock-nothing-here"))
