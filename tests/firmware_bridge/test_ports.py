from __future__ import annotations

import os
import socket
import tty
from pathlib import Path

import pytest

from firmware_bridge.ports import Pacer, Port, PortError, PortSettings, PortUrlError


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("COM3", "neither a path nor a URL"),
        ("hwgrep://usb", "unknown scheme 'hwgrep'"),
        ("loop://", "unknown scheme 'loop'"),
        ("socket://host", "names no host and port"),
        ("socket://:5000", "names no host and port"),
        ("socket://host:99999", "names no host and port"),
        ("socket://host:5/x", "names no host and port"),
    ],
)
def test_a_url_that_can_never_be_opened_is_refused_with_what_is_allowed(url: str, problem: str) -> None:
    with pytest.raises(
        PortUrlError, match="allowed is a path such as /dev/ttyACM0 or socket://HOST:PORT"
    ) as caught:
        PortSettings(url)
    assert problem in str(caught.value)


def test_an_impossible_baud_rate_is_refused() -> None:
    with pytest.raises(PortUrlError, match="baud is 7, allowed is 300 to 12000000"):
        PortSettings("/dev/ttyACM0", baud=7)


def test_a_missing_port_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PortError, match=r"port .*/none does not exist \(is the device plugged in\?\)"):
        Port(PortSettings(str(tmp_path / "none")))


def test_a_file_is_no_port_and_stays_untouched(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_text("mine")
    with pytest.raises(PortError, match="is not a serial device"):
        Port(PortSettings(str(file)))
    assert file.read_text() == "mine"


def test_a_character_device_that_is_no_terminal_is_refused() -> None:
    with pytest.raises(PortError, match="/dev/null is not a serial device"):
        Port(PortSettings("/dev/null"))


def test_a_port_that_nobody_serves_is_told() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(PortError, match="nothing listens there"):
            Port(PortSettings(f"socket://127.0.0.1:{unused.getsockname()[1]}"))


def read_to_the_end(port: Port) -> None:
    while True:
        port.read()


def test_a_remote_port_carries_bytes_both_ways_and_its_end_is_an_oserror() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = Port(PortSettings(f"socket://127.0.0.1:{server.getsockname()[1]}"))
        board, _ = server.accept()
        assert port.write(b"down") == 4
        assert board.recv(10) == b"down"
        board.sendall(b"up")
        received = b""
        while received != b"up":
            received += port.read()
        board.close()
        with pytest.raises(OSError, match="disconnected"):
            read_to_the_end(port)
        port.close()


def test_a_line_that_nobody_reads_takes_a_part_and_then_nothing() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    port = Port(PortSettings(os.ttyname(slave)))
    taken = 0
    while count := port.write(bytes(4_096)):
        taken += count
    assert 0 < taken < 10_000_000
    port.close()
    os.close(master)
    os.close(slave)


def test_a_device_that_goes_is_an_oserror() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    port = Port(PortSettings(os.ttyname(slave)))
    os.close(slave)
    os.close(master)
    with pytest.raises(OSError):  # noqa: PT011  the text is the platform's
        port.read()
    port.close()


def test_a_pacer_keeps_the_rate_and_bounds_the_burst() -> None:
    pacer = Pacer(9_600, burst_bytes=16)
    now_ns = sent = 0
    while now_ns < 1_000_000_000:
        count = pacer.allowance(now_ns, 1_000)
        assert count <= 16
        pacer.released(now_ns, count)
        sent += count
        now_ns = max(now_ns + 1, pacer.next_ns(now_ns))
    assert 960 <= sent <= 960 + 17


def test_without_a_rate_nothing_is_held_back() -> None:
    pacer = Pacer(0)
    pacer.released(0, 10_000)
    assert pacer.allowance(0, 5_000) == 5_000
