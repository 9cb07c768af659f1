"""Compiling and checking a project with all mechanisms at hand: sandbox for tools, policy for rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from interlock.definitions import Manifest, ToolSchema
from interlock.errors import ProjectError, SandboxUnavailable
from interlock.policy import Bundle, check_references, load_bundle
from interlock.project import Checks, KnownNames, Problem, check, compile_manifest
from interlock.run.catalogue import built_in
from interlock.run.contracts import BUILT_IN_TOOLS
from interlock.run.people import API_AGENT, people_tools
from interlock.sandbox import build_command, compile_tools, image_id, kept_sbom
from interlock.settings import Settings
from interlock.types.blobs import Blobs

GRAPH_CHECK: Final = "interlock.graph.smoke:smoke"


def images_of(settings: Settings, bundle: Bundle) -> dict[str, str]:
    """The image id of every image that a profile names.

    Raises:
        SandboxUnavailable: one is not built.
    """
    found = {}
    for name in sorted({profile.image for profile in bundle.profiles.values()}):
        identity = "" if settings.sandbox_driver == "in_process" else image_id(settings, name)
        if identity is None:
            raise SandboxUnavailable(f"image {name!r} is not built", next_step=build_command(name))
        found[name] = identity
    return found


def compiled(settings: Settings, blobs: Blobs) -> Manifest:
    """The project's manifest as it is now, every part kept in `blobs`.

    Raises:
        ProjectError, PolicyError: something in the project is wrong.
        SandboxUnavailable: tools cannot be compiled.
    """
    bundle = load_bundle(settings.root / "permissions")
    blobs.put(bundle.to_bytes())
    images = images_of(settings, bundle)
    made = {name: kept_sbom(settings, identity) for name, identity in images.items() if identity}
    return compile_manifest(
        settings.root,
        settings,
        compiler=_compiler(settings),
        policy=bundle.digest,
        images=images,
        boms={name: document for name, document in made.items() if document is not None},
        blobs=blobs,
        graph_check=GRAPH_CHECK,
    )


def checked(settings: Settings) -> list[Problem]:
    """Every mistake in the project.

    Raises:
        SandboxUnavailable: tools cannot be compiled, so nothing can be said of them.
    """
    try:
        bundle: Bundle | None = load_bundle(settings.root / "permissions")
        wrong: list[Problem] = []
    except ProjectError as error:
        bundle, wrong = None, [_placed(line) for line in error.problems]
    schemas: dict[str, ToolSchema] = {}
    checks = Checks(
        compiler=_compiler(settings, schemas),
        references=partial(_references, bundle, schemas) if bundle is not None else None,
        profiles=bundle.profiles if bundle is not None else None,
        graph_check=GRAPH_CHECK,
        built_in_tools=BUILT_IN_TOOLS,
    )
    if bundle is not None:
        images_of(settings, bundle)
    wrong += _channels(settings) if bundle is not None else []
    return wrong + check(settings.root, checks, cache=settings.state_folder / "cache")


def _channels(settings: Settings) -> list[Problem]:
    """What is wrong with the file that says who is notified, where there is one."""
    if not (settings.root / settings.notifications).exists():
        return []
    from interlock.run.notifying import channels_of

    try:
        channels_of(settings)
    except ProjectError as error:
        return [_placed(line) for line in error.problems]
    return []


def _compiler(settings: Settings, found: dict[str, ToolSchema] | None = None) -> Any:
    def compiler(sources: Mapping[str, bytes]) -> Mapping[str, Any]:
        answers = compile_tools(sources, settings, settings.state_folder / "cache" / "tools")
        if found is not None:
            found.update({a.name: a for a in answers.values() if isinstance(a, ToolSchema)})
        return answers

    return compiler


def _references(bundle: Bundle, schemas: Mapping[str, ToolSchema], known: KnownNames) -> Iterable[Any]:
    tools = {
        **schemas,
        **known.declared,
        **{name: built_in(name).schema_ for name in BUILT_IN_TOOLS},
        **people_tools(),
    }
    images = {profile.image for profile in bundle.profiles.values()}
    return check_references(
        bundle,
        agents={*known.agents, API_AGENT},
        tools=tools,
        images=images,
        workflows=known.workflows,
        places=known.places,
    )


def _placed(line: str) -> Problem:
    file, number, message = line.split(":", 2)
    return Problem(file=file, line=int(number), message=message.strip())
