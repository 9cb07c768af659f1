"""What a tool printed, as text: head and tail, with what was dropped between them said in place."""

from __future__ import annotations

from typing import Literal

from interlock.sandbox.guest.capture import Capture


class Printed:
    """The bytes of one stream, as they arrive."""

    def __init__(self) -> None:
        self._parts = {"head": bytearray(), "tail": bytearray()}

    def add(self, part: Literal["head", "tail"], data: bytes) -> None:
        """Take bytes of the head or of the tail."""
        self._parts[part] += data

    def text(self, dropped: int) -> str:
        """The stream as text; bytes that are not UTF-8 are replaced."""
        head, tail = bytes(self._parts["head"]), bytes(self._parts["tail"])
        if not dropped:
            return (head + tail).decode("utf-8", "replace")
        note = f"\n[{dropped} bytes left out here]\n"
        return head.decode("utf-8", "replace") + note + tail.decode("utf-8", "replace")


def shorten(data: bytes, keep: int) -> str:
    """Output that is already complete, as the runner would have kept it."""
    capture, printed = Capture(keep), Printed()
    printed.add("head", capture.feed("stdout", data))
    printed.add("tail", capture.tail("stdout"))
    return printed.text(capture.dropped["stdout"])
