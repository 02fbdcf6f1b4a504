"""Running a program in the foreground as if its user had started it: signals, stopping, exit status.

Like `nohup` or `env`, but staying beside it, since the connection to the plant must last as long as the
program.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Final

#: statuses of shells for a program that is not there, and for one that cannot be started (POSIX XCU 2.8.2)
NOT_FOUND: Final = 127
NOT_STARTED: Final = 126
_BY_SIGNAL: Final = 128

_PASSED_ON: Final = frozenset(
    {
        signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
        signal.SIGCONT, signal.SIGTSTP, signal.SIGWINCH,
    }
)  # fmt: skip
_STOPS: Final = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
_SI_KERNEL: Final = 0x80  # asm-generic/siginfo.h
_PR_SET_PDEATHSIG: Final = 1


def run_program(command: Sequence[str], connection: socket.socket, gone: Callable[[], None]) -> int:
    """Run a program and wait for it.

    Parameters
    ----------
    command : the program and its arguments
    connection : when the other side closes it, the program is told to end (SIGTERM)
    gone : called before that

    Returns its exit status; 128 + N when signal N ended it, 127 when there is no such program, 126 when it
    cannot be started. The program is killed when this process is.
    """
    # Blocked and waited for instead of handled: so none is lost, and who sent it can be seen.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON | {signal.SIGCHLD, signal.SIGIO})
    try:
        sys.stdout.flush()
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            _become(command, parent, before)
        return _accompany(child, connection, gone)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _become(command: Sequence[str], parent: int, mask: set[int]) -> None:
    """In the child: turn into the program; does not return."""
    status = NOT_STARTED
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == parent:
            # Python ignores these; an ordinary program does not expect that.
            for number in (signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.execvp(command[0], list(command))
    except FileNotFoundError:
        status = NOT_FOUND
        print(f"testbed: {command[0]}: there is no such program", file=sys.stderr, flush=True)
    except (OSError, ValueError) as error:
        print(f"testbed: {command[0]}: cannot be started ({error})", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def _accompany(child: int, connection: socket.socket, gone: Callable[[], None]) -> int:
    """Pass signals on until the child has ended; its exit status."""
    connection.setblocking(False)
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    connected = _is_open(connection)  # it may have ended before its signal was asked for
    told = False
    while True:
        if not connected and not told:
            told = True
            gone()
            os.kill(child, signal.SIGTERM)
        received = signal.sigwaitinfo(_PASSED_ON | {signal.SIGCHLD, signal.SIGIO})
        if received.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
            if ended and os.WIFSTOPPED(status):
                if os.WSTOPSIG(status) in _STOPS:
                    os.kill(os.getpid(), signal.SIGSTOP)  # or the shell would not get its terminal back
            elif ended:
                return _BY_SIGNAL + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        elif received.si_signo == signal.SIGIO:
            connected = connected and _is_open(connection)
        elif received.si_code != _SI_KERNEL:
            # One from the terminal has reached the program already: it is in the same process group.
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, received.si_signo)


def _is_open(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(64))
    except BlockingIOError:
        return True
    except OSError:
        return False
