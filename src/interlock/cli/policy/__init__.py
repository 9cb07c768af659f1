"""`interlock policy`: the policy's commands, one file a verb."""

from __future__ import annotations

from interlock.cli.options import group
from interlock.cli.policy.explain import explain

app = group("Understand, test and rehearse the policy.")


@app.callback()
def policy() -> None:
    """Understand, test and rehearse the policy."""


for verb in (explain,):
    app.command()(verb)
