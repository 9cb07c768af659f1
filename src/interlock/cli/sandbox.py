"""`interlock sandbox`: the image, the controls, and what dead workers left behind."""

from __future__ import annotations

from typing import Annotated

import typer

from interlock.cli import say
from interlock.cli.checks import report
from interlock.cli.options import AsJson, group
from interlock.cli.session import settings

app = group("Build and examine the sandbox in which tool calls run.")


@app.command()
def build(
    image: Annotated[str, typer.Option(help="Which image of images/; `default` is images/sandbox.")] = "default",
    force: Annotated[bool, typer.Option("--force", help="Build again, the base too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build a sandbox image unless it is there."""
    from interlock.sandbox import build_image

    def progress(text: str) -> None:
        if not as_json:
            say.note(text)

    with say.working("building the sandbox image", quiet=as_json):
        identity = build_image(settings(), image, progress, force=force)
    if as_json:
        say.document({"image": image, "id": identity})
    else:
        say.line(f"image {image} {identity}")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check engine, image and every control of the closed door, in a real container."""
    from interlock.sandbox import doctor as examine

    with say.working("examining a container", quiet=as_json):
        checks = examine(settings())
    report(checks, as_json=as_json)


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
