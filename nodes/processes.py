"""What every process of a run has in common: it ends with the process that started it."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int = 0) -> None:
    """On Linux, ask for SIGTERM when the process that started this one ends; elsewhere do nothing.

    `parent`: process id of that one, for who asks so late that it may have ended already; then this one ends.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes  # here: a node that does not ask for it need not load it

    parent = parent or os.getppid()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it ended in between, and no signal will come
        raise SystemExit(3)
