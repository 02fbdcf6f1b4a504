"""What unmodified IP programs get through the channel: TCP, UDP, ping, and a slow link filled to its brim.

Programs in network namespaces of their own, a TUN each, and between them the real channel, on a core of its
own where there are two. The same programs over two TUN devices with nothing but reads and writes between
them are the limit, measured in the same run. Every figure is the median of rounds:

- `tcp_gbit_*`: payload of one connection, the machine's congestion control, buffers of BUFFER_BYTES, from
  SKIP_S or SKIP_DELAYED_S after its first octet on; at `40ms` (round trip) and through a router (`two_hops`,
  no delay);
- `udp_packets_per_s`: messages of 64 bytes in packets of their own (no segmentation offload), the highest
  rate at which every one arrives;
- `ping_excess_ms`: echo requests at random intervals, round trip less the 40 ms asked for, mean and p99 of
  a round;
- `shaped_share`: TCP payload through a 20 Mbit/s link, 40 ms round trip, 100 kB of queue, as a share of what
  fits into full packets (1448 bytes of payload in 1500); with CUBIC, which keeps a queue filled as BBR means
  not to, and with the machine's own choice as `shaped_share_default`.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from testbed.bench import Figures
from testbed.bench._ip_ends import End, result
from testbed.bench._ip_programs import command
from testbed.errors import EnvironmentProblem

LIMITS: Final = {
    "tcp_gbit_0ms": 3.5,
    "tcp_gbit_40ms": 2.0,
    "udp_packets_per_s": 250_000.0,
    "ping_excess_ms": 0.05,
    "ping_excess_ms_p99": 0.2,
    "shaped_share": 0.995,
}
AT_LEAST: Final = frozenset({"tcp_gbit_0ms", "tcp_gbit_40ms", "udp_packets_per_s", "shaped_share"})
ROUNDS: Final = 5
ROUND_TRIP_MS: Final = 40.0
#: of both sockets of a TCP connection: a round trip of 40 ms at 3 Gbit/s; the kernel books twice as much
BUFFER_BYTES: Final = 15_000_000
#: a connection finds its rate first: in so many seconds without delay, and with
SKIP_S: Final = 0.5
SKIP_DELAYED_S: Final = 1.2
WINDOW_S: Final = 1.5

UDP_OCTETS: Final = 64
_UDP_BUFFER: Final = 1 << 26
#: the rates that are tried, each so much more than the one before, or less while nothing has got through
_UDP_FIRST: Final = 210_000.0
_UDP_STEP: Final = 1.1
_UDP_LEAST: Final = 1_000.0
_UDP_S: Final = 0.5
#: a round ends when so many tries in a row lose, or send no faster
_UDP_TRIES: Final = 2

PINGS: Final = 400
_PING_LEAST_MS: Final = 1.5
_PING_MOST_MS: Final = 3.5

SHAPED_MBPS: Final = 20.0
SHAPED_QUEUE_KBYTES: Final = 100
SHAPED_CEILING_BPS: Final = SHAPED_MBPS * 1e6 * 1448 / 1500
_SHAPED_SKIP_S: Final = 3.0
_SHAPED_WINDOW_S: Final = 2.5
_AVAILABLE: Final = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")


def run() -> Figures:
    """Measure everything. Raises `EnvironmentProblem` where there are no TUN devices or namespaces."""
    if not sys.platform.startswith("linux"):
        raise EnvironmentProblem("bench ip needs TUN devices and network namespaces, which only Linux has")
    from emulator.dataplane import realtime
    from testbed.bench._ip_paths import ends, forwarder, paths

    figures: dict[str, float] = {}
    cores = realtime.cores()
    with ends() as of:
        a, b, c = of.values()
        core = realtime.leave_a_core()
        try:
            with paths(of, core) as between:
                _tell(between.channel.scheduling)
                between.set(0.0)
                figures["tcp_gbit_0ms"] = _tcp_gbit(a, b, SKIP_S)
                figures["tcp_gbit_two_hops"] = _tcp_gbit(a, c, SKIP_S)
                figures["udp_packets_per_s"] = _udp_packets_per_s(a, b)
                between.set(ROUND_TRIP_MS / 2)
                figures["tcp_gbit_40ms"] = _tcp_gbit(a, b, SKIP_DELAYED_S)
                mean_ms, p99_ms = _ping_ms(a, b)
                figures["ping_excess_ms"] = mean_ms - ROUND_TRIP_MS
                figures["ping_excess_ms_p99"] = p99_ms - ROUND_TRIP_MS
                between.set(ROUND_TRIP_MS / 2, SHAPED_MBPS, SHAPED_QUEUE_KBYTES)
                figures["shaped_share"] = _shaped_share(a, b, "cubic")
                figures["shaped_share_default"] = _shaped_share(a, b, "")
                lateness = between.channel.lateness_us()
                figures["lateness_us_p50"], figures["lateness_us_p99"] = lateness["p50"], lateness["p99"]
            with forwarder(a, b, core):
                figures["bare_tcp_gbit"] = _tcp_gbit(a, b, SKIP_S)
                figures["bare_udp_packets_per_s"] = _udp_packets_per_s(a, b)
                figures["bare_ping_ms"], figures["bare_ping_ms_p99"] = _ping_ms(a, b)
        finally:
            realtime.use_cores(cores)
    bare_udp = figures["bare_udp_packets_per_s"]
    ratios = {
        "tcp_vs_bare": figures["tcp_gbit_0ms"] / figures["bare_tcp_gbit"],
        "udp_vs_bare": figures["udp_packets_per_s"] / bare_udp if bare_udp > 0.0 else math.nan,
    }
    return Figures("ip", figures, dict(LIMITS), ratios, AT_LEAST)


def _tell(text: str) -> None:
    """What a figure alone does not say."""
    print(f"  {text}", flush=True)


def _median(rounds: Callable[[], float]) -> float:
    return statistics.median(rounds() for _ in range(ROUNDS))


def _tcp(
    sender: End, receiver: End, buffer: int = 0, congestion_control: str = "", **settings: Any
) -> tuple[list[float], str]:
    """Bits per second in each window of one connection, and the congestion control that it had."""
    host = receiver.ipv4
    ahead = receiver.start(*command("tcp_receive", host=host, buffer=buffer, **settings))
    assert ahead.stdout is not None
    ahead.stdout.readline()
    behind = sender.start(
        *command("tcp_send", host=host, buffer=buffer, congestion_control=congestion_control)
    )
    return result(ahead)["bits_per_s"], result(behind)["congestion_control"]


def _tcp_gbit(sender: End, receiver: End, skip_s: float) -> float:
    used = set()

    def once() -> float:
        rates, congestion_control = _tcp(sender, receiver, BUFFER_BYTES, skip_s=skip_s, window_s=WINDOW_S)
        used.add(congestion_control)
        return rates[0] / 1e9

    found = _median(once)
    _tell(f"TCP, {', '.join(used)}, buffers of {BUFFER_BYTES / 1e6:g} MB: {found:.2f} Gbit/s")
    return found


def _shaped_share(sender: End, receiver: End, wanted: str) -> float:
    """Share of the ceiling over all windows of one connection: a pause in one of them counts."""
    if wanted not in _AVAILABLE.read_text(encoding="ascii").split():
        wanted = ""
    rates, used = _tcp(
        sender,
        receiver,
        congestion_control=wanted,
        skip_s=_SHAPED_SKIP_S,
        window_s=_SHAPED_WINDOW_S,
        windows=ROUNDS,
    )
    shares = [rate / SHAPED_CEILING_BPS for rate in rates]
    _tell(f"shaped, {used}: {', '.join(f'{share:.4f}' for share in shares)}")
    return statistics.fmean(shares)


def _lossless_rate(sender: End, receiver: End, rate: float) -> float:
    """Messages a second if all arrived, else 0."""
    count = int(rate * _UDP_S)
    ahead = receiver.start(
        *command("udp_receive", host=receiver.ipv4, octets=UDP_OCTETS, buffer=_UDP_BUFFER, count=count)
    )
    assert ahead.stdout is not None
    ahead.stdout.readline()
    behind = sender.start(*command("udp_send", host=receiver.ipv4, octets=UDP_OCTETS, count=count, rate=rate))
    sent, arrived = result(behind), result(ahead)
    return sent["sent"] / sent["seconds"] if arrived["received"] == sent["sent"] else 0.0


def _udp_packets_per_s(sender: End, receiver: End) -> float:
    def once() -> float:
        rate, best, failed = _UDP_FIRST, 0.0, 0
        while failed < _UDP_TRIES:
            got = _lossless_rate(sender, receiver, rate)
            if got > best:
                best, failed = got, 0
                rate *= _UDP_STEP
            else:
                failed += 1
                if best == 0.0 and rate > _UDP_LEAST:
                    rate, failed = rate / 2, 0
        return best

    found = _median(once)
    _tell(f"UDP, {UDP_OCTETS} B of payload: {found:.0f} packets/s without loss")
    return found


def _ping_ms(sender: End, receiver: End) -> tuple[float, float]:
    """Mean and p99 of round trips, ms: medians over rounds. One that is lost is a failure of the run."""
    means, p99s = [], []
    for seed in range(ROUNDS):
        program = sender.start(
            *command(
                "ping",
                host=receiver.ipv4,
                count=PINGS,
                least_ms=_PING_LEAST_MS,
                most_ms=_PING_MOST_MS,
                seed=seed,
            )
        )
        times_ms = np.array(result(program)["times_ms"])
        if times_ms.min() < 0.0:
            raise RuntimeError(f"{int((times_ms < 0).sum())} of {PINGS} echo requests had no answer")
        means.append(float(times_ms.mean()))
        p99s.append(float(np.percentile(times_ms, 99)))
    return statistics.median(means), statistics.median(p99s)
