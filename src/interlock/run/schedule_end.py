"""What ends a deleted schedule for good: a rule, since its statements hold until they expire.

Whoever may write to Temporal can start a run that a statement names after its schedule was deleted. No record of
Temporal's can speak against that, but the policy in force decides every call of that run, wherever it came from.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from interlock.approval import LONGEST_LIFE
from interlock.policy.entries import Rule
from interlock.policy.rule_yaml import rule_yaml


def ending_rule(schedule: str, now: datetime) -> Rule:
    """A rule that denies every call of every run of a schedule, until the last of its statements has expired.

    It goes by the name and by the longest life alone: what Temporal says of a schedule may be anybody's word.
    """
    day = now.astimezone(UTC).date()
    return Rule.model_validate(
        {
            "id": f"ended_{schedule}",
            "effect": "deny",
            "owner": "nobody yet",
            "note": f"schedule {schedule} was deleted on {day.isoformat()}",
            "when": [{"attribute": "run", "matches": rf"{schedule}-[0-9]{{8}}T[0-9]{{6}}Z"}],
            # A rule does not count on the day that it names.
            "expires": day + LONGEST_LIFE + timedelta(days=1),
        }
    )


def ending_rule_yaml(schedule: str, now: datetime) -> str:
    """That rule as an item of `rules` in a policy file."""
    return rule_yaml(ending_rule(schedule, now))
