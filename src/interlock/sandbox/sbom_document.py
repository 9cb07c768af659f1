"""A software bill of materials as CycloneDX states it: of what an image holds, from its own files."""

from __future__ import annotations

import uuid
from datetime import datetime
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
from interlock.sandbox.contents import Contents, Package, contents_of
from interlock.sandbox.engine import engine_errors

_LONGEST_LICENCE: Final = 200
"""Some packages state the whole text where its name belongs."""


def document(api: docker.APIClient, identity: str, tag: str) -> bytes:
    """The bill of materials of one image, the same bytes each time.

    Raises:
        SandboxUnavailable: no engine, or no such image.
    """
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
