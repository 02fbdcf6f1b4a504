"""A process ends with the one that started it, also when that had ended before it could ask."""

from __future__ import annotations

import os
import select
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the Linux kernel")


def child(code: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30, check=False)


def test_who_asks_after_its_parent_has_gone_ends_at_once() -> None:
    asks = "from nodes.processes import die_with_parent; die_with_parent({}); print('lives')"
    assert b"lives" in child(asks.format(os.getpid())).stdout
    gone = child(asks.format(2**22 + 1))  # above the largest process id there can be
    assert (gone.returncode, gone.stdout) == (3, b"")


def test_a_child_is_ended_when_its_parent_is_killed() -> None:
    read, write = os.pipe()
    grandchild = (
        "from nodes.processes import die_with_parent; import os, sys;"
        "die_with_parent({}); print('up', flush=True); os.read(0, 1)"
    )
    code = (
        "import os, subprocess, sys;"
        f"p = subprocess.Popen([sys.executable, '-c', {grandchild!r}.format(os.getpid())],"
        f" stdout=subprocess.PIPE, stdin={read}, pass_fds=[{read}]);"
        "p.stdout.readline(); print(p.pid, flush=True); os.read(0, 1)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[read]
    )
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        descriptor = os.pidfd_open(pid)
        parent.kill()

        assert select.select([descriptor], [], [], 20.0)[0], "it lives on"
        os.close(descriptor)
    finally:
        parent.kill()
        parent.communicate()
        os.close(read)
        os.close(write)
