"""What the operating system can do so that the loop is not kept waiting: priority, memory, timers, sleep.

Each measure is tried and is no error where it is not permitted; what was obtained is reported. Why memory
matters: the loop shares its process with ordinary threads. One of them may be put to sleep by the scheduler
while it holds the process's memory map, and a page fault of the loop then waits for it, for milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any, Final

LINUX: Final = sys.platform.startswith("linux")
PRIORITY: Final = 50
_PR_SET_TIMERSLACK: Final = 29
_MCL_CURRENT: Final = 1
_MCL_FUTURE: Final = 2
_M_TRIM_THRESHOLD: Final = -1
_M_TOP_PAD: Final = -2
_M_MMAP_MAX: Final = -4


def priority_permitted() -> bool:
    """Whether this process may use SCHED_FIFO. Tried, and taken back."""
    if not LINUX:
        return False
    try:
        before = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
        os.sched_setscheduler(0, *before)
    except OSError:
        return False
    return True


def priority_is_rationed() -> bool:
    """Whether the system stops threads with priority that leave others too little: 5 % as it comes.

    The kernel's documentation, "Real-Time group scheduling": sched_rt_runtime_us, -1 for no limit.
    """
    try:
        return int(Path("/proc/sys/kernel/sched_rt_runtime_us").read_text()) >= 0
    except (OSError, ValueError):
        return False


def prefer_thread(priority: bool, core: int | None = None) -> None:
    """For the calling thread: wake-ups without slack, SCHED_FIFO if `priority`, a core of its own."""
    if not LINUX:
        return
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    # Pid 0 is the calling thread.
    if priority:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    if core is not None:
        os.sched_setaffinity(0, {core})


def cores() -> set[int]:
    """The cores this process may use; empty where that cannot be told."""
    return set(os.sched_getaffinity(0)) if LINUX else set()


def use_cores(wanted: set[int]) -> None:
    """Use these cores, as `cores` told them."""
    if LINUX and wanted:
        os.sched_setaffinity(0, wanted)


def leave_a_core() -> int | None:
    """Keep this process, and all it starts, off one core; its number. None where that cannot be done.

    Without real-time priority this is what keeps ordinary processes from making the loop wait. It needs
    no privilege, and a second core.
    """
    allowed = cores()
    if len(allowed) < 2:
        return None
    kept = max(allowed)
    use_cores(allowed - {kept})
    return kept


def forbid_idle_states() -> int | None:
    """Have processors wait in their shallowest state; a descriptor to close when done, None if not permitted.

    A processor that sleeps deeply (on a virtual machine: one that is handed back to the host) takes its
    time to come back, up to milliseconds. Linux, "PM Quality Of Service Interface": the wish for 0 us
    holds as long as the file is open.
    """
    if not LINUX:
        return None
    try:
        descriptor = os.open("/dev/cpu_dma_latency", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        os.write(descriptor, (0).to_bytes(4, sys.byteorder))
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def become_idle_filler(core: int) -> None:
    """Have the calling thread run on a core only while nothing else does, which needs no privilege."""
    if LINUX:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        os.sched_setaffinity(0, {core})


def hold_memory() -> bool:
    """Keep freed memory instead of giving it back, and all of it resident; whether it is locked.

    Giving memory back changes the map of the process, and so does asking for it again.
    """
    if not LINUX:
        return False
    libc: Any = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_M_TRIM_THRESHOLD, 1 << 30), (_M_TOP_PAD, 16 << 20), (_M_MMAP_MAX, 0)):
        if hasattr(libc, "mallopt"):
            libc.mallopt(option, value)
    return bool(libc.mlockall(_MCL_CURRENT | _MCL_FUTURE) == 0)
