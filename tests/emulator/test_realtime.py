"""Cores kept free and priorities tried: what the channel asks of the operating system, and gives back."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from emulator.dataplane import realtime

linux_only = pytest.mark.skipif(not realtime.LINUX, reason="processor affinity is a matter of Linux")


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@linux_only
def test_a_core_is_left_by_this_process_and_all_it_starts_and_taken_back() -> None:
    if len(realtime.cores()) < 2:
        pytest.skip("there is one core only, none can be left free")
    program = (
        "import os, subprocess, sys\n"
        "from emulator.dataplane import realtime\n"
        "before = realtime.cores()\n"
        "kept = realtime.leave_a_core()\n"
        "assert kept in before and kept not in realtime.cores()\n"
        "child = 'import os; print(sorted(os.sched_getaffinity(0)))'\n"
        "out = subprocess.run([sys.executable, '-c', child], capture_output=True, text=True).stdout\n"
        "assert out.strip() == str(sorted(before - {kept})), out\n"
        "realtime.use_cores(before)\n"
        "print(realtime.cores() == before)\n"
    )
    assert run(program) == "True"


@linux_only
def test_with_one_core_there_is_none_to_leave() -> None:
    program = (
        "import os\n"
        "from emulator.dataplane import realtime\n"
        "os.sched_setaffinity(0, {min(realtime.cores())})\n"
        "print(realtime.leave_a_core())\n"
    )
    assert run(program) == "None"


@linux_only
def test_trying_priority_leaves_the_process_as_it_was() -> None:
    program = (
        "import os\n"
        "from emulator.dataplane import realtime\n"
        "realtime.priority_permitted()\n"
        "print(os.sched_getscheduler(0) == os.SCHED_OTHER)\n"
    )
    assert run(program) == "True"


@linux_only
def test_idle_states_are_forbidden_only_as_long_as_asked() -> None:
    descriptor = realtime.forbid_idle_states()
    if descriptor is None:
        assert os.geteuid() != 0 or not os.path.exists("/dev/cpu_dma_latency")
        return
    # Read back, the file tells the strictest wish of all processes, in us.
    assert int.from_bytes(os.pread(descriptor, 4, 0), sys.byteorder) == 0
    os.close(descriptor)


@linux_only
def test_a_filler_gives_way_to_everything() -> None:
    program = (
        "import os\n"
        "from emulator.dataplane import realtime\n"
        "core = min(realtime.cores())\n"
        "realtime.become_idle_filler(core)\n"
        "print(os.sched_getscheduler(0) == os.SCHED_IDLE and realtime.cores() == {core})\n"
    )
    assert run(program) == "True"
