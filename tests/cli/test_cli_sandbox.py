"""`interlock sandbox`: doctor by profile, and what an image holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interlock.digest import digest_bytes
from interlock.sandbox import build_image
from interlock.settings import Settings

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


@pytest.fixture
def image(project: Path) -> str:
    return build_image(Settings(root=project, state=project / ".interlock"))


def names_of(told) -> set[str]:
    return {check["name"] for check in told.json["checks"]}


def test_doctor_examines_a_profile(interlock, image):
    told = interlock("sandbox", "doctor", "--profile", "tests", "--json")
    assert told.code == 0, told.out
    memory = next(check for check in told.json["checks"] if check["name"] == "engine: memory without swap")
    assert str(1024 * 2**20) in memory["observed"]
    assert all(check["observed"] for check in told.json["checks"])


def test_profiles_that_differ_are_examined_each(interlock, image, project):
    (project / "permissions" / "other.yaml").write_text("profiles:\n  - name: strict\n    runtime: runc\n")
    told = interlock("sandbox", "doctor", "--json")
    assert told.code == 0, told.out
    names = names_of(told)
    assert {"default: engine: runtime", "strict: engine: runtime"} <= names
    # It differs from default in limits only.
    assert not any(name.startswith("tests: ") for name in names)


def test_runtime_that_is_missing_fails_doctor(interlock, image, project, engine_lacks):
    (project / "permissions" / "other.yaml").write_text(
        f"profiles:\n  - name: strict\n    runtime: {engine_lacks}\n"
    )
    told = interlock("sandbox", "doctor", "--profile", "strict")
    assert told.code == 1
    assert f"profile 'strict' demands the runtime '{engine_lacks}'" in told.out
    assert "choose-a-runtime.md" in told.out


@pytest.fixture
def engine_lacks() -> str:
    """A runtime that the engine here does not have."""
    from interlock.sandbox import available_runtimes
    from interlock.sandbox.engine import connect

    api = connect()
    found = available_runtimes(api)
    api.close()
    return next(name for name in ("crun", "runsc") if name not in found)


def test_unknown_profile_is_a_mistake(interlock):
    told = interlock("sandbox", "doctor", "--profile", "test")
    assert told.code == 2
    assert "no profile 'test' in permissions/ (did you mean 'tests'?)" in told.err


def test_build_names_the_bill_of_materials(interlock, image, tmp_path):
    built = interlock("sandbox", "build", "--json").json
    written = interlock("sandbox", "sbom", "--out", str(tmp_path / "image.json"))
    assert (built["id"], written.code) == (image, 0)
    content = (tmp_path / "image.json").read_bytes()
    assert digest_bytes(content) == built["sbom"]
    assert json.loads(content)["bomFormat"] == "CycloneDX"


def test_packages_of_an_image_are_listed(interlock, image):
    told = interlock("sandbox", "sbom")
    assert "pkg:deb/debian/python3@" in told.out
    assert interlock("sandbox", "sbom", "--json").json["bomFormat"] == "CycloneDX"


def test_bill_of_an_image_that_is_not_built_is_refused(interlock, project):
    folder = project / "images" / "sandbox-data"
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_text("tabulate\n")
    told = interlock("sandbox", "sbom", "--image", "data")
    assert told.code not in (0, 1)
    assert "interlock sandbox build --image data" in told.err
