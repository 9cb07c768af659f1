"""Leaves in the workspace and among the artifacts what a host should not follow, open or unpack."""

import errno
import gzip
import hashlib
import io
import os
import socket
import tarfile
import zipfile
from collections.abc import Callable

from interlock import tool

MIB = 1 << 20


def refusal(action: Callable[[], object]) -> str:
    """What came of an attempt."""
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "allowed"


@tool(action="execute")
def links(folder: str) -> dict[str, str]:
    """Symbolic links out, hard links, pipes, sockets, devices."""
    os.chdir(folder)
    for name, target in {
        "passwd": "/etc/passwd",
        "environ": "/proc/1/environ",
        "up": "../../etc/shadow",
        "folder": "/etc",
        "root": "/",
        "loop": "loop",
        "dangling": "nothing",
        "descriptor": "/proc/self/fd/0",
    }.items():
        os.symlink(target, name)
    os.mkfifo("pipe")
    socket.socket(socket.AF_UNIX).bind("socket")
    with open("plain", "w", encoding="ascii") as file:
        file.write("kept")
    os.link("plain", "hard")
    return {
        "hard link out": refusal(lambda: os.link("/etc/passwd", "stolen")),
        "hard link to the runner": refusal(lambda: os.link("/opt/interlock/__main__.py", "runner")),
        "device": refusal(lambda: os.mknod("device", 0o020666, os.makedev(1, 5))),
    }


@tool(action="write")
def replace() -> int:
    """Put links in the places of files and folders that were sent."""
    os.remove("a.txt")
    os.symlink("/etc/passwd", "a.txt")
    os.remove("folder/b.txt")
    os.rmdir("folder")
    os.symlink("/etc", "folder")
    return 1


@tool(action="write")
def upwards() -> dict[str, str]:
    """Names that would lead out, were they joined to a path."""
    found = {
        name: refusal(lambda n=name: os.close(os.open(f"/workspace/{n}", os.O_CREAT))) for name in ("..", ".", "")
    }
    for name in (b"..\\up", b"C:\\up", b"line\nbreak", b"\xff\xfe", b"\x1b[2J", b"...", b"-rf", b" "):
        os.close(os.open(b"/workspace/" + name, os.O_CREAT | os.O_WRONLY))
    return found


@tool(action="write")
def deep() -> int:
    """Folders in folders, past what a path holds."""
    os.chdir("/workspace")
    for _ in range(200):
        os.mkdir("d" * 30)
        os.chdir("d" * 30)
    with open("f", "w", encoding="ascii") as file:
        file.write("x")
    return 1


@tool(action="write")
def late() -> int:
    """A child goes on swapping a file and a link after the tool has returned."""
    with open("/workspace/race", "w", encoding="ascii") as file:
        file.write("start")
    if os.fork() == 0:
        os.setsid()
        while True:
            refusal(lambda: os.symlink("/etc/passwd", "/workspace/next"))
            refusal(lambda: os.replace("/workspace/next", "/workspace/race"))
            with open("/workspace/new", "w", encoding="ascii") as file:
                file.write("x")
            os.replace("/workspace/new", "/workspace/race")
    return 1


def _zip() -> bytes:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("zeros", bytes(32 * MIB))
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        for at in range(64):
            archive.writestr(f"{at}.zip", inner.getvalue())
        archive.writestr("../../../etc/cron.d/owned", "x")
        archive.writestr("/etc/owned", "x")
    return outer.getvalue()


def _tar() -> bytes:
    kinds = {
        "../../up": tarfile.REGTYPE,
        "/etc/owned": tarfile.REGTYPE,
        "link": tarfile.SYMTYPE,
        "hard": tarfile.LNKTYPE,
        "device": tarfile.CHRTYPE,
        "disk": tarfile.BLKTYPE,
        "pipe": tarfile.FIFOTYPE,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind in kinds.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = kind, "/etc/passwd", 0o6777
            archive.addfile(entry)
    return buffer.getvalue()


@tool(action="write")
def bombs() -> dict[str, str]:
    """Archives that grow, and archives that reach out: in the workspace and as artifacts. Their digests."""
    made = {
        "bomb.zip": _zip(),
        "bomb.gz": gzip.compress(gzip.compress(bytes(64 * MIB))),
        "out.tar": _tar(),
        "out.tar.gz": gzip.compress(_tar()),
    }
    for name, content in made.items():
        for folder in ("/workspace", "/artifacts"):
            with open(f"{folder}/{name}", "wb") as file:
                file.write(content)
    return {name: f"sha256:{hashlib.sha256(content).hexdigest()} {len(content)}" for name, content in made.items()}


@tool(action="write")
def many_artifacts() -> int:
    """More artifacts than there may be, folders among them."""
    for at in range(100):
        with open(f"/artifacts/{at:03}", "wb") as file:
            file.write(b"x")
    os.mkdir("/artifacts/000folder")
    with open("/artifacts/000folder/inside", "wb") as file:
        file.write(b"x")
    return 1


@tool(action="write")
def hollow(folder: str) -> int:
    """Files that are large and hold nothing."""
    for at in range(8):
        with open(f"{folder}/{at}", "wb") as file:
            file.truncate(48 * MIB)
    return 1


@tool(action="write")
def locked() -> int:
    """Folders and files that their owner may not read."""
    os.mkdir("/workspace/shut")
    with open("/workspace/shut/f", "w", encoding="ascii") as file:
        file.write("x")
    os.chmod("/workspace/shut/f", 0)
    os.chmod("/workspace/shut", 0)
    os.chmod("/workspace", 0)
    return 1
