"""What every way is asked to do: one small Python function, JSON in and JSON out. Standard library only."""

from __future__ import annotations

import json
import textwrap
from typing import Any

ADD = '''\
def add(numbers: list[int]) -> dict[str, int]:
    """Sum and count."""
    return {"total": sum(numbers), "count": len(numbers)}
'''

PLANT = '''\
def plant(mark: str) -> list[str]:
    """Leave a mark wherever it can be left."""
    import builtins, os, subprocess, sys, time
    planted = ["environment", "interpreter", "process"]
    folders = {"tmp": "/tmp", "workspace": os.getcwd(), "home": os.path.expanduser("~"), "shm": "/dev/shm"}
    for name, folder in folders.items():
        try:
            with open(os.path.join(folder, mark + name), "w") as file:
                file.write(mark)
            planted.append(name)
        except OSError:
            pass
    os.environ[mark] = mark
    setattr(builtins, mark, mark)
    nothing = subprocess.DEVNULL
    sleeper = [sys.executable, "-c", "import time; time.sleep(120)", mark]
    subprocess.Popen(sleeper, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
    time.sleep(0.05)  # a kernel tells a program's arguments a moment after it has begun
    return sorted(planted)
'''

LOOK = '''\
def look(mark: str) -> list[str]:
    """Name every place where that mark is found."""
    import builtins, glob, os
    folders = {"tmp": "/tmp", "workspace": os.getcwd(), "home": os.path.expanduser("~"), "shm": "/dev/shm"}
    found = [name for name, folder in folders.items() if os.path.exists(os.path.join(folder, mark + name))]
    if mark in os.environ:
        found.append("environment")
    if hasattr(builtins, mark):
        found.append("interpreter")
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                if mark.encode() in file.read().split(b"\\0"):
                    found.append("process")
        except OSError:
            pass
    return sorted(set(found))
'''

FUNCTIONS = {"add": ADD, "plant": PLANT, "look": LOOK}


def script(function: str, arguments: dict[str, Any]) -> str:
    """A program that prints the function's value as JSON: what the peers run."""
    given = json.dumps(json.dumps(arguments))
    return f"import json\n\n{FUNCTIONS[function]}\nprint(json.dumps({function}(**json.loads({given}))))\n"


def tool(function: str) -> bytes:
    """The same function as a tool: what Interlock runs."""
    return textwrap.dedent(
        f'from interlock import tool\n\n\n@tool(action="execute")\n{FUNCTIONS[function]}'
    ).encode()


def printed(output: str) -> Any:
    """The value that a script printed."""
    lines = output.strip().splitlines()
    if not lines:
        raise RuntimeError("nothing was printed")
    return json.loads(lines[-1])


def expected(numbers: list[int]) -> dict[str, int]:
    """What `add` answers."""
    return {"total": sum(numbers), "count": len(numbers)}
