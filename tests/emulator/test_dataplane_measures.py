"""What the channel tells of itself while it runs: lateness, delay error, substrate delay, tables, books."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from emulator.dataplane.histogram import (
    COARSE_WORDS,
    make_histogram,
    record,
    record_coarse,
    summary_us,
)
from emulator.dataplane.measures import (
    MOST_CREDIT_NS,
    OWN_LINKS,
    OWN_PORTS,
    UNKNOWN,
    make_measures,
    note_pick_up,
    per_link,
    pick_up_ns,
    substrate_us,
)
from emulator.jit import packet_kernel
from emulator.layout import make_network
from emulator.links.model import Faults, LinkModel
from nodes import wire
from tests.emulator.chain import LEFT, MS, RIGHT
from tests.emulator.live import WAIT_MS, Live, now_packet, packet, receive

#: a coarse histogram has four buckets an octave, a fine one sixteen
A_FOURTH, A_SIXTEENTH = 1.25, 1.0625


@pytest.fixture
def live() -> Iterator[Live]:
    with Live() as made:
        yield made


# --- histograms -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["fine", "coarse"])
@pytest.mark.parametrize("value_ns", [0, 1, 3, 4, 5, 15, 16, 17, 999, 1_000, 65_535, 65_536, 10**9, 10**13])
def test_a_value_is_found_again_within_its_bucket(kind: str, value_ns: int) -> None:
    histogram = make_histogram() if kind == "fine" else np.zeros(COARSE_WORDS, np.int64)
    (record if kind == "fine" else record_coarse)(histogram, value_ns)
    found = summary_us(histogram)
    upper_ns = found["histogram"]["edges_us"][0] * 1e3
    within = A_SIXTEENTH if kind == "fine" else A_FOURTH
    assert value_ns < upper_ns <= max(value_ns * within, value_ns + 1) + 1e-6
    assert found["max"] == value_ns / 1e3
    assert found["mean"] == value_ns / 1e3


def test_what_is_below_zero_counts_as_zero_and_what_is_beyond_all_buckets_in_the_last() -> None:
    for histogram, recorded in (
        (make_histogram(), record),
        (np.zeros(COARSE_WORDS, np.int64), record_coarse),
    ):
        recorded(histogram, -5)
        recorded(histogram, 1 << 62)
        found = summary_us(histogram)
        assert (found["count"], found["max"]) == (2, (1 << 62) / 1e3)
        assert histogram[0] == 1


def test_quantiles_of_a_coarse_histogram_are_within_a_fourth() -> None:
    values = np.random.default_rng(1).exponential(50_000, 20_000).astype(np.int64)
    histogram = np.zeros(COARSE_WORDS, np.int64)
    for value in values.tolist():
        record_coarse(histogram, value)
    found = summary_us(histogram)
    for name, quantile in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
        true_us = float(np.quantile(values, quantile)) / 1e3
        assert true_us <= found[name] * (1 + 1e-3)
        assert found[name] <= true_us * A_FOURTH


# --- by link and by port ----------------------------------------------------------------------


def test_lateness_and_delay_error_are_told_for_the_last_link_of_a_packet(live: Live) -> None:
    left, right = live.connect(LEFT), live.connect(RIGHT)
    for number in range(30):
        left.send(now_packet(number))
    receive(right, 30)
    right.send(wire.pack(wire.Header(wire.DATA, RIGHT, LEFT)))
    receive(left, 1)
    live.settle(31)
    found = live.channel.per_link()
    assert set(found) == {(1, 2), (1, 0)}
    assert found[1, 2]["lateness_us"]["count"] == found[1, 2]["delay_error_us"]["count"] == 30
    # A packet that does not tell when it was sent has no delay error.
    assert (found[1, 0]["lateness_us"]["count"], found[1, 0]["delay_error_us"]["count"]) == (1, 0)
    assert live.channel.lateness_us()["count"] == live.channel.sending_us()["count"] == 31
    assert live.channel.delay_error_us()["count"] == 30


def test_links_without_histograms_of_their_own_share_one() -> None:
    measures = make_measures(4, 4, 4)
    net = make_network(4, 4, 4, links=4)
    measures.of_link[:2] = 0
    measures.links[0, 0, COARSE_WORDS - 3] = 7
    measures.links[0, 0, 5] = 7
    assert list(per_link(net, measures)) == [(-1, -1)]
    assert OWN_LINKS < 1 << 20


def test_a_row_that_became_another_links_is_not_told_as_it() -> None:
    measures = make_measures(4, 4, 4)
    net = make_network(4, 4, 4, links=4)
    net.links["key"][0], net.links["from_place"][0], net.links["to_place"][0] = 5, 1, 2
    measures.of_link[0], measures.link_keys[1] = 1, 5
    assert list(per_link(net, measures)) == [(1, 2)]
    net.links["key"][0] = 6
    assert list(per_link(net, measures)) == []


def test_ports_beyond_the_bound_share_one_histogram() -> None:
    measures = make_measures(1, OWN_PORTS + 10, 1)
    for port in range(OWN_PORTS + 10):
        note_pick_up(measures, port, 1_000 * (port + 1))
    assert substrate_us(measures, 0)["count"] == 1
    assert substrate_us(measures, OWN_PORTS + 1)["count"] == 10
    assert substrate_us(measures)["count"] == OWN_PORTS + 10


def test_substrate_delay_is_from_the_senders_stamp_to_the_entry(live: Live) -> None:
    left, right = live.connect(LEFT), live.connect(RIGHT)
    for number in range(20):
        left.send(now_packet(number))
    receive(right, 20)
    left.send(packet(20))
    live.settle(21)
    hops = live.hops()
    first = hops[(hops["hop"] == 0)]
    stamps = np.ascontiguousarray(first["header"]).view("<i8").reshape(-1, 6)[:, 3]
    stamped = stamps > 0
    largest_us = float((first["ingress_ns"] - stamps)[stamped].max()) / 1e3
    found = live.channel.substrate_us()
    assert found["count"] == live.channel.substrate_us(LEFT)["count"] == 20
    assert found["max"] == pytest.approx(largest_us)
    assert live.channel.substrate_us(RIGHT)["count"] == 0


@packet_kernel
def picked_up(header: Any, port: int, now_ns: int) -> int:
    return int(pick_up_ns(header, port, now_ns))


@pytest.mark.parametrize(
    ("port", "sent_ns", "flags", "delay_ns"),
    [
        (LEFT, 900, wire.FLAG_HOST_CLOCK, 100),
        (LEFT, 1_000, wire.FLAG_HOST_CLOCK, 0),
        (LEFT, 1_001, wire.FLAG_HOST_CLOCK, UNKNOWN),
        (LEFT, -(10**13), wire.FLAG_HOST_CLOCK, UNKNOWN),
        (LEFT, 900, 0, UNKNOWN),
        (LEFT, 900, wire.FLAG_RELIABLE, UNKNOWN),
        (RIGHT, 900, wire.FLAG_HOST_CLOCK, UNKNOWN),
    ],
    ids=["its own", "at once", "from the future", "hours old", "another clock", "another flag", "relayed"],
)
def test_only_a_stamp_of_this_host_by_the_sender_itself_tells_the_substrate_delay(
    port: int, sent_ns: int, flags: int, delay_ns: int
) -> None:
    frame = packet(0, sent_ns=sent_ns, flags=flags)
    assert picked_up(np.frombuffer(frame[: wire.HEADER_BYTES], np.int64), port, 1_000) == delay_ns


# --- compensation -----------------------------------------------------------------------------


def test_with_compensation_what_a_packet_was_late_is_taken_off_and_told() -> None:
    with Live(places=2, options={"compensate": True}, delay_ns=20 * MS) as live:
        left, right = live.connect(LEFT), live.connect(RIGHT)
        for number in range(50):
            left.send(now_packet(number))
            time.sleep(0.001)
        receive(right, 50)
        live.settle(50)
        hops = live.hops()
    sent_ns = np.ascontiguousarray(hops["header"]).view("<i8").reshape(-1, 6)[:, 3]
    late_ns = np.minimum(hops["ingress_ns"] - sent_ns, MOST_CREDIT_NS)
    assert (hops["credit_ns"] >= late_ns).all()
    assert (hops["credit_ns"] <= MOST_CREDIT_NS).all()
    on_time = hops["credit_ns"] < MOST_CREDIT_NS
    # Counted from the stamp, the delay is that of the link, but for what hand-over will take.
    whole_ns = (hops["due_ns"] - sent_ns)[on_time]
    usual_ns = hops["credit_ns"][on_time] - late_ns[on_time]
    serialisation_ns = hops["size"][on_time] * 8 * 10
    assert np.array_equal(whole_ns - serialisation_ns, 20 * MS - usual_ns)


def test_without_compensation_nothing_is_taken_off(live: Live) -> None:
    left, right = live.connect(LEFT), live.connect(RIGHT)
    left.send(now_packet(0))
    receive(right, 1)
    live.settle(1)
    assert (live.hops()["credit_ns"] == 0).all()


def test_no_more_is_taken_off_than_a_stamp_of_long_ago_may_have() -> None:
    with Live(places=2, options={"compensate": True}, delay_ns=20 * MS) as live:
        left, right = live.connect(LEFT), live.connect(RIGHT)
        old_ns = time.monotonic_ns() - 10**10
        left.send(packet(0, sent_ns=old_ns, flags=wire.FLAG_HOST_CLOCK))
        receive(right, 1)
        live.settle(1)
        hops = live.hops()
    assert hops["credit_ns"].tolist() == [MOST_CREDIT_NS]
    assert (hops["due_ns"] - hops["ingress_ns"] >= 19 * MS).all()


# --- tables, turns ----------------------------------------------------------------------------


def test_tables_are_told_of_but_the_first_that_was_due_since_ever(live: Live) -> None:
    live.connect(LEFT)
    for number in range(5):
        live.post(time.monotonic_ns() + (10 + 10 * number) * MS, delay_ns=3 * MS)
    deadline = time.monotonic() + WAIT_MS / 1e3
    while live.updates.took_effect_ns(5) is None and time.monotonic() < deadline:
        time.sleep(0.005)
    live.settle(0)
    found = live.channel.hand_over_us()
    assert (found["in_force"]["count"], found["taking"]["count"]) == (5, 6)
    assert found["taking"]["max"] > 0


def test_processor_time_and_turns_are_told(live: Live) -> None:
    live.connect(LEFT)
    live.settle(0)
    share = live.channel.cpu_share()
    assert share is not None
    assert 0.0 < share <= 1.01
    assert live.channel.turns()["turns"] > 0


# --- books ------------------------------------------------------------------------------------


def assert_balanced(books: dict[str, Any]) -> None:
    came = sum(one["entered"] for one in books["classes"]) + books["copied"]
    gone = sum(one["delivered"] + sum(one["drops"].values()) for one in books["classes"])
    assert came == gone + books["in_flight"]
    for link in books["links"].values():
        lines = link["classes"].values()
        left = sum(one["out"] + one["rerouted"] + sum(one["drops"].values()) for one in lines)
        assert sum(one["in"] + one["copied"] for one in lines) == left + link["on_it"]


def test_books_tell_links_classes_and_causes() -> None:
    model = LinkModel("one", faults=Faults(duplicate=0.2))
    with Live(model, loss=0.3, rate_bps=2e6, queue_packets=20) as live:
        left = live.connect(LEFT)
        live.connect(RIGHT)
        for number in range(400):
            left.send(packet(number, payload=bytes(500), traffic_class=number % 4))
            if number == 200:
                # While it runs: no number is ever beyond what was sent.
                seen = live.channel.books()
                assert sum(one["entered"] for one in seen["classes"]) <= 201
        live.settle(400)
        books = live.channel.books()
    assert_balanced(books)
    assert [one["entered"] for one in books["classes"]] == [100] * 4
    assert books["copied"] > 0
    assert set(books["links"]) == {(0, 1), (1, 2)}
    first = books["links"][0, 1]["classes"]
    assert sum(one["in"] for one in first.values()) == 400
    assert all(one["in_bytes"] == one["in"] * 548 for one in first.values())
    causes = {
        cause
        for link in books["links"].values()
        for one in link["classes"].values()
        for cause in one["drops"]
    }
    assert causes == {"radio_loss", "queue_full"}
    assert books["in_flight"] == 0
