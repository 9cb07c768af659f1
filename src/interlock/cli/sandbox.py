"""`interlock sandbox`: the images, the controls, and what dead workers left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.checks import report
from interlock.cli.options import AsJson, group
from interlock.cli.session import bundle_of, settings

if TYPE_CHECKING:
    from interlock.settings import Settings
    from interlock.types import Profile

app = group("Build and examine the sandbox in which tool calls run.")


@app.command()
def build(
    image: Annotated[str, typer.Option(help="Which image of images/; `default` is images/sandbox.")] = "default",
    force: Annotated[bool, typer.Option("--force", help="Build again, the base too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build a sandbox image unless it is there."""
    from interlock.digest import digest_bytes
    from interlock.sandbox import build_image, sbom_of

    def progress(text: str) -> None:
        if not as_json:
            say.note(text)

    with say.working("building the sandbox image", quiet=as_json):
        own = settings()
        identity = build_image(own, image, progress, force=force)
        sbom = digest_bytes(sbom_of(own, image))
    if as_json:
        say.document({"image": image, "id": identity, "sbom": sbom})
    else:
        say.line(f"image {image} {identity}")
        say.line(f"bill of materials {sbom}")


@app.command()
def sbom(
    image: Annotated[str, typer.Option(help="Which image of images/.")] = "default",
    out: Annotated[Path | None, typer.Option(help="Write the document to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what a built image holds: Debian and Python packages, read out of the image itself.

    `--json` and `--out` give the whole bill of materials (SBOM), a CycloneDX document.
    """
    from interlock.digest import digest_bytes
    from interlock.sandbox import sbom_of

    with say.working("reading the image", quiet=as_json):
        content = sbom_of(settings(), image)
    read = json.loads(content)
    if out is not None:
        out.write_bytes(content)
    if as_json:
        say.document(read)
        return
    if out is None:
        for component in read["components"]:
            say.safe_line(component["purl"])
    where = f"in {out}" if out is not None else f"{len(read['components'])} packages"
    say.line(f"image {image}, bill of materials {digest_bytes(content)}, {where}")


@app.command()
def doctor(
    profile: Annotated[
        list[str] | None,
        typer.Option(
            help="Examine a container of this profile; may be given again. Default: one for each runtime and "
            "image that the profiles of permissions/ name."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check engine, images and every control of the closed door, in real containers."""
    from interlock.sandbox import doctor as examine

    with say.working("examining containers", quiet=as_json):
        own = settings()
        checks = examine(own, _profiles(own, profile or []))
    report(checks, as_json=as_json)


def _profiles(own: Settings, names: list[str]) -> list[Profile]:
    """The profiles of these names, or one for each runtime and image that the project's profiles name."""
    from interlock.definitions.placed import did_you_mean
    from interlock.errors import InvalidInput

    if not names and not (own.root / "permissions").is_dir():
        return []
    known = bundle_of(own).profiles
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInput(
            f"no profile {unknown[0]!r} in permissions/{did_you_mean(unknown[0], known)}",
            next_step=f"there are {', '.join(known)}",
        )
    if names:
        return [known[name] for name in names]
    different: dict[tuple[str, str], Profile] = {}
    for one in known.values():
        different.setdefault((one.runtime, one.image), one)
    return list(different.values())


@app.command()
def clean(
    all_: Annotated[
        bool, typer.Option("--all", help="Also containers of executors that live; their calls end as killed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove containers whose executor died or whose time is up."""
    from interlock.sandbox import clean as remove

    removed = remove(settings(), all=all_)
    if as_json:
        say.document({"removed": removed})
        return
    for text in removed:
        say.line(f"removed {text}")
    if not removed:
        say.line("nothing to remove")
