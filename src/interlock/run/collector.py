"""Python's garbage collector in a worker: a process that holds much for ever and drops little for each step."""

from __future__ import annotations

import gc
from typing import Final

YOUNG: Final = 5_000
"""Objects that were made and not dropped before the collector looks at them; Python's own is 700."""


def settle() -> None:
    """To be called once, when all is loaded: what is there now is never looked at again, what comes less often.

    A worker's modules and models are some hundred thousand objects that live as long as it does.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
