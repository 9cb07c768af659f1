"""Words that payloads are made of, for compression. A released one never changes: payloads name it by its number.

Deflate looks back from the end, so what comes oftenest stands last.
"""

from __future__ import annotations

from typing import Final

CURRENT: Final = 1
"""The vocabulary that new payloads are packed with."""

VOCABULARIES: Final = {1: b""}
