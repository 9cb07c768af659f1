"""Text that payloads are made of, for compression: `vocabularies/NUMBER.txt`, whose line ends mean nothing.

A released one never changes, since payloads name it by its number. Deflate prefers what is near, and a vocabulary
lies before the payload: what comes oftenest stands last. `#` stands for a digest, as `packing.py` writes one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

CURRENT: Final = 1
"""The vocabulary that new payloads are packed with."""
DIGEST_MARK: Final = b"\x01"
"""Stands before a digest's 32 bytes. JSON has no such byte of its own."""
_FOLDER: Final = Path(__file__).parent / "vocabularies"


def _read(path: Path) -> bytes:
    return path.read_bytes().replace(b"\n", b"").replace(b"#", DIGEST_MARK)


VOCABULARIES: Final = {int(path.stem): _read(path) for path in sorted(_FOLDER.glob("*.txt"))}
"""By number."""
