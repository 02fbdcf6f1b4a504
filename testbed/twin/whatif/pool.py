"""Where jobs are run: in worker processes that stay warm, or in the caller's own.

A worker is started once with the public knowledge and loads the kernels before it is needed. Replications of
a job go to whoever is free; a caller that must not wait looks from time to time (`Running.poll`).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from threading import Thread
from typing import Final, Protocol

from nodes.processes import die_with_parent
from testbed.twin.public import Public
from testbed.twin.whatif.job import Job, Report, Trial, check
from testbed.twin.whatif.replicate import Replication, replicate
from testbed.twin.whatif.summary import summarise

#: workers leave the processor to whoever keeps deadlines
_NICE: Final = 5
#: time beyond a job's limit after which a worker that has not answered is given up, s
_PATIENCE_S: Final = 5.0
_WARM_UP_S: Final = 1.0


class Running(Protocol):
    """A job on its way."""

    def poll(self) -> Report | None:
        """The report once it is there; RuntimeError when it never will be."""


class Runner(Protocol):
    """Where jobs are run."""

    def submit(self, job: Job) -> Running:
        """Begins a job; BadInput, one sentence, for one that cannot be."""

    def close(self) -> None:
        """Ends whatever works."""


def run(job: Job, public: Public) -> Report:
    """A job in this process, from its beginning to its end; BadInput for one that cannot be."""
    check(job, public)
    began_s = time.monotonic()
    done: list[Replication] = []
    for number in range(job.replications):
        left_s = _left_s(began_s + job.limit_s)
        if done and left_s() <= 0.0:
            break
        done.append(replicate(job, public, number, left_s))
    return summarise(job, public, done, time.monotonic() - began_s)


class Inline:
    """Runs a job when it is asked for, before anything else goes on: for virtual time."""

    def __init__(self, public: Public) -> None:
        self._public = public

    def submit(self, job: Job) -> Running:
        return _Done(run(job, self._public))

    def close(self) -> None:
        """Nothing is open."""


class _Done:
    def __init__(self, report: Report) -> None:
        self._report = report

    def poll(self) -> Report | None:
        return self._report


class Pool:
    """Worker processes; `workers` of them, by default one for each processor."""

    def __init__(self, public: Public, workers: int = 0, nice: int = _NICE) -> None:
        self._public = public
        self.workers = workers or os.cpu_count() or 1
        self._executor = ProcessPoolExecutor(
            self.workers, get_context("spawn"), initializer=_begin, initargs=(public, nice, os.getpid())
        )

    def warm(self, timeout_s: float | None = None) -> bool:
        """Starts every worker and has it run something small; whether all were ready within the time."""
        self._warming = [self._executor.submit(_ready) for _ in range(self.workers)]
        if timeout_s == 0.0:
            return False
        return not wait(self._warming, timeout_s).not_done

    def submit(self, job: Job) -> Running:
        """Begins a job; BadInput for one that cannot be."""
        return _InPool(self._executor, check(job, self._public), self._public)

    def close(self) -> None:
        """Ends the workers, also those at work."""
        processes = list((self._executor._processes or {}).values())
        manager: Thread | None = getattr(self._executor, "_executor_manager_thread", None)
        self._executor.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(1.0)
            if process.is_alive():  # it may not have come so far that it can be asked
                process.kill()
                process.join()
        if manager is not None:
            manager.join(_PATIENCE_S)  # it waits for the same processes, and may have heard first of an end

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _InPool:
    def __init__(self, executor: ProcessPoolExecutor, job: Job, public: Public) -> None:
        self._job, self._public = job, public
        self._began_s = time.monotonic()
        ends_s = self._began_s + job.limit_s
        self._futures: list[Future[Replication | None]] = [
            executor.submit(_work, job, number, ends_s) for number in range(job.replications)
        ]

    def poll(self) -> Report | None:
        late = time.monotonic() - self._began_s > self._job.limit_s + _PATIENCE_S
        if not late and not all(future.done() for future in self._futures):
            return None
        done = []
        for future in self._futures:
            if not future.cancel() and future.done():
                try:
                    one = future.result()
                except BrokenProcessPool:
                    raise RuntimeError("a worker of the what-if ended unasked") from None
                if one is not None:
                    done.append(one)
        if not done:
            raise RuntimeError(f"no replication ended within {self._job.limit_s:g} s")
        return summarise(self._job, self._public, done, time.monotonic() - self._began_s)


def finish(running: Running, pause_s: float = 0.005) -> Report:
    """Waits for a job's report."""
    while True:
        report = running.poll()
        if report is not None:
            return report
        time.sleep(pause_s)


def _left_s(ends_s: float) -> Callable[[], float]:
    return lambda: ends_s - time.monotonic()


# --- in the worker ------------------------------------------------------------------------------------

_knowledge: Public | None = None


def _begin(public: Public, nice: int, parent: int) -> None:
    global _knowledge
    # what is needed to get here takes a second, in which the twin may have been killed
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it decides when it ends
    if nice:
        os.nice(nice)
    _knowledge = public
    left_s = public.run.duration_s
    replicate(Job(0.0, [Trial()], horizon_s=min(_WARM_UP_S, left_s), replications=1), public, 0)


def _ready() -> None:
    """Takes a moment, so that the next worker is started for the next call."""
    time.sleep(0.05)


def _work(job: Job, number: int, ends_s: float) -> Replication | None:
    """One replication; None when the time was up before it began."""
    assert _knowledge is not None
    left_s = _left_s(ends_s)
    if number and left_s() <= 0.0:
        return None
    return replicate(job, _knowledge, number, left_s)
