"""Reliable transfers: whatever the network does, the data arrives in whole or the failure has a name."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.transfer import (
    BLOB_MAX_BYTES,
    INCOMING_MAX,
    RTO_MIN_NS,
    TRIES_MAX,
    WINDOW_MAX,
    Acknowledgement,
    Blob,
    Outcome,
    RoundTrip,
    Segment,
    Sending,
    Transfers,
    pack_ack,
    unpack_ack,
)
from nodes.wire import ACK, FRAGMENT_BYTES, TASK

Fate = Callable[[int, Segment], list[int]]
MS = 1_000_000


def exchange(data: bytes, fate: Fate, limit_ns: int = 10**12) -> tuple[list[Blob], list[Outcome], int, int]:
    """Send `data` from port 1 to port 2; `fate(n, segment)` gives the delays of the n-th packet's copies.

    Returns what arrived, how it ended, how many packets were sent, and the time it took.
    """
    ends = {1: Transfers(), 2: Transfers()}
    ends[1].begin(2, TASK, 7, data)
    packets: list[tuple[int, int, int, int, Segment]] = []
    blobs, outcomes, sent, now_ns = [], [], 0, 0

    def flush(port: int) -> None:
        nonlocal sent
        segments, ended = ends[port].flush(now_ns)
        outcomes.extend(ended)
        for segment in segments:
            for delay_ns in fate(sent, segment):
                heapq.heappush(packets, (now_ns + delay_ns, sent, port, now_ns, segment))
            sent += 1

    flush(1)
    while now_ns < limit_ns and (packets or ends[1].due_ns is not None):
        due_ns = ends[1].due_ns
        if packets and (due_ns is None or packets[0][0] <= due_ns):
            now_ns, _, src, sent_ns, s = heapq.heappop(packets)
            if s.kind == ACK:
                ends[s.dst].on_ack(src, s.payload, now_ns)
            else:
                blob = ends[s.dst].on_fragment(
                    src, s.kind, s.tag, s.fragment, s.fragments, sent_ns, s.payload, now_ns
                )
                blobs += [blob] if blob else []
            flush(s.dst)
        else:
            assert due_ns is not None
            now_ns = due_ns
        flush(1)
    return blobs, outcomes, sent, now_ns


def content(size: int) -> bytes:
    return bytes((i * i + i // 251) % 256 for i in range(size))


@pytest.mark.parametrize("size", [0, 1, FRAGMENT_BYTES, FRAGMENT_BYTES + 1, 50_000])
def test_without_losses_nothing_is_sent_twice(size: int) -> None:
    data = content(size)
    blobs, outcomes, sent, _ = exchange(data, lambda n, s: [10 * MS])
    fragments = max(1, -(-size // FRAGMENT_BYTES))
    assert blobs == [Blob(1, TASK, 7, data)]
    assert outcomes == [Outcome((2, TASK, 7), "", 0)]
    assert sent == 2 * fragments


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(0, 60_000),
    fates=st.lists(st.lists(st.integers(1 * MS, 300 * MS), max_size=3), min_size=1, max_size=40),
)
def test_losses_repeats_and_reordering_are_survived_or_named(size: int, fates: list[list[int]]) -> None:
    data = content(size)
    blobs, outcomes, _, _ = exchange(data, lambda n, s: fates[n % len(fates)])
    assert len(outcomes) == 1
    assert len(blobs) <= 1
    if outcomes[0].cause:
        assert "unanswered after" in outcomes[0].cause
    else:
        assert blobs == [Blob(1, TASK, 7, data)]


def test_a_network_that_takes_everything_gives_a_named_failure() -> None:
    blobs, outcomes, sent, _ = exchange(content(3000), lambda n, s: [])
    assert blobs == []
    assert outcomes == [
        Outcome((2, TASK, 7), "fragment 0 of 3 unanswered after 8 tries", 3 * (TRIES_MAX - 1))
    ]
    assert sent == 3 * TRIES_MAX


def test_one_loss_costs_one_packet_and_no_timeout() -> None:
    delay_ns = 10 * MS
    lost = [n for n, _ in enumerate(range(1))]

    def fate(n: int, segment: Segment) -> list[int]:
        if segment.fragment == 20 and segment.kind == TASK and lost:
            lost.clear()
            return []
        return [delay_ns]

    _, outcomes, _, took_ns = exchange(content(60 * FRAGMENT_BYTES), fate)
    _, _, _, undisturbed_ns = exchange(content(60 * FRAGMENT_BYTES), lambda n, s: [delay_ns])
    assert outcomes[0].retransmissions == 1
    # Noticed from the acknowledgements of later packets: well before the shortest timeout.
    assert took_ns - undisturbed_ns < RTO_MIN_NS


def test_the_window_bounds_what_is_on_the_way() -> None:
    transfer = Sending(2, TASK, 1, content(200 * FRAGMENT_BYTES), RoundTrip())
    on_the_way = len(transfer.poll(0))
    assert on_the_way <= WINDOW_MAX
    for acknowledged in range(1, 101):
        transfer.acknowledge(Acknowledgement(TASK, 1, 0, acknowledged, frozenset()), MS)
        on_the_way += len(transfer.poll(MS)) - 1
        assert on_the_way <= WINDOW_MAX
    assert on_the_way == WINDOW_MAX


def test_timeouts_follow_the_round_trip() -> None:
    slow, fast = RoundTrip(), RoundTrip()
    for _ in range(50):
        slow.sample(2_000 * MS)
        fast.sample(2 * MS)
    assert fast.rto_ns == RTO_MIN_NS
    assert 2_000 * MS < slow.rto_ns < 3_000 * MS


def test_acknowledgements_survive_packing() -> None:
    ack = Acknowledgement(TASK, 2**63, -5, 10, frozenset({11, 12, 40}))
    assert unpack_ack(pack_ack(ack)) == ack
    assert unpack_ack(b"short") is None


def test_a_repeat_of_a_finished_transfer_is_answered_and_not_delivered_again() -> None:
    receiver = Transfers()
    assert receiver.on_fragment(1, TASK, 7, 0, 1, 0, b"x", 0) == Blob(1, TASK, 7, b"x")
    receiver.flush(0)
    assert receiver.on_fragment(1, TASK, 7, 0, 1, 0, b"x", 1) is None
    (segments, _), answered = receiver.flush(1), receiver.duplicates
    assert answered == 1
    ack = unpack_ack(segments[0].payload)
    assert ack is not None
    assert ack.base == 1


def test_bounds_of_the_receiver_are_counted() -> None:
    receiver = Transfers()
    for tag in range(INCOMING_MAX + 3):
        receiver.on_fragment(1, TASK, tag, 0, 2, 0, b"", 0)
    assert receiver.refused == 3
    receiver.on_fragment(1, TASK, 0, 5, 2, 0, b"", 0)  # beyond its own count
    assert receiver.refused == 4


def test_a_transfer_too_large_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ValueError, match="at most"):
        Transfers().begin(2, TASK, 1, bytes(BLOB_MAX_BYTES + 1))
