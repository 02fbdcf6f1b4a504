"""What is told of tasks: by the server when one is done, by the client when the answer has come."""

from __future__ import annotations

import numpy as np
import pytest

from emulator.traffic.layout import SERVED
from nodes import wire
from testbed.virtual.packets import Arrival
from testbed.virtual.tasks import Tasks

MS = 1_000_000
NAMES = {1: "sensor-1", 5: "edge-1"}


def _served(message: int = 7, waiting: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    served = np.zeros(1, SERVED)
    served[0] = (10 * MS, 30 * MS, 130 * MS, 3e8, message, 0, 0, 1, waiting)
    return served


def _answer(tag: int = 7, kind: int = wire.RESULT) -> Arrival:
    return Arrival(145 * MS, 130 * MS, 2 * MS, 5, 5, 1, kind, tag, 1, 101)


def test_a_server_tells_of_a_task_when_it_is_done() -> None:
    tasks = Tasks(NAMES, ["edge-1"])
    (record,) = tasks.finished(_served(waiting=3))
    assert (record.t_ns, record.tags) == (130 * MS, {"node": "edge-1", "client": "sensor-1"})
    assert record.fields == {"cycles": 3e8, "service_s": 0.1, "queue_s": 0.02, "queue_length": 3}
    assert tasks.waiting == {"edge-1": 3}


def test_a_client_tells_of_the_whole_latency_once() -> None:
    tasks = Tasks(NAMES, ["edge-1"])
    list(tasks.finished(_served()))
    (record,) = tasks.answered(_answer())
    assert (record.t_ns, record.tags) == (145 * MS, {"node": "sensor-1", "server": "edge-1"})
    # from the first packet of the task to the answer
    assert float(record.fields["latency_s"]) == pytest.approx(0.143)
    assert not list(tasks.answered(_answer()))


def test_other_packets_and_other_answers_are_nobodys() -> None:
    tasks = Tasks(NAMES, ["edge-1"])
    list(tasks.finished(_served()))
    assert not list(tasks.answered(_answer(kind=wire.DATA)))
    assert not list(tasks.answered(_answer(tag=8)))
