"""`bench ip`: that it measures through the real channel and leaves nothing behind; not how fast it is."""

from __future__ import annotations

import os
import sys

import pytest

from emulator.dataplane import realtime
from testbed.bench import ip
from testbed.bench._ip_ends import End, result
from testbed.bench._ip_paths import ends, forwarder
from testbed.bench._ip_programs import command
from testbed.errors import EnvironmentProblem

FIGURES = {
    "tcp_gbit_0ms",
    "tcp_gbit_two_hops",
    "tcp_gbit_40ms",
    "udp_packets_per_s",
    "ping_excess_ms",
    "ping_excess_ms_p99",
    "shaped_share",
    "shaped_share_default",
    "lateness_us_p50",
    "lateness_us_p99",
    "bare_tcp_gbit",
    "bare_udp_packets_per_s",
    "bare_ping_ms",
    "bare_ping_ms_p99",
}
#: a few dozen packets more or less in a short window
SHAPED_TOLERANCE = 0.3


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ROUNDS": 1,
        "SKIP_S": 0.05,
        "SKIP_DELAYED_S": 0.2,
        "WINDOW_S": 0.1,
        "PINGS": 20,
        "_UDP_FIRST": 2000.0,
        "_UDP_STEP": 1.0,
        "_UDP_S": 0.05,
        "_UDP_TRIES": 1,
        "_SHAPED_SKIP_S": 0.5,
        "_SHAPED_WINDOW_S": 0.5,
    }.items():
        monkeypatch.setattr(ip, name, value)


def needed() -> None:
    """Skip where there are no namespaces."""
    try:
        with End("10.64.0.1", "fd6a:1e0:0:1::1"):
            pass
    except EnvironmentProblem as problem:
        pytest.skip(str(problem))


def test_every_figure_is_measured_and_nothing_stays_behind(short: None) -> None:
    needed()
    cores, descriptors = realtime.cores(), set(os.listdir("/proc/self/fd"))
    measured = ip.run()
    assert set(measured.figures) == FIGURES
    assert set(measured.limits) <= FIGURES
    assert min(measured.figures.values()) > 0.0
    assert abs(measured.figures["shaped_share"] - 1.0) < SHAPED_TOLERANCE
    assert realtime.cores() == cores
    assert set(os.listdir("/proc/self/fd")) == descriptors


def test_the_bare_limit_carries_both_ways() -> None:
    needed()
    with ends() as of, forwarder(of["A"], of["B"], None):
        asked = of["A"].start(*command("ping", host=of["B"].ipv4, count=5, least_ms=1.0, most_ms=2.0))
        assert min(result(asked)["times_ms"]) > 0.0


def test_where_there_is_no_tun_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(EnvironmentProblem, match="which only Linux has") as raised:
        ip.run()
    assert raised.value.exit_status == 3


def test_a_program_that_fails_is_no_figure() -> None:
    needed()
    with End("10.64.0.1", "fd6a:1e0:0:1::1") as end:
        program = end.start(sys.executable, "-c", "raise SystemExit(3)")
        with pytest.raises(RuntimeError, match="ended with 3"):
            result(program)
