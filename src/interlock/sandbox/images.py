"""Sandbox images: built from images/, known by a tag that names everything they are made of."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import docker
import docker.errors

from interlock.digest import digest_bytes, digest_of
from interlock.errors import InvalidInput, SandboxUnavailable
from interlock.sandbox.base import build_base, codename
from interlock.sandbox.contents import contents_of
from interlock.sandbox.engine import connect, engine_errors
from interlock.sandbox.guest_code import guest_code
from interlock.sandbox.image_python import python_of
from interlock.sandbox.lists import PACKAGES, REQUIREMENTS, debian_packages, requirements
from interlock.sandbox.wheels import LOCK, wheels_for
from interlock.settings import Settings

_HERE: Final = Path(__file__).parent
_BUILD_S: Final = 600


def _quiet(line: str) -> None:
    """Says nothing."""


def folder_of(settings: Settings, name: str) -> Path:
    """The folder of an image: images/sandbox for `default`, else images/sandbox-NAME; the project's, then ours.

    It holds a Dockerfile, or only lists; then the Dockerfile of `default` serves.

    Raises:
        InvalidInput: there is none.
    """
    leaf = "sandbox" if name == "default" else f"sandbox-{name}"
    # In the wheel images/ lies beside this file; in the repository at its root.
    roots = (settings.root / "images", _HERE / "images", _HERE.parents[2] / "images")
    enough = ("Dockerfile",) if name == "default" else ("Dockerfile", PACKAGES, REQUIREMENTS)
    for root in roots:
        if any((root / leaf / file).is_file() for file in enough):
            return root / leaf
    raise InvalidInput(
        f"no image {name!r}: {roots[0] / leaf} has no {' or '.join(enough)}",
        next_step=f"write {PACKAGES} (Debian) or {REQUIREMENTS} (PyPI) there; see docs/how-to/add-packages.md",
    )


def _context(settings: Settings, name: str) -> dict[str, bytes]:
    """What the build sees: the image's own files and our code."""
    folder = folder_of(settings, name)
    own = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    if "Dockerfile" not in own:
        own["Dockerfile"] = (folder_of(settings, "default") / "Dockerfile").read_bytes()
    return {**own, **{f"interlock/{path}": content for path, content in guest_code().items()}}


def _packages(settings: Settings, name: str) -> dict[str, str]:
    """Debian packages of the base, each with its place: the default image's, and what this one adds."""
    return debian_packages(folder_of(settings, "default")) | debian_packages(folder_of(settings, name))


def tag_of(settings: Settings, name: str) -> str:
    """`PREFIX:NAME-DIGEST` over Dockerfile, packages, base and our code: another content is another image."""
    context = {path: digest_bytes(content) for path, content in _context(settings, name).items()}
    base = [settings.base_image] if settings.base_image else [codename(), *sorted(_packages(settings, name))]
    made_of = {"base": base, "files": [list(row) for row in sorted(context.items())]}
    return f"{settings.image_prefix}:{name}-{digest_of(made_of).removeprefix('sha256:')[:16]}"


def build_command(name: str) -> str:
    """What a person types to build an image."""
    return "interlock sandbox build" + ("" if name == "default" else f" --image {name}")


def image_id(settings: Settings, name: str = "default") -> str | None:
    """The engine's id of the image as it would be built now; None if it is not built.

    Raises:
        SandboxUnavailable: no engine answers.
    """
    with closing(connect()) as api:
        return _id(api, tag_of(settings, name))


def _id(api: docker.APIClient, tag: str) -> str | None:
    with engine_errors():
        try:
            return str(api.inspect_image(tag)["Id"])  # type: ignore[no-untyped-call]
        except docker.errors.ImageNotFound:
            return None


def build_image(
    settings: Settings, name: str = "default", progress: Callable[[str], None] = _quiet, *, force: bool = False
) -> str:
    """Build the image unless it is there; returns the engine's id.

    Args:
        settings: prefix and base.
        name: which image.
        progress: gets a line now and then.
        force: build again, the base too.

    Raises:
        InvalidInput: no such image, or a package of its lists that is not to be had.
        SandboxUnavailable: no engine, or the build failed; the end of its output is quoted.
    """
    wanted = requirements(folder_of(settings, name))
    with closing(connect()) as api:
        found = None if force else _id(api, tag_of(settings, name))
        if found is not None:
            return found
        base = settings.base_image or _base(api, settings, name, progress, force=force)
        # Before the tag: it may write the lock, which the tag is made from.
        wheels = _wheels(api, settings, name, wanted, base, progress)
        tag = tag_of(settings, name)
        progress(f"building {tag} from {base}")
        _build(api, _context(settings, name) | wheels, tag, base)
        found = _id(api, tag)
        if found is None:
            raise SandboxUnavailable(f"the engine built {tag} and does not know it")
        if settings.base_image and name != "default":
            _check_base(api, settings, name, found)
        return found


def _wheels(
    api: docker.APIClient,
    settings: Settings,
    name: str,
    wanted: dict[str, str],
    base: str,
    progress: Callable[[str], None],
) -> dict[str, bytes]:
    if not wanted:
        return {f"wheels/{LOCK}": b""}
    return wheels_for(folder_of(settings, name), wanted, python_of(api, base), progress)


def _check_base(api: docker.APIClient, settings: Settings, name: str, found: str) -> None:
    """A build has no network, so what a list adds to a given base must be in it already."""
    wanted = debian_packages(folder_of(settings, name))
    held = (
        {package.name for package in contents_of(api, found).packages if package.kind == "deb"} if wanted else set()
    )
    for text, place in wanted.items():
        if text.partition("=")[0] not in held:
            with engine_errors():
                api.remove_image(found, force=True)
            raise InvalidInput(
                f"{place}: the base {settings.base_image!r} does not hold {text!r}, and a build cannot fetch it",
                next_step="put it into the base, or leave INTERLOCK_BASE_IMAGE empty: then Debian's packages serve",
            )


def _base(
    api: docker.APIClient, settings: Settings, name: str, progress: Callable[[str], None], *, force: bool
) -> str:
    packages = _packages(settings, name)
    digest = digest_of({"codename": codename(), "packages": sorted(packages)}).removeprefix("sha256:")[:16]
    repository, tag = f"{settings.image_prefix}-base", f"{codename()}-{digest}"
    if force or _id(api, f"{repository}:{tag}") is None:
        build_base(api, repository, tag, packages, progress)
    return f"{repository}:{tag}"


def _build(api: docker.APIClient, context: dict[str, bytes], tag: str, base: str) -> None:
    with engine_errors():
        lines = api.build(
            fileobj=_tar(context),
            custom_context=True,
            tag=tag,
            buildargs={"BASE": base},
            rm=True,
            forcerm=True,
            network_mode="none",
            use_config_proxy=False,
            decode=True,
            timeout=_BUILD_S,
        )
        _follow(lines, tag)


def _follow(lines: Any, tag: str) -> None:
    said: list[str] = []
    for line in lines:
        said.append(str(line.get("stream", "")))
        if "error" in line:
            raise SandboxUnavailable(f"building {tag} failed: {line['error']}: {''.join(said)[-1000:].strip()}")


def _tar(files: dict[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    buffer.seek(0)
    return buffer
