"""A recorded delay series played to real packets: how close what they met comes to what was recorded.

Messages go at random intervals from one process through the channel to another, over a link whose delay is
the recording (half of a round trip), linear in between. What a message met is measured by its ends, from the
sender's clock to the receiver's; what it should have met is the recording at the moment it left the
transmitter. Without a recording (`--trace FILE`) one is made up of jumps, steps and slopes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from testbed.bench import Figures
from testbed.bench._peers import (
    SINK_PORT,
    SOURCE_PORT,
    Peer,
    PeerError,
    line_table,
    sink_main,
    source_main,
)
from testbed.errors import BadInput, EnvironmentProblem

DURATION_S: Final = 30.0
PERIOD_NS: Final = 2_000_000
SIZE_BYTES: Final = 64
ENDPOINT: Final = "tcp://127.0.0.1:*"
#: of a recorded round trip, one direction
SHARE: Final = 0.5
LIMITS: Final = {"correlation": 0.9999, "error_us_mean": 50.0, "received": 1.0}


def run(trace: Path | None = None, duration: float | None = None) -> Figures:
    """Play a recording (CSV with a time column and rtt_ms or delay_ms) for `duration` seconds and compare.

    BadInput for a recording that cannot be read; EnvironmentProblem when a process cannot do its part.
    """
    duration_s = DURATION_S if duration is None else duration
    if not 1.0 <= duration_s <= 3600.0:
        raise BadInput(f"--duration: {duration_s:g}, allowed: 1 to 3600 (s)")
    series = _recorded(trace) if trace is not None else _made_up(duration_s)
    try:
        return _play(series, duration_s)
    except PeerError as error:
        raise EnvironmentProblem(f"bench trace: {error}") from None


def _recorded(path: Path) -> Any:
    from emulator.errors import WorldError
    from emulator.links.series import parse_csv_series, read_text

    try:
        text = read_text(path)
        factor = SHARE if "rtt" in text.split("\n", 1)[0].lower() else 1.0
        return parse_csv_series(
            text, "delay", factor=factor, interpolation="linear", repeat=True, source=f"--trace {path}"
        )
    except (WorldError, OSError) as error:
        raise BadInput(str(error)) from None


def _made_up(duration_s: float) -> Any:
    from emulator.links.model import Series

    random = np.random.default_rng(20261120)
    times_ns = np.arange(0, int(duration_s * 1e9), 13_000_000)
    level = np.repeat(random.uniform(8e6, 40e6, 1 + len(times_ns) // 500), 500)[: len(times_ns)]
    return Series(
        times_ns, level + random.exponential(2e6, len(times_ns)), "linear", int(times_ns[-1]) + 13_000_000
    )


def _play(series: Any, duration_s: float) -> Figures:
    import time
    from multiprocessing.shared_memory import SharedMemory

    from emulator.dataplane import load
    from emulator.dataplane.channel import Channel
    from emulator.epochs import LinkUpdates
    from emulator.hoplog import drain_log
    from emulator.layout import ORIGIN, make_network
    from emulator.links.model import LinkModel, ModelSet, Traces

    count = int(duration_s * 1e9 / PERIOD_NS)
    models = ModelSet((LinkModel("recorded", traces=Traces(delay=series), keep_order=False),))
    net = make_network(2, 2, 8, links=8, log=1 << (2 * count - 1).bit_length(), models=models)
    channel = Channel(net, ENDPOINT, compensate=True)
    channel.add_port(SOURCE_PORT, 0, 0)
    channel.add_port(SINK_PORT, 1, 1)
    LinkUpdates(net, (), 1).post(0, line_table(0, 1, model=models.index("recorded")))
    memory = SharedMemory(create=True, size=load.SHARED_WORDS * 8)
    ends: list[Peer] = []
    try:
        channel.start()
        ends = [Peer(source_main, memory.name), Peer(sink_main, memory.name)]
        source, sink = ends
        # A receiver that is not let run would count as delay of the channel.
        sink.do("prefer_realtime")
        for end in ends:
            end.do("connect", endpoint=channel.endpoint, carrier="channel")
        net.state[ORIGIN] = time.monotonic_ns()
        print(f"trace: {count} messages in {duration_s:g} s", flush=True)
        sink.ask("receive_each", count=count)
        source.do("send", count=count, size=SIZE_BYTES, period_ns=PERIOD_NS, jitter_ns=PERIOD_NS)
        numbers, met_ns = sink.answer()
    finally:
        channel.stop()
        for end in ends:
            end.close()
        memory.close()
        memory.unlink()
    hops = drain_log(net)  # one hop each
    hops = hops[np.argsort(hops["packet"])]
    left_ns = hops["in_ns"] + hops["queue_ns"] - net.state[ORIGIN]
    wanted_ns = np.interp(left_ns % series.period_ns, series.times_ns, series.values)[numbers]
    error_us = (met_ns - wanted_ns) / 1e3
    figures = {
        "messages": float(count),
        "received": len(numbers) / count,
        "error_us_mean": float(np.abs(error_us).mean()),
        "error_us_p99": float(np.quantile(np.abs(error_us), 0.99)),
        "bias_us": float(error_us.mean()),
        "correlation": float(np.corrcoef(met_ns, wanted_ns)[0, 1]),
        "recorded_ms_p50": float(np.median(wanted_ns)) / 1e6,
        "recorded_ms_sd": float(wanted_ns.std()) / 1e6,
        "lateness_us_p99": channel.lateness_us()["p99"],
    }
    return Figures("trace", figures, LIMITS, {}, frozenset({"correlation", "received"}))
