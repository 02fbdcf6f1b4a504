"""A program in the foreground: its exit status, its signals, the terminal's, and its connection's end."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ip.conftest import GIVE_UP_S, ROOT, finish

#: runs the program in its arguments beside a connection that ends when standard input does
RUNNER = """
import os, socket, sys, threading
from testbed.ip.program import run_program
ours, theirs = socket.socketpair()
if os.environ.get("GONE"):
    theirs.close()
sys.exit(run_program(sys.argv[1:], ours, lambda: print("gone", file=sys.stderr)))
"""
#: says ready, then each signal that comes; ends after `quit`
COUNTER = """
import signal, sys
names = {signal.SIGINT: "INT", signal.SIGTERM: "TERM", signal.SIGHUP: "HUP", signal.SIGUSR1: "USR1"}
signal.pthread_sigmask(signal.SIG_BLOCK, names)
print("ready", flush=True)
while True:
    number = signal.sigwait(names)
    print(names[number], flush=True)
    if number == signal.SIGTERM:
        sys.exit(5)
"""


def _start(*program: str, **options: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("more", {})}
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER, *program],
        env=environment,
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_the_exit_status_is_the_programs(script: str, status: int) -> None:
    assert finish(_start("sh", "-c", script))[0] == status


def test_a_program_that_is_not_there() -> None:
    assert finish(_start("no-such-program")) == (
        127, "", "testbed: no-such-program: there is no such program\n",
    )  # fmt: skip


def test_a_file_that_is_no_program() -> None:
    status, _, errors = finish(_start("/etc/hosts" if not os.access("/etc/hosts", os.X_OK) else "/etc"))
    assert status == 126
    assert "cannot be started (" in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_reaches_the_program(number: signal.Signals) -> None:
    process = _start(sys.executable, "-c", COUNTER)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.stdout.readline() == number.name.removeprefix("SIG") + "\n"
    process.send_signal(signal.SIGTERM)
    assert finish(process)[:2] == (5, "TERM\n")


def test_a_program_has_the_signals_of_an_ordinary_one() -> None:
    script = "grep -E '^Sig(Blk|Ign)' /proc/self/status"
    plain = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert finish(_start("sh", "-c", script))[1] == plain.stdout


def test_a_connection_that_ends_ends_the_program() -> None:
    process = _start("sleep", "1000", more={"GONE": "1"})
    assert finish(process) == (128 + signal.SIGTERM, "", "gone\n")


def test_the_program_goes_when_its_companion_is_killed() -> None:
    process = _start(sys.executable, "-c", COUNTER)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    assert process.stdout.read() == ""  # the end of the pipe: nobody holds it any more
    process.communicate()


@pytest.fixture
def terminal() -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The master of a terminal in whose foreground a companion and its counter run."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNER, sys.executable, "-c", COUNTER],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(slave), os.O_RDWR)),
    )
    os.close(slave)
    yield master, process
    process.kill()
    process.wait(GIVE_UP_S)
    os.close(master)


def _read_until(master: int, end: str) -> str:
    text = ""
    while end not in text:
        assert select.select([master], [], [], GIVE_UP_S)[0], text
        text += os.read(master, 1024).decode()
    return text


def _kill_session(session: int) -> None:
    """Kill all processes of a session, the leader last so that its number stays taken."""
    members = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:  # proc_pid_stat(5)
                members.append(int(process.name))
    for pid in sorted(members, key=lambda each: each == session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_what_the_terminal_sends_reaches_the_program_once(
    terminal: tuple[int, subprocess.Popen[str]],
) -> None:
    master, process = terminal
    _read_until(master, "ready")
    # The companion hears of it only when the program has: two at once would be one.
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    os.write(master, b"\x03")
    shown = _read_until(master, "INT")
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)  # passed on after anything that was passed on before
    shown += _read_until(master, "TERM")
    assert shown.count("INT") == 1
    assert process.wait(GIVE_UP_S) == 5


def test_a_program_that_was_stopped_and_continued_goes_on(
    terminal: tuple[int, subprocess.Popen[str]],
) -> None:
    master, process = terminal
    _read_until(master, "ready")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    os.kill(int(children), signal.SIGSTOP)
    os.kill(int(children), signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    assert "TERM" in _read_until(master, "TERM")
    assert process.wait(GIVE_UP_S) == 5


@pytest.mark.skipif(shutil.which("bash") is None, reason="no shell with job control")
def test_a_shell_gets_its_terminal_back_when_the_program_is_stopped() -> None:
    master, slave = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "--norc", "--noediting", "-i"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PS1": "", "RUNNER": RUNNER, "COUNTER": COUNTER},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
    )
    os.close(slave)
    try:
        program = f'{sys.executable} -c "$RUNNER" {sys.executable} -c "$COUNTER"'
        os.write(master, f"{program}\n".encode())
        _read_until(master, "\r\nready\r\n")
        foreground = os.tcgetpgrp(master)
        os.write(master, b"\x1a")
        _read_until(master, "Stopped")
        os.write(master, b"echo still $((1+1))\n")
        _read_until(master, "still 2")
        os.write(master, b"fg\n")
        while os.tcgetpgrp(master) != foreground:  # until then the shell itself would be interrupted
            os.sched_yield()
        os.write(master, b"\x03")
        _read_until(master, "INT")
    finally:
        _kill_session(shell.pid)
        shell.wait(GIVE_UP_S)
        os.close(master)
