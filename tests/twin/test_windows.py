"""When windows are closed and when the process ends: the controller without a process."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
import zmq

from nodes import wire
from testbed.errors import BadInput, EnvironmentProblem
from testbed.twin import controller
from testbed.twin.controller import Windows


class StubTwin:
    """A twin that is never started."""

    counters: Counter[str] = Counter()  # noqa: RUF012


START, LENGTH = 10**12, 500_000_000


def test_a_window_with_reports_is_closed_once_they_have_settled() -> None:
    windows = Windows(START, LENGTH)
    arrived = START + LENGTH + 5_000_000
    assert arrived < windows.due_ns(20, arrived) < arrived + 50_000_000


def test_reports_that_come_early_do_not_close_it_early() -> None:
    assert Windows(START, LENGTH).due_ns(20, START) >= START + LENGTH


def test_a_window_without_reports_is_closed_after_the_grace() -> None:
    windows = Windows(START, LENGTH)
    assert windows.due_ns(0, 0) == START + LENGTH + int(windows.grace_s * 1e9)


def test_a_stream_that_never_settles_cannot_hold_it_open() -> None:
    windows = Windows(START, LENGTH)
    assert windows.due_ns(1, START + 10 * LENGTH) == windows.due_ns(0, 0)


def test_late_reports_lengthen_the_grace_up_to_a_bound() -> None:
    windows = Windows(START, LENGTH)
    before = windows.grace_s
    windows.noticed_late(1)
    assert windows.grace_s > before
    windows.noticed_late(1)
    once = windows.grace_s
    for late in range(2, 50):
        windows.noticed_late(late)
    assert once < windows.grace_s <= 2.0


def test_nobody_there_is_a_problem_of_the_environment() -> None:
    lonely = controller.Controller("tcp://127.0.0.1:9", StubTwin())  # type: ignore[arg-type]
    with pytest.raises(EnvironmentProblem, match="is the testbed running"):
        lonely.run(wait_s=0.05)


def test_an_endpoint_that_is_none_is_bad_input() -> None:
    with pytest.raises(BadInput, match="--connect nonsense"):
        controller.Controller("nonsense", StubTwin())  # type: ignore[arg-type]


def test_a_supervisor_that_falls_silent_ends_the_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "SILENCE_S", 0.1)
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        twin = controller.Controller(f"tcp://127.0.0.1:{port}", StubTwin())  # type: ignore[arg-type]
        statuses: list[int] = []
        thread = threading.Thread(target=lambda: statuses.append(twin.run()))
        thread.start()
        identity, data = socket.recv_multipart()
        assert isinstance(wire.decode(data), wire.Register)
        socket.send_multipart([identity, wire.encode(wire.Registered(1, "", {}, {}))])
        thread.join(10.0)
        assert statuses == [3]
