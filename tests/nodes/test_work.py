"""Compute service: when tasks begin and end, and that work is really done meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from nodes import burner
from nodes.tasks import Answer, Task, pack_answer, pack_task, unpack_answer, unpack_task
from nodes.work import Burner, Job, Processor

S = 1_000_000_000


def job(tag: int, cycles: float, arrived_s: float = 0.0) -> Job:
    return Job(1, tag, Task(int(cycles), b"x"), int(arrived_s * S))


def test_service_time_is_cycles_over_rate() -> None:
    processor = Processor(rate_hz=3e9)
    processor.submit(job(1, 6e8))
    assert processor.advance(0)[1][0].tag == 1
    assert processor.due_ns == 0.2 * S
    assert processor.advance(int(0.2 * S) - 1) == ([], [])
    ended, _ = processor.advance(int(0.2 * S))
    assert [j.tag for j in ended] == [1]
    assert processor.due_ns is None


def test_tasks_are_served_first_come_first_served_without_drift() -> None:
    processor = Processor(rate_hz=1e9)
    for tag in (1, 2, 3):
        processor.submit(job(tag, 1e8))
        processor.advance(0)
    late_ns = 3_000_000  # every timer is 3 ms late, but the last task still ends on time
    for tag in (1, 2):
        assert [j.tag for j in processor.advance(tag * S // 10 + late_ns)[0]] == [tag]
    assert processor.due_ns == 3 * S // 10


def test_a_task_that_comes_to_an_idle_server_begins_on_arrival() -> None:
    processor = Processor(rate_hz=1e9)
    processor.submit(job(1, 1e8))
    processor.advance(0)
    processor.advance(S)
    processor.submit(job(2, 1e8, arrived_s=2.0))
    processor.advance(2 * S)
    assert processor.due_ns == 2 * S + S // 10


def test_a_change_of_speed_holds_for_the_running_task() -> None:
    processor = Processor(rate_hz=1e9)
    processor.submit(job(1, 1e9))
    processor.advance(0)
    processor.set_speed(0.5, S // 2)  # half is done, the other half takes twice as long
    assert processor.due_ns == S // 2 + S
    processor.set_speed(1.0, S)
    assert processor.due_ns == S + S // 4


def test_two_cores_serve_two_tasks() -> None:
    processor = Processor(rate_hz=1e9, cores=2)
    for tag in (1, 2, 3):
        processor.submit(job(tag, tag * 1e8))
    assert {j.core for j in processor.advance(0)[1]} == {0, 1}
    ended, begun = processor.advance(S // 10)
    assert [j.tag for j in ended] == [1]
    assert [(j.tag, j.core) for j in begun] == [(3, ended[0].core)]


def test_a_full_queue_refuses() -> None:
    processor = Processor(rate_hz=1e9, queue_limit=1)
    for tag in (1, 2):
        assert processor.submit(job(tag, 1e8))
        processor.advance(0)
    assert not processor.submit(job(3, 1e8))


def test_tasks_and_answers_survive_packing() -> None:
    task, answer = Task(1_400_000_000, b"data"), Answer(0, 7, 0.25, 0.5, bytes(32))
    assert unpack_task(pack_task(task)) == task
    assert unpack_answer(pack_answer(answer)) == answer
    assert unpack_task(b"short") is None
    assert unpack_answer(b"\xff" * 40) is None


@pytest.fixture
def worker() -> Iterator[Burner]:
    worker = Burner(share=0.5)
    yield worker
    worker.close()


def progressed(worker: Burner, rounds: int) -> tuple[int, bytes]:
    end_s = time.monotonic() + 15.0
    while time.monotonic() < end_s:
        done, digest = worker.progress()
        if done >= rounds:
            return done, digest
        time.sleep(0.005)
    pytest.fail("the burner did not compute")


def test_the_digest_is_the_chain_s(worker: Burner) -> None:
    data = os.urandom(50_000)
    worker.begin(data)
    rounds, digest = progressed(worker, 3)
    assert digest == burner.chain(data, rounds)
    assert worker.cpu_s > 0
    assert worker.scheduling in ("idle", "nice", "normal")


def test_a_new_task_replaces_the_old_one(worker: Burner) -> None:
    worker.begin(b"a" * 1000)
    progressed(worker, 1)
    worker.begin(b"b" * 1000)
    assert worker.progress() == (0, b"") or worker.progress()[0] > 0
    rounds, digest = progressed(worker, 1)
    assert digest == burner.chain(b"b" * 1000, rounds)


def test_the_worker_ends_with_its_owner(worker: Burner) -> None:
    worker.begin(b"x")
    pid = worker.pid
    worker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_no_more_than_the_stated_share_is_burnt(worker: Burner) -> None:
    worker.begin(os.urandom(50_000))
    progressed(worker, 1)
    begun_s, cpu_s = time.monotonic(), worker.cpu_s
    time.sleep(0.3)
    # Half a core was asked for; the rounds that overshoot a slice are set off against the next one.
    assert worker.cpu_s - cpu_s < 0.75 * (time.monotonic() - begun_s)
