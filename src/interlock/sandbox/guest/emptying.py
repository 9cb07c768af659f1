"""Takes away all that a call left behind, before the next call of the same run comes.

Every process is dead by then. What is left lies in the four writable mounts, in kernel objects of the container's
own IPC namespace, and in POSIX queues. If anything cannot be removed, this raises and the container ends.
"""

from __future__ import annotations

import ctypes
import os
import shutil

FOLDERS = ("/workspace", "/artifacts", "/tmp", "/dev/shm")  # noqa: S108
_QUEUES = "/dev/mqueue"
_OBJECTS = {"shm": "shmctl", "sem": "semctl", "msg": "msgctl"}
_IPC_RMID = 0


def empty() -> None:
    """Remove every file, queue, shared memory and semaphore.

    Raises:
        OSError, RecursionError: something resists.
    """
    for folder in (*FOLDERS, _QUEUES):
        if os.path.isdir(folder):
            _clear(folder)
    for name, control in _OBJECTS.items():
        _remove_objects(f"/proc/sysvipc/{name}", control)


def _clear(folder: str) -> None:
    if folder in FOLDERS and os.stat(folder).st_uid == os.getuid():
        os.chmod(folder, 0o700)
        for name in os.listxattr(folder):
            if name.startswith("user."):
                os.removexattr(folder, name)
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            # One that its owner may not enter is opened, or nothing below it could be removed.
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                os.chmod(path, 0o700)
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def _remove_objects(table: str, control: str) -> None:
    if not os.path.exists(table):
        return
    with open(table, encoding="ascii") as file:
        rows = [line.split() for line in file][1:]
    remove = getattr(ctypes.CDLL(None, use_errno=True), control)
    for row in rows:
        ident = int(row[1])
        result = remove(ident, 0, _IPC_RMID, 0) if control == "semctl" else remove(ident, _IPC_RMID, 0)
        if result:
            raise OSError(ctypes.get_errno(), f"{control} {ident}")
