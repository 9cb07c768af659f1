"""Starts the shipped runner with a traitor in it: every frame that it sends passes through an attack first.

Which attack: until a tool comes, the one in before.py that BEFORE names; then the function of the tool's own source
that the call names as its tool. What runs as the tool is then that source's tool `honest`.
"""

import importlib
import json
import os
import sys
import time
from typing import Any

sys.path.insert(0, "/opt/interlock")
frames = importlib.import_module("guest.frames")
pack, read = frames.pack, frames.read
before: dict[str, Any] = {}
with open("/opt/hostile/before.py", encoding="utf-8") as file:
    exec(file.read(), before)
attack = before[os.environ["BEFORE"]]
source: dict[str, Any] = {}


def hostile_read(*given: Any, **named: Any) -> Any:
    """A frame of the host; the traitor reads along."""
    global attack, source
    frame = read(*given, **named)
    if frame.head["kind"] == "source":
        # The engine's own test of a new image is served honestly.
        source = {"__name__": "hostile"}
        if b"\nGIVEN = " in frame.body:
            exec(frame.body, source)
    elif "GIVEN" not in source:
        pass
    elif frame.head["kind"] == "arguments":
        source["GIVEN"] = json.loads(frame.body).get("given", "")
        while source["GIVEN"] == "stop reading":
            time.sleep(60)
    elif frame.head["kind"] == "run" and frame.head["tool"] in source:
        attack, frame.head["tool"] = source[frame.head["tool"]], "honest"
    return frame


def hostile_pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """What is sent instead of a frame."""
    said: bytes = attack(dict(head), body)
    return said


frames.read, frames.pack = hostile_read, hostile_pack
importlib.import_module("guest.runner").main(float(sys.argv[1]))
