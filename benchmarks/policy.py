"""What a decision costs as a policy grows, beside plain Casbin, Cedar and Oso.

    python benchmarks/policy.py [--json] [--check] [--quick]

Each engine runs in a process of its own, one after the other, over the same rules and requests. Figures are CPU
time, in microseconds unless named otherwise. `verdict` is Casbin's decision among the rows that the index picks,
for a request that was made ready; `decide` is the whole of it: canonical bytes and digest of the request, every
rule that matches, obligations, a reason in words. Cold requests come first, to a bundle just loaded, each about
another rule.

The others get a request as their interface takes it and give a verdict. Cedar and Oso are measured with every rule,
and given for each request only the rules that our index picks, which is the best that an index could do for them;
policies and entities are parsed before the call. Plain Casbin and Oso are spared wildcards and conditions.

Goals, at 100,000 rules: p50 of a verdict at most 100 us, p99 at most 1 ms on cold requests, a stored bundle ready
in at most 2 s, at least 1,000 times plain Casbin, ahead of Cedar given the same rules (making the request ready
counts here, since Cedar does so in each call); 10,000 recorded decisions made again in at most 5 s.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import orjson
from parts import cpu
from policies import KINDS, make, requests

from interlock.types.access import canonical_request

LARGEST = 100_000
OTHERS = {
    "plain Casbin": "pycasbin",
    "Cedar": "cedarpy",
    "Cedar, same partition": "cedarpy",
    "Oso": "oso",
    "Oso, same partition": "oso",
}
BESIDE = {(10, 10), (1_000, 1_000), (LARGEST, LARGEST)}
"""Sizes at which the others are measured, too."""

Figures = dict[str, Any]


def environment() -> dict[str, str]:
    """What the figures depend on."""
    found = {
        "cpu": cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "python": platform.python_version(),
        "system": platform.platform(),
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }
    return found | {name: _version(name) for name in ("pycasbin", "pydantic", "orjson", "cedarpy", "oso")}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return f"not installed here (pip install --group bench), so {name} is not measured"


def write_case(folder: Path, rules: int, links: int, count: int) -> None:
    """A policy as it is stored, and requests to it."""
    made = make(rules, links)
    folder.joinpath("bundle").write_bytes(made.bundle.to_bytes())
    asked = {kind: [canonical_request(one) for one in requests(made, kind, count)] for kind in KINDS}
    folder.joinpath("requests.json").write_bytes(orjson.dumps(asked))


def run(engine: str, folder: Path, count: int) -> Figures:
    """One engine's figures."""
    command = [sys.executable, str(Path(__file__).with_name("engines.py")), engine, str(folder), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{engine} failed:\n{done.stderr}")
    found: Figures = json.loads(done.stdout)
    return found


def measure_size(folder: Path, rules: int, links: int, count: int) -> Figures:
    """All engines at one size."""
    write_case(folder, rules, links, count)
    found = {"rules": rules, "links": links, **run("own", folder, count)}
    if (rules, links) not in BESIDE:
        return found
    loads = [found["load s"], *(run("load", folder, count)["load s"] for _ in range(2))]
    found["load s"] = statistics.median(loads)
    for engine, package in OTHERS.items():
        if not _version(package).startswith("not"):
            found[engine] = run(engine, folder, count)
    return found | run("again", folder, count)


def measure(sizes: list[tuple[int, int]], count: int) -> Figures:
    """Every size."""
    found: Figures = {"environment": environment(), "sizes": []}
    for rules, links in sizes:
        with tempfile.TemporaryDirectory(prefix="policy-") as folder:
            found["sizes"].append(measure_size(Path(folder), rules, links, count))
    return found


def judge(found: Figures) -> dict[str, bool]:
    """Which goals are met, by the largest policy."""
    last = found["sizes"][-1]
    verdict, plain, cedar = last["verdict"], last["plain Casbin"], last.get("Cedar, same partition")
    whole = verdict["skewed"]["p50"] + last["request made ready"]["p50"]
    ratios = {kind: plain[kind]["p50"] / verdict[kind]["p50"] for kind in ("skewed", "cold")}
    found["times plain Casbin"] = {kind: round(ratio) for kind, ratio in ratios.items()}
    return {
        "p50 <= 100 us, each kind but cold": all(verdict[k]["p50"] <= 100 for k in KINDS if k != "cold"),
        "p99 <= 1 ms, cold": verdict["cold"]["p99"] <= 1000,
        "p99 <= 1 ms, cold, the whole decision": last["decide"]["cold"]["p99"] <= 1000,
        "load <= 2 s": last["load s"] <= 2,
        ">= 1,000 x plain Casbin": min(ratios.values()) >= 1000,
        "ahead of Cedar, same partition": cedar is None or whole < cedar["skewed"]["p50"],
        "10,000 again <= 5 s": last["10,000 decided again s"] <= 5,
    }


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--check", action="store_true", help="exit 1 where a goal is missed")
    parser.add_argument("--quick", action="store_true", help="small policies, for a smoke test")
    options = parser.parse_args()
    sizes = [(10, 10), (1_000, 1_000)]
    if not options.quick:
        sizes += [(10_000, 10), (10, LARGEST), (10_000, 10_000), (LARGEST, 10), (LARGEST, LARGEST)]
    found = measure(sizes, 100 if options.quick else 2_000)
    found["met"] = judge(found)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        _print(found)
        last = found["sizes"][-1]
        print(f"{last['verdict']['skewed']['p50']} us a verdict at {last['rules']} rules")
    return 1 if options.check and not all(found["met"].values()) else 0


def _print(found: Figures) -> None:
    for name, value in found.items():
        for row in value if isinstance(value, list) else [value]:
            print(f"{name}:" if isinstance(row, dict) else f"{name}: {row}")
            for key, figure in row.items() if isinstance(row, dict) else ():
                print(f"  {key}: {figure}")


if __name__ == "__main__":
    sys.exit(main())
