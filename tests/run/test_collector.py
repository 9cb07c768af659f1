"""What a worker asks of the garbage collector."""

from __future__ import annotations

import subprocess
import sys

SETTLED = """
import gc, weakref
from interlock.run.collector import settle

class Link:
    pass

settle()
assert gc.get_freeze_count() > 10_000, "what was loaded is looked at again"
one, other = Link(), Link()
one.other, other.one = other, one
gone = weakref.ref(one)
del one, other
for _ in range(200_000):
    link = Link()
    link.itself = link
assert gone() is None, "a ring that was dropped later is kept"
"""


def test_loaded_things_are_left_alone_and_later_rings_are_not() -> None:
    done = subprocess.run([sys.executable, "-c", SETTLED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
