"""Numbers of the system calls that a tool never needs and that kernels were broken into through.

Docker's own profile stays underneath; it allows some of these (io_uring, user-namespace tricks by kernel and
engine version), so none of them is left to it. Columns: x86_64, aarch64; None where the machine has no such call.
"""

from __future__ import annotations

MACHINES = ("x86_64", "aarch64")
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_Numbers = dict[str, tuple[int | None, int | None]]

DENIED: _Numbers = {
    # io_uring does I/O that no seccomp filter sees
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # kernel programs, tracing, other processes' memory
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    # keyrings are shared by user id across containers
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    # tells which pages of a file, which all containers share, somebody has read
    "cachestat": (451, 451),
    # memory that the kernel itself cannot look into
    "memfd_secret": (447, 447),
    # the machine itself
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "personality": (135, 92),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "set_mempolicy_home_node": (450, 450),
    "lookup_dcookie": (212, 18),
    "vhangup": (153, 58),
}
"""Each returns EPERM."""

CLONE: tuple[int, int] = (56, 220)
CLONE3: tuple[int, int] = (435, 435)
SOCKET: tuple[int, int] = (41, 198)
SOCKETPAIR: tuple[int, int] = (53, 199)
IOCTL: tuple[int, int] = (16, 29)

OWN_ONLY: dict[str, tuple[tuple[int, int], tuple[int, ...]]] = {
    "prlimit64": ((302, 261), (0,)),
    "sched_setparam": ((142, 118), (0,)),
    "sched_setscheduler": ((144, 119), (0,)),
    "sched_setaffinity": ((203, 122), (0,)),
    "sched_setattr": ((314, 274), (0,)),
    # PRIO_PROCESS and IOPRIO_WHO_PROCESS; then whose
    "setpriority": ((141, 140), (0, 0)),
    "ioprio_set": ((251, 30), (1, 0)),
}
"""Calls that change limits or priority, and the first arguments with which they reach the caller alone. The runner
has the tool's user: with others they would slow it down, also for a later call."""

TERMINAL_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX type into a terminal as its user would."""

NEW_NAMESPACES = 0x7E020000
"""Every CLONE_NEW… flag that clone knows."""

SOCKET_FAMILIES = (1, 2, 10)
"""AF_UNIX, AF_INET, AF_INET6: not vsock, kernel crypto, netlink, packet or any other."""
