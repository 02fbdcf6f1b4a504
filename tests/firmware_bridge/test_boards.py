"""The contract between bridge and board, on every rung that is at hand: real ports, real processes."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge import line, messages
from firmware_bridge.boards.model import ModelSettings
from firmware_bridge.boards.pty_model import PtyModel
from firmware_bridge.commands import CommandEnd
from firmware_bridge.messages import Status
from firmware_bridge.session import MIN_EXCHANGES, Greeted, Reading

Bench = Any  # tests/firmware_bridge/conftest.py
MakeBench = Callable[[str], Bench]

#: fixtures that give a board: `url`, `plug(*arguments)`, `unplug()`
RUNGS = ["pty_rung"]


@pytest.fixture(params=RUNGS)
def rung(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


class TestContract:
    def greeted(self, rung: Any, bench: MakeBench, *arguments: str) -> Bench:
        rung.plug(*arguments)
        on = bench(rung.url)
        on.until(lambda: on.of(Greeted), "a HELLO")
        return on

    def test_it_introduces_itself_and_sends_readings_in_order(self, rung: Any, bench: MakeBench) -> None:
        on = self.greeted(rung, bench, "--interval-s", "0.02")
        on.until(lambda: len(on.of(Reading)) >= 10, "ten readings")
        numbers = [reading.number for reading in on.of(Reading)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert on.session.damaged == on.session.counters.lost_up == 0

    def test_its_clock_is_known_within_a_bound(self, rung: Any, bench: MakeBench) -> None:
        on = self.greeted(rung, bench, "--interval-s", "0.05")
        on.until(lambda: len(on.session.clock) >= MIN_EXCHANGES, "TIME exchanges")
        before = len(on.of(Reading))
        on.until(lambda: len(on.of(Reading)) >= before + 3, "readings")
        reading = on.of(Reading)[-1]
        assert reading.from_device
        assert reading.stamp_ns <= time.monotonic_ns()
        now_ns = time.monotonic_ns()
        # An exchange through a port takes less than it takes the test to come this far.
        assert 0 < on.session.clock.fit.bound_at(now_ns) < 1e9

    def test_what_is_sent_to_it_arrives_and_an_echo_returns(self, rung: Any, bench: MakeBench) -> None:
        on = self.greeted(rung, bench, "--interval-s", "0")
        payload = bytes(range(200))
        assert on.session.send_data(payload, time.monotonic_ns(), flow=messages.ECHO_FLOW)
        on.until(lambda: on.of(Reading), "the echo")
        assert on.of(Reading)[0].payload == payload

    def test_it_obeys_commands(self, rung: Any, bench: MakeBench) -> None:
        on = self.greeted(rung, bench, "--interval-s", "0")
        on.session.commands.add("set_reading_bytes", 100)
        on.session.commands.add("set_interval", 10)
        on.session.commands.add("report_status", 0)
        on.until(lambda: on.of(Status) and on.of(Reading), "status and a reading")
        assert [end.done for end in on.of(CommandEnd)] == [True, True, True]
        assert on.of(Status)[0].interval_ms == 10
        assert len(on.of(Reading)[0].payload) == 100

    def test_a_reset_is_a_new_boot(self, rung: Any, bench: MakeBench) -> None:
        on = self.greeted(rung, bench)
        on.session.commands.add("reset", 0)
        on.until(lambda: len(on.of(Greeted)) == 2, "the second HELLO")
        first, second = on.of(Greeted)
        assert first.hello.boot_id != second.hello.boot_id
        assert first.hello.unit_id == second.hello.unit_id

    def test_garbage_on_the_line_costs_nothing_but_itself(self, rung: Any, bench: MakeBench) -> None:
        on = self.greeted(rung, bench, "--interval-s", "0")
        on.line.write(b"\x00\x05 not a frame at all \x00" + bytes([7]) * 600)
        # The next frame begins inside the garbage and is lost with it; commands are repeated.
        on.session.commands.add("report_status", 0)
        on.until(lambda: on.of(Status), "a status")
        assert on.of(Status)[0].damaged_in >= 2

    def test_it_may_be_unplugged_and_plugged_in_again(self, rung: Any, bench: MakeBench) -> None:
        on = self.greeted(rung, bench, "--interval-s", "0.02")
        on.until(lambda: on.of(Reading) and on.session.clock.fit, "a reading and a clock fit")
        rung.unplug()
        on.until(lambda: any(isinstance(h, line.Gone) for h in on.happenings), "the loss of the port")
        assert not on.session.connected
        rung.plug("--interval-s", "0.02")
        before = len(on.of(Reading))
        on.until(lambda: len(on.of(Reading)) > before, "readings after the return")
        assert [greeted.new_boot for greeted in on.of(Greeted)] == [True, True]
        assert on.session.counters.lost_up == 0
        assert on.session.connected

    def test_the_bridge_may_start_again_alone(self, rung: Any, bench: MakeBench) -> None:
        first = self.greeted(rung, bench, "--interval-s", "0.02")
        first.line.close()
        second = bench(rung.url)
        second.until(lambda: second.of(Reading), "a reading")
        assert second.of(Greeted)[0].hello.boot_id == first.of(Greeted)[0].hello.boot_id

    def test_only_one_may_hold_the_port(self, rung: Any, bench: MakeBench) -> None:
        first = self.greeted(rung, bench)
        second = bench(rung.url)
        second.until(lambda: second.happenings, "a refusal")
        assert "in use by another program" in second.happenings[0].text
        first.line.close()
        second.until(lambda: second.of(Greeted), "the port to be free")


def test_the_model_takes_its_link_along_when_asked_to_end(pty_rung: Any) -> None:
    pty_rung.plug()
    assert stat.S_ISCHR(Path(pty_rung.url).stat().st_mode)
    assert pty_rung.end() == 0
    assert not Path(pty_rung.url).is_symlink()


def test_a_link_that_still_names_the_dead_pty_is_not_followed(pty_rung: Any, bench: MakeBench) -> None:
    pty_rung.plug()
    on = bench(pty_rung.url)
    on.until(lambda: on.of(Greeted), "a HELLO")
    pty_rung.unplug()
    on.until(lambda: on.happenings[-1:] and isinstance(on.happenings[-1], line.Unavailable), "a refusal")
    assert "still names the pty that is gone" in on.happenings[-1].text


def test_garbage_from_the_device_is_counted_and_the_next_frame_understood(bench: MakeBench) -> None:
    board = PtyModel(ModelSettings(interval_ms=0))
    on = bench(board.path)

    def served(condition: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: (board.step(0.0), condition())[1]

    on.until(served(lambda: on.of(Greeted)), "a HELLO")
    os.write(board._master, b"boot loader v7\r\n\x00" + b"\xff" * 700 + b"\x00")
    on.session.commands.add("report_status", 0)
    on.until(served(lambda: on.of(Status)), "a status")
    assert on.session.damaged == 2
    assert on.session.counters.lost_up == 0
    board.close()


def test_a_pty_named_directly_is_not_opened_again(bench: MakeBench) -> None:
    board = PtyModel(ModelSettings())
    on = bench(board.path)
    on.until(lambda: (board.step(0.0), on.of(Greeted))[1], "a HELLO")
    board.close()
    another = PtyModel(ModelSettings())  # most likely of the same number
    on.until(lambda: (another.step(0.0), isinstance(on.happenings[-1], line.Unavailable))[1], "a refusal")
    assert len(on.of(Greeted)) == 1
    another.close()


def test_a_paced_board_sends_no_faster_than_its_baud_rate(pty_rung: Any, bench: MakeBench) -> None:
    pty_rung.plug("--baud", "9600", "--reading-bytes", "200", "--interval-s", "0.01")
    on = bench(pty_rung.url)
    on.until(lambda: on.of(Reading), "a reading")
    started_s, bytes_before = time.monotonic(), on.session.bytes_up
    on.until(lambda: on.session.bytes_up - bytes_before > 1_000, "a thousand bytes")
    rate = (on.session.bytes_up - bytes_before) / (time.monotonic() - started_s)
    # what was under way at the start came at once: at most one piece of the transmit buffer
    assert rate < 960 * 1.3
