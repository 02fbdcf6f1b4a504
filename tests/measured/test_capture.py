"""`testbed capture`: what it writes from live traffic on loopback is what the readers read."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from testbed.errors import BadInput
from testbed.measured import probing, sniffing
from testbed.measured.formats import open_measurement


def _capture(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from testbed.cli import main; main()", "capture", *arguments],
        capture_output=True,
        text=True,
    )


class _Echo(threading.Thread):
    """Sends datagrams back, but for every `lose`-th, and says how many came."""

    def __init__(self, lose: int = 0) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._lose, self.came = lose, 0

    def run(self) -> None:
        while True:
            data, sender = self._socket.recvfrom(65_536)
            if data == b"end":
                return
            self.came += 1
            if not self._lose or self.came % self._lose:
                self._socket.sendto(data, sender)

    def end(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"end", ("127.0.0.1", self.port))
        self.join()
        self._socket.close()


@contextlib.contextmanager
def _echo(lose: int = 0) -> Iterator[_Echo]:
    echo = _Echo(lose)
    echo.start()
    try:
        yield echo
    finally:
        echo.end()


def _may_see_packets() -> bool:
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except (OSError, AttributeError):
        return False
    return True


needs_packets = pytest.mark.skipif(not _may_see_packets(), reason="needs CAP_NET_RAW to see packets")


def test_probes_are_written_with_their_round_trips(tmp_path: Path) -> None:
    out, told = tmp_path / "probes.csv", tmp_path / "told.json"
    with _echo() as echo:
        done = _capture(
            "--probe", f"127.0.0.1:{echo.port}", "--out", str(out), "--duration", "0.5", "--interval", "0.01",
            "--json", str(told),
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(told.read_text()) == {
        "file": str(out), "sent": 50, "lost": 0, "refused": 0, "reason": "",
    }  # fmt: skip
    read = open_measurement(out)
    assert len(read) == echo.came == 50
    assert read.quantity == "rtt"
    assert read.losses_known
    assert read.values.min() > 0.0
    assert np.all(np.diff(read.times_s) >= 0.0)


def test_a_lost_probe_is_minus_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "TIMEOUT_S", 2.0)
    with _echo(lose=4) as echo:
        done = probing.probe(f"127.0.0.1:{echo.port}", tmp_path / "probes.csv", 0.2, 0.01)
    read = open_measurement(tmp_path / "probes.csv")
    assert (done.sent, done.lost) == (20, 5)
    assert np.flatnonzero(~read.answered).tolist() == [3, 7, 11, 15, 19]


def test_an_answer_that_waited_for_a_late_program_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as echo:
        echo.bind(("127.0.0.1", 0))

        def held_up(share: float) -> None:
            if share < 1.0:
                data, sender = echo.recvfrom(65_536)
                echo.sendto(data, sender)  # waits there when the next probe is overdue
                monkeypatch.setattr(probing, "TIMEOUT_S", 0.0)

        port = echo.getsockname()[1]
        done = probing.probe(f"127.0.0.1:{port}", tmp_path / "probes.csv", 2e-9, 1e-9, progress=held_up)
    assert (done.sent, done.lost) == (2, 1)
    assert open_measurement(tmp_path / "probes.csv").answered.tolist() == [True, False]


def test_probes_to_where_nobody_listens_are_lost_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "TIMEOUT_S", 0.1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = probing.probe(f"127.0.0.1:{port}", tmp_path / "probes.csv", 0.1, 0.01)
    assert done.lost == done.sent == 10
    assert done.reason == os.strerror(111)


@needs_packets
def test_packets_of_a_port_are_recorded_and_paired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, begun, expected = tmp_path / "seen.pcap", threading.Event(), [2**31]
    watched: list[sniffing.Sniffed] = []
    seen: list[int] = []
    record = sniffing._one
    monkeypatch.setattr(sniffing, "_one", lambda *which: seen.append(record(*which)) or seen[-1])

    def until_all_are_seen(_: float) -> None:
        begun.set()
        if sum(seen) >= expected[0]:
            raise KeyboardInterrupt

    with _echo() as echo:
        watch = threading.Thread(
            target=lambda: watched.append(sniffing.sniff(str(echo.port), out, 60.0, until_all_are_seen))
        )
        watch.start()
        assert begun.wait(60.0)
        probed = probing.probe(f"127.0.0.1:{echo.port}", tmp_path / "probes.csv", 0.3, 0.01)
        expected[0] = 2 * probed.sent
        watch.join()
    assert probed.lost == 0
    assert watched == [sniffing.Sniffed(2 * probed.sent, 0)]
    read = open_measurement(out)
    assert len(read) == probed.sent
    # what the kernel saw is no longer than what the program waited for
    assert np.all(read.values <= open_measurement(tmp_path / "probes.csv").values)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["7"], "capture: --out FILE is missing"),
        (["--out", "x.pcap"], "capture: give either PORT or INTERFACE to watch, or --probe HOST:PORT"),
        (["7", "--probe", "127.0.0.1:7", "--out", "x.csv"], "capture: give either PORT or INTERFACE"),
        (["7", "--out", "x.csv"], "--out x.csv: what is written is pcap; name it so"),
        (["--probe", "127.0.0.1:7", "--out", "x.pcap"], "--out x.pcap: what is written is CSV; name it so"),
        (["--probe", "7", "--out", "x.csv"], "--probe 7: must be HOST:PORT, the port from 1 to 65535"),
        (["7", "--out", "x.pcap", "--duration", "0"], "--duration is 0, allowed: 0.1 to 1e+07"),
        (["7", "--out", "/proc/none/x.pcap"], "--out /proc/none/x.pcap: cannot be written"),
        (["99999", "--out", "x.pcap"], "capture 99999: the port must be a number from 1 to 65535"),
        (
            ["wlan9:7", "--out", "x.pcap"],
            "capture wlan9:7: there is no interface 'wlan9', allowed: a port, lo",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = _capture(*arguments)
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_where_packets_may_not_be_seen_the_sentence_says_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from testbed.errors import EnvironmentProblem

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(sniffing.socket, "socket", refuse)
    with pytest.raises(EnvironmentProblem, match="run it as root, or measure with --probe HOST:PORT"):
        sniffing.sniff("lo", tmp_path / "seen.pcap", 1.0)
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_none_is_refused() -> None:
    assert probing.address_of("[::1]:7") == ("::1", 7)
    for wrong in ("host", "host:", ":7", "host:0", "host:65536", "host:x"):
        with pytest.raises(BadInput, match="must be HOST:PORT"):
            probing.address_of(wrong)
