"""When windows are closed and when the process ends: the controller without a process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest
import zmq

from nodes import wire
from testbed.errors import BadInput, EnvironmentProblem
from testbed.twin import controller
from testbed.twin.controller import Windows

START, LENGTH = 10**12, 500_000_000
GRACE = 160_000_000


class StubTwin:
    """A twin that is never started."""

    counters: Counter[str] = Counter()  # noqa: RUF012


class Standing(controller.Clock):
    """A clock that goes on only when it is told to."""

    def __init__(self, goes_on: bool = True) -> None:
        self.goes_on = goes_on
        self.t_ns = START

    def now_ns(self) -> int:
        return self.t_ns


class Diary:
    """A twin that writes down what it is asked for, and is held up by `hold` in the call `where`."""

    window_s = LENGTH / 1e9
    quiet = False

    def __init__(self, where: str, hold: Callable[[], None]) -> None:
        self.counters: Counter[str] = Counter()
        self.calls: list[str] = []
        self._where, self._hold = where, hold
        self._reports: Counter[int] = Counter()
        self._written = threading.Condition()

    def wait_for(self, call: str) -> None:
        """Until it is asked for something."""
        with self._written:
            assert self._written.wait_for(lambda: call in self.calls, 20.0), self.calls

    def _note(self, call: str) -> list[wire.Record]:
        with self._written:
            self.calls.append(call)
            self._written.notify_all()
        if call.startswith(self._where):
            self._hold()
        return []

    def begin(self, start_ns: int) -> None:
        assert start_ns == START

    def take(self, records: list[wire.Record]) -> None:
        self._reports.update((r.t_ns - 1 - START) // LENGTH for r in records if r.measurement == "link")

    def holds(self, window: int) -> int:
        return self._reports[window]

    def close(self, window: int, now_ns: int) -> list[wire.Record]:
        return self._note(f"close {window} with {self.holds(window)}")

    def predict(self, window: int) -> list[wire.Record]:
        return self._note(f"predict {window}")

    def miss(self, until: int) -> None:
        self._note(f"miss until {until}")

    def beliefs(self, now_ns: int) -> list[wire.Record]:
        return []

    def snapshot(self, beside: object | None = None) -> bytes:
        self._note("snapshot")
        return b""


def held_up(where: str, ns: int, reported: range, until: str, goes_on: bool = True) -> list[str]:
    """What a twin is asked for, up to the call `until`, that is held up in the call `where` for so long.

    Meanwhile reports of the windows `reported` come to its socket, and are not read.
    """
    clock, held = Standing(goes_on), threading.Event()

    def hold() -> None:
        held.set()
        assert twin._socket.poll(20_000)
        clock.t_ns += ns

    diary = Diary(where, hold)
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        twin = controller.Controller(f"tcp://127.0.0.1:{port}", diary, clock=clock)  # type: ignore[arg-type]

        def send(*messages: wire.Message) -> None:
            for message in messages:
                socket.send_multipart([b"twin", wire.encode(message)])

        thread = threading.Thread(target=twin.run)
        thread.start()
        try:
            socket.recv_multipart()
            send(wire.Registered(1, "", {}, {}), wire.Start(START, 10.0, ""))
            diary.wait_for("predict 0")
            clock.t_ns = START + LENGTH + GRACE
            assert held.wait(20.0)
            times_ns = [START + (window + 1) * LENGTH for window in reported]
            send(wire.Telemetry([wire.Record(t_ns, "link", {"link": "a>b"}, {}) for t_ns in times_ns]))
            diary.wait_for(until)
        finally:
            send(wire.Quiesce(), wire.Stop())
            thread.join(10.0)
    return diary.calls[diary.calls.index("predict 0") : diary.calls.index(until) + 1]


def test_what_came_while_the_twin_was_held_up_is_read_before_it_is_missed() -> None:
    calls = held_up("snapshot", LENGTH + GRACE, range(1, 2), "predict 2")
    assert calls == ["predict 0", "close 0 with 0", "predict 1", "snapshot", "close 1 with 1", "predict 2"]


def test_a_window_that_was_reported_before_it_was_predicted_is_left_out() -> None:
    calls = held_up("close 0", 2 * LENGTH, range(1, 3), "predict 3")
    assert calls == ["predict 0", "close 0 with 0", "miss until 3", "predict 3"]


def test_a_window_whose_reports_are_not_here_can_still_be_predicted() -> None:
    calls = held_up("close 0", 2 * LENGTH, range(0), "predict 1")
    assert calls == ["predict 0", "close 0 with 0", "predict 1"]


def test_where_time_waits_for_the_twin_no_window_is_left_out() -> None:
    calls = held_up("close 0", 2 * LENGTH, range(1, 3), "predict 1", goes_on=False)
    assert calls == ["predict 0", "close 0 with 0", "predict 1"]


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


def test_a_longer_grace_gets_shorter_while_reports_come_in_time() -> None:
    windows = Windows(START, LENGTH)
    before = windows.grace_s
    for late in range(1, 50):
        windows.noticed_late(late)
    windows.closed(0)
    longest = windows.grace_s
    windows.closed(20)
    assert windows.grace_s < longest
    for _ in range(200):
        windows.closed(20)
    assert windows.grace_s == before
    assert windows.next == 202


def test_the_window_that_goes_on_is_known_from_the_time() -> None:
    windows = Windows(START, LENGTH)
    assert [windows.present(START + t) for t in (-1, 0, LENGTH - 1, LENGTH)] == [0, 0, 0, 1]


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
