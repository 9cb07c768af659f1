"""The public names of the policy package."""

from __future__ import annotations

import interlock.policy


def test_exported_names_are_these():
    assert interlock.policy.__all__ == [
        "Bundle",
        "Case",
        "CaseResult",
        "Explanation",
        "MatchedRule",
        "People",
        "PolicySource",
        "Problem",
        "check_references",
        "decide",
        "explain",
        "load_bundle",
        "run_cases",
        "schema",
        "uncovered_rules",
    ]
    assert all(hasattr(interlock.policy, name) for name in interlock.policy.__all__)
