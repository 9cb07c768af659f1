import typer

from interlock.cli.options import group

app = group("")


def add_to(app: typer.Typer) -> None: ...
