"""The real-time data plane: throughput beside libzmq's own proxy, lateness beside the machine's own timers.

Messages of 64 bytes go over tcp from one process through a second to a third, over the same compiled load
whatever carries them. Throughput is that of the receiver, in rounds that alternate between what is compared;
each ratio is that of two neighbours, and the median of the rounds counts. A round in which a single message
is lost does not count: the sender stays within a window of the receiver, with the proxy as with the channel.
"""

from __future__ import annotations

import statistics
from typing import Any, Final

from testbed.bench import Figures
from testbed.bench._peers import PeerError, Peers
from testbed.errors import EnvironmentProblem

ROUNDS: Final = 5
MESSAGES: Final = 400_000
SIZE_BYTES: Final = 64
#: messages under way at most. A ROUTER takes no more than half its high-water mark for granted
WINDOW: Final = 4_096
ENDPOINT: Final = "tcp://127.0.0.1:*"
DELAY_NS: Final = 1_000_000
#: times a round that lost messages is tried again
_RETRIES: Final = 3

UPDATED_LINKS: Final = 1_000
UPDATE_NS: Final = 10_000_000

#: lateness: sent at this pace, over a link of this delay
PACED_PER_S: Final = 10_000
PACED_S: Final = 4.0
PACED_DELAY_NS: Final = 5_000_000
PACED_ROUNDS: Final = 5
PROBE_NS: Final = 1_000_000

LIMITS: Final = {
    "vs_zmq_proxy": 0.8,
    "vs_zmq_proxy_four_hops": 0.6,
    "vs_no_updates": 0.9,
    "lateness_us_p50": 5.0,
    "lateness_vs_timer_p99": 1.5,
    "delay_error_us_mean": 10.0,
    "table_in_force_us_p99": 100.0,
}
AT_LEAST: Final = frozenset({"vs_zmq_proxy", "vs_zmq_proxy_four_hops", "vs_no_updates"})

_PROXY: Final = ("proxy", {"endpoint": ENDPOINT, "realtime": True})


def _channel(hops: int, **options: Any) -> tuple[str, dict[str, Any]]:
    return "channel", {"endpoint": ENDPOINT, "hops": hops, "delay_ns": DELAY_NS // hops, **options}


#: what takes turns in a round
_CARRIERS: Final = {
    "proxy": _PROXY,
    "one_hop": _channel(1),
    "four_hops": _channel(4),
    "links": _channel(1, links=UPDATED_LINKS),
    "updates": _channel(1, links=UPDATED_LINKS, update_ns=UPDATE_NS),
}


def run() -> Figures:
    """Measure; EnvironmentProblem when a process of it cannot do its part."""
    try:
        with Peers() as peers:
            return _measure(peers)
    except PeerError as error:
        raise EnvironmentProblem(f"bench dataplane: {error}") from None


def _measure(peers: Peers) -> Figures:
    print("dataplane: compiling, where that was not done before", flush=True)
    for kind, options in (_PROXY, _channel(1)):
        _flat_out(peers, kind, options, MESSAGES // 10)
    rates: dict[str, list[float]] = {name: [] for name in _CARRIERS}
    cpu: list[float] = []
    in_force: list[dict[str, Any]] = []
    taking: list[dict[str, Any]] = []
    for number in range(ROUNDS):
        for name, (kind, options) in _CARRIERS.items():
            rate, summary = _flat_out(peers, kind, options)
            rates[name].append(rate)
            if name == "one_hop":
                cpu.append(summary["cpu_share"])
            if name == "updates":
                in_force.append(summary["hand_over_us"]["in_force"])
                taking.append(summary["hand_over_us"]["taking"])
        shown = ", ".join(f"{name} {values[-1] / 1e6:.2f}" for name, values in rates.items())
        print(f"dataplane: round {number + 1} of {ROUNDS}, million messages a second: {shown}", flush=True)
    figures = {
        "messages_per_s": statistics.median(rates["one_hop"]),
        "messages_per_s_four_hops": statistics.median(rates["four_hops"]),
        "messages_per_s_proxy": statistics.median(rates["proxy"]),
        "messages_per_s_updates": statistics.median(rates["updates"]),
        "cpu_share": statistics.median(cpu),
        "table_in_force_us_p50": statistics.median(one["p50"] for one in in_force),
        "table_in_force_us_p99": statistics.median(one["p99"] for one in in_force),
        "table_taking_us_p50": statistics.median(one["p50"] for one in taking),
        "table_taking_us_p99": statistics.median(one["p99"] for one in taking),
    }
    ratios = {
        "vs_zmq_proxy": _ratio(rates, "one_hop", "proxy"),
        "vs_zmq_proxy_four_hops": _ratio(rates, "four_hops", "proxy"),
        "vs_no_updates": _ratio(rates, "updates", "links"),
    }
    _measure_lateness(peers, figures, ratios)
    return Figures("dataplane", figures, LIMITS, ratios, AT_LEAST)


def _ratio(rates: dict[str, list[float]], one: str, other: str) -> float:
    return statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True))


def _flat_out(
    peers: Peers, kind: str, options: dict[str, Any], messages: int = MESSAGES
) -> tuple[float, dict[str, Any]]:
    """Messages a second through a carrier, none lost, and what the carrier tells of it."""
    for _ in range(1 + _RETRIES):
        got, summary = carry(peers, kind, options, count=messages, window=WINDOW)
        if got["received"] == messages:
            return got["messages_per_s"], summary
        print(f"dataplane: {messages - got['received']} messages were lost, once more", flush=True)
    raise PeerError(f"{kind}: messages were lost in each of {1 + _RETRIES} rounds")


def carry(
    peers: Peers, kind: str, options: dict[str, Any], *, size: int = SIZE_BYTES, count: int, **load: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Send `count` messages through a carrier made for it; what the receiver and the carrier tell."""
    peers.shared[:] = 0
    to, by = peers.carrier.do(kind, **options)
    try:
        peers.sink.do("connect", endpoint=by, carrier=kind)
        peers.source.do("connect", endpoint=to, carrier=kind)
        peers.sink.ask("receive", count=count)
        peers.source.ask("send", count=count, size=size, **load)
        peers.source.answer()
        got = peers.sink.answer()
        peers.source.do("close")
        peers.sink.do("close")
    finally:
        summary = peers.carrier.do("close")
    return got, summary


def _measure_lateness(peers: Peers, figures: dict[str, float], ratios: dict[str, float]) -> None:
    """Lateness of each setting of `latency`; of "balanced" also without compensation."""
    settings: dict[str, dict[str, Any]] = {
        "": {"latency": "balanced", "compensate": True},
        "_uncompensated": {"latency": "balanced"},
        "_spin": {"latency": "spin"},
        "_economical": {"latency": "economical"},
    }
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in settings}
    period_ns = 1_000_000_000 // PACED_PER_S
    count = int(PACED_S * PACED_PER_S)
    for _ in range(PACED_ROUNDS):
        for name, options in settings.items():
            kind, made = _channel(1, probe_ns=PROBE_NS, **options)
            made["delay_ns"] = PACED_DELAY_NS
            _, summary = carry(peers, kind, made, count=count, period_ns=period_ns, jitter_ns=period_ns)
            found[name].append(summary)

    def median(name: str, of: str, which: str) -> float:
        return float(statistics.median(one[of][which] for one in found[name]))

    for name, options in settings.items():
        shown = {
            "lateness p50": median(name, "lateness_us", "p50"),
            "p99": median(name, "lateness_us", "p99"),
            "timer p99": median(name, "timer_us", "p99"),
            "delay error mean": median(name, "delay_error_us", "mean"),
        }
        share = statistics.median(one["cpu_share"] for one in found[name])
        print(
            f"dataplane: {options['latency']}{', compensated' if not name else ''}: "
            + ", ".join(f"{key} {value:.1f} us" for key, value in shown.items())
            + f", processor {share:.0%} ({found[name][0]['scheduling']})",
            flush=True,
        )
        for which in ("p50", "p99"):
            figures[f"lateness_us_{which}{name}"] = median(name, "lateness_us", which)
        figures[f"delay_error_us_mean{name}"] = median(name, "delay_error_us", "mean")
        figures[f"timer_us_p99{name}"] = median(name, "timer_us", "p99")
        ratios[f"lateness_vs_timer_p99{name}"] = statistics.median(
            one["lateness_us"]["p99"] / one["timer_us"]["p99"] for one in found[name]
        )
    figures["substrate_us_p50"] = median("", "substrate_us", "p50")
    figures["sending_us_p50"] = median("", "sending_us", "p50")
    figures["sending_us_p99"] = median("", "sending_us", "p99")
