"""The benchmarks of the data plane: what they compare and print, and what ends them with a sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from emulator.dataplane import load
from emulator.dataplane.histogram import make_histogram
from testbed.bench import _peers, dataplane, known, soak
from testbed.bench._peers import PeerError, Peers, line_table
from testbed.errors import BadInput
from tests.emulator.chain import LEFT, RIGHT
from tests.emulator.live import Live, packet, receive

MESSAGES = 4_000


@pytest.fixture(scope="module")
def peers() -> Iterator[Peers]:
    with Peers() as made:
        yield made


@pytest.mark.parametrize("kind", ["proxy", "channel"])
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_every_message_comes_through_either_carrier(
    peers: Peers, kind: str, transport: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    at = tmp_path_factory.mktemp("sockets")
    endpoint = "tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{at}/bench"
    options: dict[str, Any] = {"endpoint": endpoint}
    options |= {"realtime": False} if kind == "proxy" else {"hops": 4, "delay_ns": 1000}
    got, summary = dataplane.carry(peers, kind, options, count=MESSAGES, window=500)
    assert got["received"] == MESSAGES
    assert got["messages_per_s"] > 0
    assert peers.shared[load.DISORDER] == 0
    if kind == "channel":
        assert summary["counters"]["delivered"] == MESSAGES
        assert summary["counters"]["packet_hops"] == 4 * MESSAGES


def test_a_paced_load_is_stamped_and_measured(peers: Peers) -> None:
    options = {"endpoint": "tcp://127.0.0.1:*", "hops": 1, "delay_ns": 2_000_000, "compensate": True}
    got, summary = dataplane.carry(peers, "channel", options, count=200, period_ns=500_000, jitter_ns=500_000)
    assert got["received"] == summary["delay_error_us"]["count"] == summary["substrate_us"]["count"] == 200
    assert got["delay_us"]["count"] == 200
    assert got["delay_us"]["p50"] > 1_000


def test_tables_are_posted_while_messages_flow(peers: Peers) -> None:
    options = {"endpoint": "tcp://127.0.0.1:*", "hops": 1, "links": 100, "update_ns": 5_000_000}
    got, summary = dataplane.carry(peers, "channel", options, count=100, period_ns=2_000_000)
    assert got["received"] == 100
    assert summary["posted"] > 5
    assert summary["hand_over_us"]["taking"]["count"] > 5


def test_what_a_process_cannot_do_is_told(peers: Peers) -> None:
    with pytest.raises(PeerError, match="loopback"):
        peers.carrier.do("channel", endpoint="tcp://192.0.2.1:1", hops=1)


def test_a_process_that_died_is_told() -> None:
    with Peers() as mine:
        os.kill(mine.sink.pid, 9)
        with pytest.raises(PeerError, match="ended"):
            mine.sink.do("close")


def test_processes_are_gone_afterwards() -> None:
    with Peers() as mine:
        pids = [mine.carrier.pid, mine.source.pid, mine.sink.pid]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_row_of_links_leads_there_and_back() -> None:
    table = line_table(10, 2)
    assert len(table.src) == 10
    for start, end, column in ((0, 2, 1), (2, 0, 0)):
        place = start
        for _ in range(2):
            hop = table.next_hop[place, column]
            assert table.src[hop] == place
            place = int(table.dst[hop])
        assert place == end


# --- the loads --------------------------------------------------------------------------------


def test_a_sender_numbers_its_packets_and_keeps_to_its_window() -> None:
    shared = np.zeros(load.SHARED_WORDS, np.int64)
    with Live(places=2, rate_bps=1e9, queue_packets=10_000) as live:
        left, right = live.connect(LEFT, SNDTIMEO=1_000), live.connect(RIGHT)
        made = load.make_packet(packet(0, payload=b""), 64)
        shared[load.RECEIVED] = 5
        sent = load.send_flat_out(left.underlying, made, 64, 25, 30, np.zeros(8, np.int64), shared)
        assert sent == shared[load.SENT] == 25
        got = receive(right, 25)
        assert [int.from_bytes(frame[16:24], "little") for frame in got] == list(range(25))
        assert {len(frame) for frame in got} == {64}
        shared[load.STOP] = 1
        assert load.send_flat_out(left.underlying, made, 64, 25, 30, np.zeros(8, np.int64), shared) == 0


def test_a_receiver_tells_disorder_and_delays() -> None:
    shared = np.zeros(load.SHARED_WORDS, np.int64)
    delays = make_histogram()
    with Live(places=2) as live:
        left, right = live.connect(LEFT), live.connect(RIGHT, RCVTIMEO=200)
        for number in (0, 2, 1, 3):
            left.send(packet(number, sent_ns=1))
        got = load.receive(right.underlying, 10, delays, load.make_receiver_scratch(), shared)
    assert got == shared[load.RECEIVED] == 4
    assert shared[load.DISORDER] == 1
    assert delays[: len(delays) - 3].sum() == 4


# --- the benchmarks ---------------------------------------------------------------------------


def test_the_benchmark_prints_every_figure_it_has_a_limit_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ROUNDS": 1, "MESSAGES": MESSAGES, "PACED_S": 0.1, "PACED_ROUNDS": 1}.items():
        monkeypatch.setattr(dataplane, name, value)
    result = dataplane.run()
    keys = {**result.figures, **result.ratios}.keys()
    assert result.limits.keys() <= keys
    assert {
        "messages_per_s", "lateness_us_p50", "lateness_us_p99", "timer_us_p99", "vs_zmq_proxy",
        "vs_zmq_proxy_four_hops", "lateness_us_p99_spin", "lateness_us_p99_economical", "sending_us_p50",
    } <= keys  # fmt: skip
    assert all(np.isfinite(value) for value in result.figures.values())
    assert {"dataplane", "soak"} <= known().keys()


def test_lost_messages_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def losing(*_: Any, count: int, **__: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"received": count - 1, "messages_per_s": 1e9}, {}

    monkeypatch.setattr(dataplane, "carry", losing)
    with pytest.raises(PeerError, match="lost in each of 4 rounds"):
        dataplane._flat_out(None, "channel", {})  # type: ignore[arg-type]


def test_a_short_soak_balances_to_the_packet() -> None:
    result = soak.run(duration=3.0, rate=2_000.0)
    assert result.figures["messages"] == 6_000
    assert result.figures["unbalanced"] == result.figures["disorder"] == 0
    assert result.figures["duplicates"] > 0
    assert result.figures["lost_by_name"] > 0
    assert result.figures["memory_mb"] > 1
    assert result.limits.keys() <= {**result.figures, **result.ratios}.keys()


@pytest.mark.parametrize(
    ("key", "value"), [("duration", 1.0), ("duration", float("nan")), ("rate", 0.0), ("rate", float("inf"))]
)
def test_figures_a_soak_cannot_have_are_one_sentence(key: str, value: float) -> None:
    with pytest.raises(BadInput, match=f"--{key} .*are allowed"):
        soak.run(**{key: value})


def test_books_that_do_not_balance_are_seen() -> None:
    counters = {"ingress": 10, "copied": 1, "delivered": 8, "fates": {"radio_loss": 2}, "in_flight": 1}
    line = {"in": 10, "copied": 1, "out": 8, "rerouted": 0, "drops": {"radio_loss": 2}}
    books = {"classes": [{"entered": 10}], "links": {(0, 1): {"classes": {0: line}, "on_it": 1}}}
    assert soak.unbalanced(counters, books) == 0
    assert soak.unbalanced(counters | {"delivered": 7}, books) == 1
    line["out"] = 6
    assert soak.unbalanced(counters, books) == 2


def test_a_long_soak_is_judged_by_the_slope_of_memory_and_a_short_one_by_its_growth() -> None:
    assert "memory_growth_mb_per_hour" in soak._limits(1_800.0)
    assert "memory_growth_mb" in soak._limits(60.0)
    assert _peers.HIGH_WATER > dataplane.WINDOW
