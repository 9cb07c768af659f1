"""An image is known by all that it is made of, and its base comes from Debian's own packages."""

from __future__ import annotations

import pytest

import interlock.sandbox.images as images
from interlock.errors import InvalidInput
from interlock.sandbox import build_image, image_id
from interlock.sandbox.base import codename, sources
from interlock.settings import Settings


def test_changed_runner_gets_a_new_tag(settings, monkeypatch):
    before = images.tag_of(settings, "default")
    code = images.guest_code()
    code["guest/runner.py"] += b"\n# changed\n"
    monkeypatch.setattr(images, "guest_code", lambda: code)
    assert images.tag_of(settings, "default") != before


def test_changed_base_gets_a_new_tag(settings):
    other = settings.model_copy(update={"base_image": "debian:13"})
    assert images.tag_of(other, "default") != images.tag_of(settings, "default")


def test_unknown_image_is_named(settings):
    with pytest.raises(InvalidInput, match="no image 'nothing'"):
        images.tag_of(settings, "nothing")


def test_apt_lines_are_debian_main_only():
    lines = sources()
    assert any(f" {codename()} main" in line for line in lines)
    assert all(line.endswith(" main") and codename() in line for line in lines)


@pytest.mark.docker
def test_built_image_is_found_again(settings, image):
    assert image_id(settings) == image
    assert build_image(settings) == image


@pytest.mark.docker
def test_image_not_built_is_none(settings):
    assert image_id(Settings(root=settings.root, image_prefix="interlock-nothing-here")) is None


@pytest.mark.docker
def test_image_builds_on_a_given_base(settings, image, engine):
    given = Settings(root=settings.root, image_prefix="interlock-test", base_image=image)
    lines: list[str] = []
    built = build_image(given, progress=lines.append)
    try:
        assert built != image
        assert any("building interlock-test:default-" in line for line in lines)
    finally:
        engine.remove_image(built, force=True)
