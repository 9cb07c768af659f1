"""`PYTHONPATH=tests python -m policy.fuzz --minutes 10`, or `make fuzz`. Exit code 1 if something crashed."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from policy.fuzz.campaign import Campaign
from policy.fuzz.targets import Targets
from ruamel.yaml.error import ReusedAnchorWarning


def main() -> int:
    """Run and report."""
    options = argparse.ArgumentParser(prog="python -m policy.fuzz", description=__doc__)
    options.add_argument("--minutes", type=float, default=10.0)
    options.add_argument("--seed", type=int, default=time.time_ns() % 10**9, help="number of the first input")
    options.add_argument("--target", help="only this one")
    options.add_argument("--only", type=int, help="only this input, to see a crash again")
    given = options.parse_args()
    warnings.simplefilter("ignore", ReusedAnchorWarning)
    with tempfile.TemporaryDirectory() as folder:
        targets = Targets(Path(folder)).all()
        campaign = Campaign({name: t for name, t in targets.items() if given.target in (None, name)})
        print(f"first input {given.only if given.only is not None else given.seed}", flush=True)
        if given.only is not None:
            campaign.run(given.only, inputs=1)
        else:
            campaign.run(given.seed, seconds=given.minutes * 60)
    print(", ".join(f"{count} {name}" for name, count in campaign.tried.items()))
    print(f"slowest input {campaign.slowest_s:.2f} s of CPU time; {len(campaign.crashes)} kinds of crash")
    for what, error in campaign.crashes.items():
        print(f"\n{what}")
        traceback.print_exception(error)
    return 1 if campaign.crashes else 0


sys.exit(main())
