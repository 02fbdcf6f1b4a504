"""The data plane for a long time: a steady load over links that lose and vary, memory and books watched.

Two processes and a channel between them, at a stated rate over two hops with jitter, loss in bursts,
duplicates and a table that changes every second. What is looked for is what only time shows: memory that
grows, books that do not balance, lateness that creeps up.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from testbed.bench import Figures
from testbed.bench._peers import PATIENCE_S, PeerError, Peers
from testbed.errors import BadInput, EnvironmentProblem

DURATION_S: Final = 60.0
RATE_PER_S: Final = 20_000.0
SIZE_BYTES: Final = 64
#: beginnings are left out of the memory's trend: buffers fill, and lists of the interpreter grow once
SETTLING_SHARE: Final = 0.25
_SAMPLE_S: Final = 0.5
_SHOWN_EVERY_S: Final = 10.0

LIMITS: Final = {
    "unbalanced": 0.0,
    "memory_growth_mb_per_hour": 16.0,
    "memory_growth_mb": 8.0,
    "log_overflow": 0.0,
    "disorder": 0.0,
    "sent_share": 0.99,
}
AT_LEAST: Final = frozenset({"sent_share"})


def run(duration: float | None = None, rate: float | None = None) -> Figures:
    """Run for `duration` seconds at `rate` messages a second; BadInput for figures that cannot be."""
    duration_s = DURATION_S if duration is None else duration
    per_s = RATE_PER_S if rate is None else rate
    if not 2.0 <= duration_s <= 1e6:
        raise BadInput(f"--duration {duration_s:g}: 2 to 1000000 s are allowed")
    if not 1.0 <= per_s <= 1e6:
        raise BadInput(f"--rate {per_s:g}: 1 to 1000000 messages a second are allowed")
    try:
        with Peers() as peers:
            return _measure(peers, duration_s, per_s)
    except PeerError as error:
        raise EnvironmentProblem(f"bench soak: {error}") from None


def _measure(peers: Peers, duration_s: float, per_s: float) -> Figures:
    from emulator.dataplane import load

    peers.shared[:] = 0
    options = {
        "endpoint": "tcp://127.0.0.1:*",
        "hops": 2,
        "varied": True,
        "update_ns": 1_000_000_000,
        "delay_ns": 10_000_000,
        "jitter_ns": 2e6,
        "loss": 0.005,
        "rate_bps": 1e9,
    }
    to, by = peers.carrier.do("channel", **options)
    peers.sink.do("connect", endpoint=by, carrier="channel")
    peers.source.do("connect", endpoint=to, carrier="channel")
    # More than can come: the receiver ends when nothing has for a while.
    peers.sink.ask("receive", count=1 << 62)
    peers.source.ask("send", count=round(duration_s * per_s), size=SIZE_BYTES, period_ns=round(1e9 / per_s))
    samples = _watch(peers, duration_s)
    sent = peers.source.answer(duration_s + PATIENCE_S)
    got = peers.sink.answer()
    _settle(peers)
    summary = peers.carrier.do("close")
    counters, books = summary["counters"], summary["books"]
    hours, memory_mb = samples.T
    settled = hours >= hours[-1] * SETTLING_SHARE
    slope = float(np.polyfit(hours[settled], memory_mb[settled], 1)[0])
    return Figures(
        "soak",
        {
            "duration_s": duration_s,
            "messages": float(sent),
            "messages_per_s": sent / duration_s,
            "sent_share": sent / (duration_s * per_s),
            "delivered": float(counters["delivered"]),
            "received": float(got["received"]),
            "lost_by_name": float(sum(counters["fates"].values())),
            "duplicates": float(counters["copied"]),
            "unbalanced": float(
                unbalanced(counters, books)
                + abs(counters["delivered"] - got["received"])
                + abs(counters["ingress"] - sent)
            ),
            "log_overflow": float(counters["log_overflow"]),
            "disorder": float(peers.shared[load.DISORDER]),
            "memory_mb": float(memory_mb[-1]),
            "memory_growth_mb": float(np.median(memory_mb[settled][-5:]) - np.median(memory_mb[settled][:5])),
            "memory_growth_mb_per_hour": slope,
            "lateness_us_p50": summary["lateness_us"]["p50"],
            "lateness_us_p99": summary["lateness_us"]["p99"],
            "lateness_us_p999": summary["lateness_us"]["p999"],
            "timer_us_p99": summary["timer_us"]["p99"],
            "table_in_force_us_p99": summary["hand_over_us"]["in_force"]["p99"],
            "cpu_share": summary["cpu_share"],
        },
        _limits(duration_s),
        {"lateness_vs_timer_p99": summary["lateness_us"]["p99"] / summary["timer_us"]["p99"]},
        AT_LEAST,
    )


def _limits(duration_s: float) -> dict[str, float]:
    """Over minutes a slope tells nothing, over hours a difference does not."""
    without = "memory_growth_mb_per_hour" if duration_s < 900.0 else "memory_growth_mb"
    return {key: limit for key, limit in LIMITS.items() if key != without}


def unbalanced(counters: dict[str, Any], books: dict[str, Any]) -> int:
    """Packets that the books have too many or too few: in all, by class and on every link."""
    came = counters["ingress"] + counters["copied"]
    wrong = abs(came - counters["delivered"] - sum(counters["fates"].values()) - counters["in_flight"])
    wrong += abs(counters["ingress"] - sum(one["entered"] for one in books["classes"]))
    for link in books["links"].values():
        lines = link["classes"].values()
        left = sum(one["out"] + one["rerouted"] + sum(one["drops"].values()) for one in lines)
        wrong += abs(sum(one["in"] + one["copied"] for one in lines) - left - link["on_it"])
    return int(wrong)


def _watch(peers: Peers, duration_s: float) -> np.ndarray[Any, Any]:
    """Look at the carrier's memory until the time is over; rows of hours since the start, and MB."""
    from emulator.dataplane import load

    began = time.monotonic()
    shown = began
    rows = []
    while (spent := time.monotonic() - began) < duration_s:
        rows.append((spent / 3600.0, resident_mb(peers.carrier.pid)))
        if time.monotonic() - shown >= _SHOWN_EVERY_S:
            shown = time.monotonic()
            sent, received = peers.shared[load.SENT], peers.shared[load.RECEIVED]
            print(
                f"soak: {spent:.0f} of {duration_s:.0f} s, {sent} sent, {received} received, "
                f"{rows[-1][1]:.1f} MB",
                flush=True,
            )
        time.sleep(min(_SAMPLE_S, max(0.01, began + duration_s - time.monotonic())))
    return np.array(rows)


def _settle(peers: Peers) -> None:
    """Wait until nothing is under way."""
    end = time.monotonic() + PATIENCE_S
    while peers.carrier.do("summary")["counters"]["in_flight"] and time.monotonic() < end:
        time.sleep(0.05)


def resident_mb(pid: int) -> float:
    """Memory that a process has resident, in units of 2^20 bytes; EnvironmentProblem if that is not told."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        raise EnvironmentProblem(
            "bench soak: memory cannot be looked at here; Linux's /proc tells it"
        ) from None
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024.0
