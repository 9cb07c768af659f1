"""What the measured times say: summaries, comparisons, goals."""

from __future__ import annotations

import math
import statistics
from typing import Any

POOLED, FRESH = "interlock, a container a call", "docker run"
P50_GOAL_MS, RATIO_GOAL, FRESH_GOAL = 15.0, 0.7, 25.0

Figures = dict[str, Any]


def percentile(values: list[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def summary(values: list[float]) -> dict[str, float]:
    """p50 and p95, in milliseconds, and of how many calls."""
    return {
        "p50 ms": round(statistics.median(values), 1),
        "p95 ms": round(percentile(values, 0.95), 1),
        "calls": len(values),
    }


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the ratios of the calls of the same rounds."""
    return round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 3)


def compare(spent: dict[str, list[float]], kinds: dict[str, str]) -> Figures:
    """One container a call beside the fastest peer that reuses one, and beside a fresh one."""
    reused = [name for name in spent if kinds[name] == "reused"]
    found: Figures = {}
    if POOLED in spent and reused:
        fastest = min(reused, key=lambda name: statistics.median(spent[name]))
        found["fastest that reuses"] = fastest
        found["ratio to it"] = ratio(spent[POOLED], spent[fastest])
    if POOLED in spent and FRESH in spent:
        found["times faster than docker run"] = round(1 / ratio(spent[POOLED], spent[FRESH]), 1)
    return found


def judge(found: Figures) -> dict[str, bool]:
    """Which goals are met; what was not measured is not met."""
    own, compared = found["ways"].get(POOLED, {}), found["compared"]
    marks = own.get("leaked", {})
    return {
        f"p50 <= {P50_GOAL_MS:g} ms": own.get("p50 ms", math.inf) <= P50_GOAL_MS,
        f"p50 <= {P50_GOAL_MS:g} ms at a steady pace": found["paced"].get("p50 ms", math.inf) <= P50_GOAL_MS,
        f"ratio <= {RATIO_GOAL} of the fastest that reuses": compared.get("ratio to it", math.inf) <= RATIO_GOAL,
        f">= {FRESH_GOAL:g} x docker run": compared.get("times faster than docker run", 0) >= FRESH_GOAL,
        "nothing leaked between calls": bool(marks.get("planted")) and marks["found"] == [],
    }
