"""`interlock policy`: the policy's commands, one file a verb."""

from __future__ import annotations

from interlock.cli.options import group
from interlock.cli.policy.can import can
from interlock.cli.policy.explain import explain
from interlock.cli.policy.impact import impact
from interlock.cli.policy.who import who

app = group("Understand, test and rehearse the policy.")


@app.callback()
def policy() -> None:
    """Understand, test and rehearse the policy."""


for verb in (explain, can, who, impact):
    app.command()(verb)
