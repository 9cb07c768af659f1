"""`interlock tool list`: what can be done."""

from __future__ import annotations

from interlock.cli import say
from interlock.cli.options import AsJson, group
from interlock.cli.session import settings

app = group("See the project's tools, and try one.")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List tools: what each does, on what, with which effects."""
    from interlock.run.compilation import compiled
    from interlock.scratch import ScratchBlobs

    with say.working("compiling the tools", quiet=as_json):
        tools = compiled(settings(), ScratchBlobs()).tools
    if as_json:
        say.document({"tools": [entry.model_dump(mode="json", by_alias=True) for entry in tools.values()]})
        return
    rows = []
    for name, entry in sorted(tools.items()):
        schema = entry.schema_
        summary = schema.description.strip().partition("\n")[0]
        rows.append((name, entry.kind, schema.action, schema.resource, schema.workspace, schema.effects, summary))
    say.table(("tool", "kind", "action", "resource", "workspace", "effects", "what it does"), rows)
