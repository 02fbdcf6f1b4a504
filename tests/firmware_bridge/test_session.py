"""The bridge's protocol against the reference firmware, on a line of two byte strings and one clock."""

from collections.abc import Callable

import pytest

from firmware_bridge import messages, session
from firmware_bridge.boards.model import Model, ModelSettings
from firmware_bridge.messages import Log, Status
from firmware_bridge.session import CommandEnd, Event, Greeted, Heard, Incompatible, Reading, Session, Silent

MS = 1_000_000


class Line:
    """A session and a model, `delay_ms` apart; `damage` may change what travels, either way."""

    def __init__(self, settings: ModelSettings | None = None, session: Session | None = None) -> None:
        self.now_ns = 1_000_000_000_000
        self.boot_ids = iter(range(100, 1_000))
        self.model = Model(settings or ModelSettings(), lambda: next(self.boot_ids), self.now_ns // 1_000)
        self.session = session or Session(boot_id=1)
        self.events: list[Event] = []
        self.up: Callable[[bytes], bytes] = lambda data: data
        self.down: Callable[[bytes], bytes] = lambda data: data
        self.plugged = True

    def plug(self, model: bool = True) -> None:
        self.plugged = model
        self.session.opened(self.now_ns)

    def run(self, seconds: float) -> list[Event]:
        """The events of the next `seconds`, in steps of a millisecond."""
        before = len(self.events)
        for _ in range(round(seconds * 1_000)):
            self.now_ns += MS
            self.events += self.session.advance(self.now_ns)
            data = self.session.output()
            self.session.written(len(data))
            if not self.plugged:
                continue
            answer = self.model.exchange(self.down(data), self.now_ns // 1_000)
            if answer:
                self.events += self.session.receive(self.up(answer), self.now_ns)
        return self.events[before:]


def of(events: list[Event], kind: type) -> list:  # type: ignore[type-arg]
    return [event for event in events if isinstance(event, kind)]


def test_a_device_is_greeted_and_its_readings_come_numbered() -> None:
    line = Line(ModelSettings(interval_ms=100, apid=7, unit_id=99))
    line.plug()
    events = line.run(1.05)
    (greeted,) = of(events, Greeted)
    assert (greeted.apid, greeted.hello.unit_id, greeted.new_boot) == (7, 99, True)
    readings = of(events, Reading)
    assert [reading.number for reading in readings] == list(range(10))
    assert line.session.counters.lost_up == line.session.damaged == 0


def test_greetings_end() -> None:
    line = Line(ModelSettings(interval_ms=0))
    line.plug()
    line.run(0.5)
    frames = line.session.counters.frames_down
    line.run(3.0)
    assert line.session.counters.frames_down - frames <= 4  # TIME only, once a second


@pytest.mark.parametrize("drift_ppm", [0.0, 120.0])
def test_readings_carry_the_devices_stamp_on_the_hosts_clock(drift_ppm: float) -> None:
    line = Line(ModelSettings(interval_ms=500, clock_offset_us=5_000_000_000, clock_drift_ppm=drift_ppm))
    line.plug()
    line.run(5.0)
    events = line.run(3.0)
    for reading in of(events, Reading):
        assert reading.from_device
    assert line.session.clock.fit is not None
    true_ns = line.now_ns
    stamp_us = line.model.clock_us
    error_ns = abs(line.session.clock.fit.to_host_ns(stamp_us) - true_ns)
    assert error_ns <= line.session.clock.fit.bound_at(true_ns)


def test_before_the_clocks_are_compared_a_reading_carries_the_time_of_reading() -> None:
    line = Line(ModelSettings(interval_ms=10))
    line.plug()
    line.up = lambda data: data if b"\x03\x01" not in data else b""
    first = of(line.run(0.03), Reading)[0]
    assert not first.from_device
    assert line.now_ns - first.stamp_ns <= 30 * MS


def test_a_command_is_carried_out_and_acknowledged() -> None:
    line = Line(ModelSettings(interval_ms=1_000))
    line.plug()
    line.run(0.1)
    number = line.session.commands.add("set_interval", 50)
    assert of(line.run(0.1), CommandEnd) == [CommandEnd(number, True, "done")]
    assert line.model.interval_ms == 50


def test_a_lost_acknowledgement_is_asked_for_again_and_the_command_not_repeated() -> None:
    line = Line(ModelSettings(interval_ms=0))
    line.plug()
    line.run(1.0)
    line.up = lambda _: b""
    number = line.session.commands.add("reset", 0)
    line.run(0.1)
    boots = line.model.boots
    line.up = lambda data: data
    events = line.run(1.0)
    assert of(events, CommandEnd)[0].number == number
    assert of(events, CommandEnd)[0].done
    assert line.model.boots == boots == 2


def test_a_lost_command_is_sent_again_and_counted() -> None:
    line = Line(ModelSettings(interval_ms=0))
    line.plug()
    line.run(0.5)
    line.down = lambda _: b""
    line.session.commands.add("set_interval", 40)
    line.run(0.3)
    line.down = lambda data: data
    assert of(line.run(0.5), CommandEnd)[0].done
    assert line.session.commands.resent >= 1
    assert line.model.interval_ms == 40


def test_a_command_without_answer_is_given_up() -> None:
    line = Line(ModelSettings(interval_ms=100))
    line.plug()
    line.run(0.5)
    line.down = lambda _: b""
    line.session.commands.add("set_interval", 40)
    (end,) = of(line.run(3.0), CommandEnd)
    assert not end.done
    assert "not acknowledged" in end.text


def test_a_bad_argument_is_refused_by_the_device() -> None:
    line = Line()
    line.plug()
    line.run(0.1)
    line.session.commands.add("set_reading_bytes", 5_000)
    (end,) = of(line.run(0.1), CommandEnd)
    assert not end.done
    assert "refuses the argument" in end.text


def test_an_unknown_command_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="set_interval, set_reading_bytes, reset, report_status"):
        Session().commands.add("explode", 0)


def test_a_device_that_boots_again_starts_anew() -> None:
    line = Line(ModelSettings(interval_ms=100))
    line.plug()
    line.run(3.0)
    line.session.commands.add("reset", 0)
    events = line.run(0.6)
    assert [greeted.new_boot for greeted in of(events, Greeted)] == [True]
    assert line.session.counters.boots == 2
    assert of(events, Reading)[-1].number < 6
    assert line.session.counters.lost_up == 0


def test_a_boot_whose_hello_is_lost_is_noticed_by_the_clock_that_ran_back() -> None:
    line = Line(ModelSettings(interval_ms=50))
    line.plug()
    line.run(3.0)
    line.session.commands.add("reset", 0)
    line.up = lambda _: b""
    line.run(0.04)
    line.up = lambda data: data
    events = line.run(0.5)
    assert [greeted.new_boot for greeted in of(events, Greeted)] == [True]
    assert line.session.counters.lost_up < 10


def test_the_bridge_may_start_again_alone() -> None:
    line = Line(ModelSettings(interval_ms=100))
    line.plug()
    line.run(1.0)
    line.session = Session(boot_id=2)
    line.plug()
    events = line.run(1.0)
    assert len(of(events, Greeted)) == 1
    assert len(of(events, Reading)) == 10
    assert line.model.boots == 1


def test_a_port_that_comes_back_with_the_device_still_up_is_no_boot() -> None:
    line = Line(ModelSettings(interval_ms=100))
    line.plug()
    line.run(1.0)
    line.session.closed()
    line.run(0.2)
    line.plug()
    assert [greeted.new_boot for greeted in of(line.run(0.5), Greeted)] == [False]


def test_silence_is_told_once_and_so_is_its_end() -> None:
    line = Line(ModelSettings(interval_ms=100))
    line.plug()
    line.run(1.0)
    line.plugged = False
    assert len(of(line.run(9.0), Silent)) == 1
    assert not line.session.connected
    line.plugged = True
    events = line.run(1.0)
    assert len(of(events, Heard)) == 1
    assert line.session.connected


def test_damaged_frames_are_counted_and_missed() -> None:
    line = Line(ModelSettings(interval_ms=20))
    line.plug()
    line.run(1.0)
    hits = 0

    def damage(data: bytes) -> bytes:
        nonlocal hits
        hits += 1
        return data if hits % 5 else data[:9] + bytes([data[9] ^ 0x10 or 1]) + data[10:]

    line.up = damage
    line.run(4.0)
    line.up = lambda data: data
    line.run(0.2)
    assert line.session.damaged >= 30
    assert line.session.counters.lost_up >= 30
    sent = line.model._readings
    assert line.session.counters.readings + line.session.counters.lost_up >= sent


def test_the_other_direction_is_counted_by_the_device() -> None:
    line = Line(ModelSettings(interval_ms=0))
    line.plug()
    line.run(0.6)
    line.down = lambda data: data and b"\x07garbage\x00" + data
    line.run(2.0)
    line.session.commands.add("report_status", 0)
    (status,) = of(line.run(0.2), Status)
    assert status.damaged_in >= 2
    assert status.lost_in == 0


def test_data_down_reaches_the_device_and_an_echo_comes_back() -> None:
    line = Line(ModelSettings(interval_ms=0))
    line.plug()
    line.run(0.5)
    assert line.session.send_data(b"for you", line.now_ns)
    assert line.session.send_data(b"ping", line.now_ns, flow=messages.ECHO_FLOW)
    (echo,) = of(line.run(0.1), Reading)
    assert (echo.flow, echo.payload) == (messages.ECHO_FLOW, b"ping")
    line.session.commands.add("report_status", 0)
    assert of(line.run(0.1), Status)[0].data_in == 2


def test_data_down_without_a_device_or_too_long_is_dropped_and_counted() -> None:
    line = Line()
    assert not line.session.send_data(b"x", 0)
    line.plug()
    line.run(0.5)
    assert not line.session.send_data(bytes(messages.MAX_PAYLOAD_BYTES + 1), line.now_ns)
    assert line.session.counters.dropped_down == 2


def test_a_line_that_takes_nothing_holds_a_bounded_queue() -> None:
    line = Line(ModelSettings(interval_ms=0))
    line.plug()
    line.run(0.5)
    accepted = sum(line.session.send_data(bytes(200), line.now_ns) for _ in range(1_000))
    assert 0 < accepted < 1_000
    for second in range(1_000):
        line.session.advance(line.now_ns + second * 1_000 * MS)
    assert len(line.session.output()) <= 2 * session.OUTPUT_LIMIT_BYTES + 256


def test_another_schema_is_reported_once_and_nothing_is_forwarded(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(ModelSettings(interval_ms=100))
    plain = line.model._say_hello

    def foreign(answer: bool) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(messages, "SCHEMA_HASH", 1)
            plain(answer)

    monkeypatch.setattr(line.model, "_say_hello", foreign)
    line.plug()
    events = line.run(3.0)
    (told,) = of(events, Incompatible)
    assert "schema 0x00000001" in told.text
    assert of(events, Reading) == []


def test_our_own_echo_and_strangers_are_no_device() -> None:
    line = Line(ModelSettings(interval_ms=0))
    line.plug()
    line.run(0.5)
    stranger = Model(ModelSettings(apid=9), lambda: 5, 0)
    line.session.receive(stranger.exchange(b"", 10), line.now_ns)
    line.session.commands.add("reset", 0)
    line.session.advance(line.now_ns)
    line.session.receive(line.session.output(), line.now_ns)
    assert line.session.counters.foreign == 2  # its HELLO and its LOG
    assert line.session.counters.unknown >= 1
    assert line.session.counters.boots == 1


def test_log_lines_come_through() -> None:
    line = Line()
    line.plug()
    line.run(0.1)
    line.session.commands.add("reset", 0)
    assert [log.text for log in of(line.run(0.1), Log)] == ["boot 2, 16 B readings"]


def test_a_command_is_due_at_once_and_not_at_the_next_exchange_of_time() -> None:
    line = Line(ModelSettings(interval_ms=0))
    line.plug()
    line.run(1.0)
    line.session.commands.add("reset", 0)
    due_ns = line.session.next_due_ns
    assert due_ns is not None
    assert due_ns <= line.now_ns
