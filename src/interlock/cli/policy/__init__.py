"""`interlock policy`: the policy's commands, one file a verb."""

from __future__ import annotations

from interlock.cli.options import group
from interlock.cli.policy.can import can
from interlock.cli.policy.check import check
from interlock.cli.policy.diff import diff
from interlock.cli.policy.explain import explain
from interlock.cli.policy.fmt import fmt
from interlock.cli.policy.impact import impact
from interlock.cli.policy.lint import lint
from interlock.cli.policy.mutate import mutate
from interlock.cli.policy.notices import notices
from interlock.cli.policy.proposals import proposals, review
from interlock.cli.policy.schema import schema
from interlock.cli.policy.shadow import shadow
from interlock.cli.policy.show import show
from interlock.cli.policy.sign import sign
from interlock.cli.policy.status import status
from interlock.cli.policy.suggest import suggest
from interlock.cli.policy.test import test
from interlock.cli.policy.who import who

app = group("Understand, test and rehearse the policy.")


@app.callback()
def policy() -> None:
    """Understand, test and rehearse the policy."""


for verb in (
    check,
    lint,
    fmt,
    show,
    schema,
    test,
    mutate,
    explain,
    can,
    who,
    diff,
    impact,
    shadow,
    suggest,
    proposals,
    review,
    notices,
    sign,
    status,
):
    app.command()(verb)
