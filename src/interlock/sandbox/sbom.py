"""The software bill of materials of an image: CycloneDX, kept beside the state by the image's digest."""

from __future__ import annotations

import os
import uuid
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import docker
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from interlock import __version__
from interlock.errors import SandboxUnavailable
from interlock.sandbox.contents import Contents, Package, contents_of
from interlock.sandbox.engine import connect, engine_errors
from interlock.sandbox.images import build_command, image_id, tag_of
from interlock.settings import Settings

_LONGEST_LICENCE: Final = 200
"""Some packages state the whole text where its name belongs."""


def sbom_of(settings: Settings, name: str = "default") -> bytes:
    """The bill of materials of an image as it is built now, CycloneDX JSON: the same bytes for the same image.

    Args:
        settings: where images and state are.
        name: which image.

    Raises:
        InvalidInput: no such image.
        SandboxUnavailable: no engine, or the image is not built.
    """
    identity = image_id(settings, name)
    if identity is None:
        raise SandboxUnavailable(f"sandbox image {name!r} is not built", next_step=f"run `{build_command(name)}`")
    kept = _path(settings, identity)
    if not kept.is_file():
        with closing(connect()) as api:
            _keep(kept, _document(api, identity, tag_of(settings, name)))
    return kept.read_bytes()


def kept_sbom(settings: Settings, identity: str) -> bytes | None:
    """The bill of materials that was made of an image before, by the engine's id; None if none was."""
    path = _path(settings, identity)
    return path.read_bytes() if path.is_file() else None


def _path(settings: Settings, identity: str) -> Path:
    return settings.state_folder / "sbom" / f"{identity.removeprefix('sha256:')}.cdx.json"


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)


def _document(api: docker.APIClient, identity: str, tag: str) -> bytes:
    with engine_errors():
        inspected: dict[str, Any] = api.inspect_image(identity)  # type: ignore[no-untyped-call]
    contents = contents_of(api, identity)
    image = Component(name=tag, type=ComponentType.CONTAINER, version=identity, bom_ref=identity)
    own = Component(name="interlock", type=ComponentType.APPLICATION, version=__version__)
    bom = Bom(
        # Both from the image, so that its document is the same whoever makes it and when.
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, identity),
        metadata=BomMetaData(
            component=image,
            tools=ToolRepository(components=[own]),
            timestamp=datetime.fromisoformat(inspected["Created"]),
        ),
        components=[_component(package, contents) for package in contents.packages],
    )
    bom.register_dependency(image, bom.components)
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1).encode()


def _component(package: Package, contents: Contents) -> Component:
    url = _package_url(package, contents)
    facts = {"interlock:place": package.place, "interlock:debian-source": package.source}
    licence = package.licence if 0 < len(package.licence) <= _LONGEST_LICENCE else ""
    return Component(
        name=package.name,
        version=package.version,
        purl=url,
        # One package may lie in an image twice, once as Debian's and once vendored.
        bom_ref=f"{url.to_string()}#{package.place}" if package.place else url.to_string(),
        licenses=[LicenseFactory().make_from_string(licence)] if licence else None,
        properties=[Property(name=name, value=value) for name, value in facts.items() if value],
    )


def _package_url(package: Package, contents: Contents) -> PackageURL:
    if package.kind == "pypi":
        return PackageURL(type="pypi", name=package.name, version=package.version)
    qualifiers = {"arch": package.architecture, "distro": contents.release}
    distribution = contents.release.partition("-")[0] or "debian"
    known = {name: value for name, value in qualifiers.items() if value}
    return PackageURL(
        type="deb", namespace=distribution, name=package.name, version=package.version, qualifiers=known
    )
