"""Recorded series: values are those of their time, rates are integrated, deliveries are Mahimahi's."""

from __future__ import annotations

import gzip
import itertools
import math
from collections import deque
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import WorldError
from emulator.jit import packet_kernel
from emulator.links.model import LinkModel, ModelSet
from emulator.links.state import NEVER
from emulator.links.trace import (
    OPPORTUNITY_BYTES,
    Series,
    Traces,
    delay_value,
    loss_value,
    sending_ends_on_trace_ns,
)
from tests.emulator.links.single import MS, S, links
from tests.emulator.worlds import shared

#: a value through a few operations in floating point
ROUNDING = 1e-9
#: an integral of floating-point numbers ends within so many ns of the exact one, cut to whole ns
INTEGRAL_NS = 2


@packet_kernel
def delay_at(rows: Any, table: Any, times: Any, values: Any, since_ns: int) -> float:
    return delay_value(rows[0], table, times, values, 0, since_ns)


@packet_kernel
def loss_at(rows: Any, table: Any, times: Any, values: Any, since_ns: int) -> float:
    return loss_value(rows[0], table, times, values, 0, since_ns)


@packet_kernel
def ends_at(rows: Any, table: Any, times: Any, values: Any, trace: int, origin_ns: int) -> int:
    return sending_ends_on_trace_ns(rows[0], table, times, values, trace, origin_ns)


def arrays(**traces: Series) -> tuple[Any, Any, Any]:
    """Table, times and values of a network with this one model."""
    made = ModelSet((LinkModel("traced", traces=Traces(**traces)),))
    return made.table, made.times_ns, made.values


@st.composite
def recordings(draw: st.DrawFn, most: float = 1e9, least: float = 0.0) -> Series:
    times = sorted(draw(st.lists(st.integers(0, 1000), min_size=1, max_size=12, unique=True)))
    values = draw(st.lists(st.floats(least, most), min_size=len(times), max_size=len(times)))
    period = draw(st.sampled_from([0, times[-1], times[-1] + 37])) if times[-1] else 0
    return Series(np.array(times), np.array(values), draw(st.sampled_from(["steps", "linear"])), period)


def recorded(series: Series, since_ns: int) -> float:
    """The value at a time, by looking at the whole series."""
    times, values, period = series.times_ns.tolist(), series.values.tolist(), series.period_ns
    if period:
        since_ns %= period
        # the last value before it and the first after it
        times = [times[-1] - period, *times, times[0] + period]
        values = [values[-1], *values, values[0]]
    if since_ns < times[0]:
        return float(values[0])
    at = max(index for index, time in enumerate(times) if time <= since_ns)
    if series.kind == "steps" or at == len(times) - 1:
        return float(values[at])
    part = (since_ns - times[at]) / (times[at + 1] - times[at])
    return float(values[at] + (values[at + 1] - values[at]) * part)


# --- values -----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(recordings(), st.lists(st.integers(0, 5000), min_size=1, max_size=30))
def test_a_value_is_the_recorded_one_wherever_time_jumps(series: Series, asked: list[int]) -> None:
    rows, given_arrays = links(), arrays(delay=series)
    for since_ns in asked:
        expected = recorded(series, since_ns)
        assert delay_at(rows, *given_arrays, since_ns) == pytest.approx(expected, rel=ROUNDING, abs=1e-300)


def test_a_long_recording_is_followed_through_time_and_its_repetitions() -> None:
    random = np.random.default_rng(20261120)
    times = np.cumsum(random.integers(1, 20 * MS, 5000))
    series = Series(times, random.random(5000), "linear", int(times[-1]) + MS)
    rows, given_arrays = links(), arrays(loss=series)
    asked = np.arange(0, 3 * series.period_ns, 7 * MS)
    found = [loss_at(rows, *given_arrays, since) for since in asked.tolist()]
    ends = np.concatenate(([times[-1] - series.period_ns], times, [times[0] + series.period_ns]))
    around = np.concatenate((series.values[-1:], series.values, series.values[:1]))
    expected = np.interp(asked % series.period_ns, ends, around)
    np.testing.assert_allclose(found, expected, rtol=ROUNDING)


def test_before_its_first_time_the_first_value_holds_and_after_its_last_the_last() -> None:
    rows, given_arrays = links(), arrays(delay=Series([10, 20], [1.0, 2.0], "linear"))
    assert [delay_at(rows, *given_arrays, since) for since in (0, 10, 15, 20, 10**15)] == [1, 1, 1.5, 2, 2]


def test_each_process_of_a_link_has_a_place_of_its_own_in_its_trace() -> None:
    rows = links()
    given_arrays = arrays(delay=Series([0, 10, 20], [1.0, 2.0, 3.0]))
    assert delay_at(rows, *given_arrays, 25) == 3.0
    assert loss_at(rows, *given_arrays, 12) == 2.0
    assert (rows[0]["delay_at"], rows[0]["loss_at"]) == (2, 1)


# --- rates ------------------------------------------------------------------------------------------


def end_of(series: Series, bits: float, start_ns: int, origin_ns: int = 0) -> int:
    rows = links(tx_bits=bits, tx_since_ns=origin_ns + start_ns)
    end_ns = int(ends_at(rows, *arrays(rate=series), 0, origin_ns))
    return end_ns if end_ns == NEVER else end_ns - origin_ns


def carried(series: Series, start_ns: int, end_ns: int) -> Fraction:
    """Bits that a rate carries between two times, exactly."""
    bends = set()
    for wrap in range(end_ns // series.period_ns + 1 if series.period_ns else 1):
        bends |= {wrap * series.period_ns + time for time in [0, *series.times_ns.tolist()]}
    stops = [start_ns, *sorted(bend for bend in bends if start_ns < bend < end_ns), end_ns]
    bits = Fraction(0)
    for left, right in itertools.pairwise(stops):
        if series.kind == "steps":
            bits += Fraction(recorded(series, left)) * (right - left)
        else:
            # the middle of a straight line is its mean; halves of ns are told apart by doubling time
            double = Series(series.times_ns * 2, series.values, "linear", series.period_ns * 2)
            bits += Fraction(recorded(double, left + right)) * (right - left)
    return bits / 10**9


@settings(deadline=None)
@given(recordings(least=1e6), st.integers(0, 3000), st.floats(1e-3, 3000.0), st.sampled_from([0, 10**15]))
def test_a_rate_is_integrated_over_the_packet(
    series: Series, start_ns: int, bits: float, origin_ns: int
) -> None:
    end_ns = end_of(series, bits, start_ns, origin_ns)
    assert end_ns > start_ns
    assert carried(series, start_ns, end_ns + INTEGRAL_NS) >= Fraction(bits)
    early_ns = max(start_ns, end_ns - INTEGRAL_NS)
    assert carried(series, start_ns, early_ns) <= Fraction(bits)


def test_a_constant_rate_is_the_plain_serialisation() -> None:
    assert end_of(Series([0], [1e6]), 12_000.0, 777) == 777 + 12 * MS


def test_a_packet_sees_every_step_on_its_way() -> None:
    series = Series([0, MS, 2 * MS, 3 * MS], [8e6, 0.0, 4e6, 8e6])
    # 8000 bits in the first ms, none in the second, 4000 in the third, then 8 bits a us
    assert end_of(series, 12_800.0, 0) == 3 * MS + 100_000


def test_a_rate_that_falls_to_nothing_for_good_never_ends() -> None:
    assert end_of(Series([0, MS], [8e6, 0.0]), 8001.0, 0) == NEVER
    assert end_of(Series([0, MS], [0.0, 0.0], "steps", 2 * MS), 1.0, 5) == NEVER
    assert end_of(Series([0], [0.0]), 1.0, 5, origin_ns=S) == NEVER


def test_a_link_waits_for_the_rate_to_come_back() -> None:
    assert end_of(Series([0, MS], [8e6, 0.0], "steps", 10 * MS), 8001.0, 0) == 10 * MS + 125


def test_many_repetitions_are_passed_over_at_once() -> None:
    # a bit a period, and a packet of nearly a million of them
    series = Series([0, 1000], [1e6, 0.0], "steps", S)
    assert end_of(series, 999_999.5, 0) == pytest.approx(999_999 * S + 500, abs=INTEGRAL_NS)


# --- deliveries -------------------------------------------------------------------------------------


class LinkQueue:
    """Mahimahi's link queue as its manual (mm-link) and its log describe it, packet by packet.

    Each line of the trace is a moment at which so many bytes leave, of one packet after the other; what is
    not wanted then is lost. A packet that comes in a moment is too late for it. After the last line the
    trace begins again, its last time being the new zero.
    """

    def __init__(self, times_ns: list[int], opportunity: int) -> None:
        self.times, self.opportunity = times_ns, opportunity
        self.line, self.base = 0, 0
        self.waiting: deque[list[int]] = deque()
        self.left_at: dict[int, int] = {}

    def run(self, until_ns: int) -> None:
        while self.base + self.times[self.line] <= until_ns:
            now, room = self.base + self.times[self.line], self.opportunity
            self.line += 1
            if self.line == len(self.times):
                self.line, self.base = 0, self.base + self.times[-1]
            while room and self.waiting:
                number, size = self.waiting[0]
                part = min(size, room)
                room -= part
                self.waiting[0][1] -= part
                if part == size:
                    self.left_at[number] = now
                    self.waiting.popleft()

    def put(self, number: int, size: int, now_ns: int) -> None:
        self.run(now_ns)
        self.waiting.append([number, size])


@packet_kernel
def drive(
    rows: Any, table: Any, times: Any, values: Any, arrivals: Any, sizes: Any, origin_ns: int, left_ns: Any
) -> None:
    """A first-in first-out link, as the network drives it."""
    link, free_ns = rows[0], origin_ns
    for number in range(len(arrivals)):
        arrival_ns = origin_ns + arrivals[number]
        if arrival_ns >= free_ns:
            link.delivery_ns = 0
        link.tx_since_ns = max(arrival_ns, free_ns)
        link.tx_bits = sizes[number] * 8.0
        free_ns = sending_ends_on_trace_ns(link, table, times, values, 0, origin_ns)
        left_ns[number] = free_ns - origin_ns


def departures(series: Series, arrivals: Any, sizes: Any, origin_ns: int = 0) -> list[int]:
    """When packets leave the link."""
    left_ns = np.zeros(len(arrivals), np.int64)
    given_arrays = arrays(deliveries=series)
    drive(links(), *given_arrays, np.array(arrivals, np.int64), np.array(sizes, np.int64), origin_ns, left_ns)
    return left_ns.tolist()


def mahimahi(
    times_ns: list[int], arrivals: Any, sizes: Any, opportunity: int = OPPORTUNITY_BYTES
) -> list[int]:
    queue = LinkQueue(times_ns, opportunity)
    for number, (arrival, size) in enumerate(zip(arrivals, sizes, strict=True)):
        queue.put(number, int(size), int(arrival))
    while queue.waiting:
        queue.run(queue.base + queue.times[queue.line])
    return [queue.left_at[number] for number in range(len(arrivals))]


@settings(deadline=None, max_examples=300)
@given(
    lines=st.lists(st.integers(0, 40), min_size=1, max_size=20).filter(lambda lines: max(lines) > 0),
    gaps=st.lists(st.integers(0, 30), min_size=1, max_size=40),
    data=st.data(),
    origin_ns=st.sampled_from([0, 123_456_789]),
)
def test_deliveries_are_those_of_mahimahi(
    lines: list[int], gaps: list[int], data: st.DataObject, origin_ns: int
) -> None:
    times = sorted(lines)
    sizes = data.draw(st.lists(st.integers(1, 4000), min_size=len(gaps), max_size=len(gaps)))
    arrivals = np.cumsum(gaps)
    series = Series(times, np.full(len(times), float(OPPORTUNITY_BYTES)), "deliveries")
    assert departures(series, arrivals, sizes, origin_ns) == mahimahi(times, arrivals, sizes)


@pytest.mark.parametrize("name", ["Verizon-LTE-short.down.gz", "Verizon-LTE-short.up.gz"])
def test_a_recorded_cell_delivers_as_in_mahimahi(name: str) -> None:
    text = gzip.decompress(shared(f"mahimahi_lte/{name}").read_bytes()).decode()
    times = [int(line) * MS for line in text.split()]
    # 200 s of 4.8 Mbit/s, more than the 140 s of the trace; chosen once
    random = np.random.default_rng(20261120)
    arrivals = np.cumsum(random.exponential(1.2 * MS, 160_000)).astype(np.int64)
    sizes = random.integers(40, 1505, len(arrivals))
    series = Series(times, np.full(len(times), float(OPPORTUNITY_BYTES)), "deliveries")
    assert departures(series, arrivals, sizes) == mahimahi(times, arrivals, sizes)


def test_small_packets_share_an_opportunity_and_large_ones_take_several() -> None:
    series = Series([10, 20, 30], [1500.0] * 3, "deliveries")
    assert departures(series, [0, 0, 0], [500, 500, 500]) == [10, 10, 10]
    assert departures(series, [0, 0], [3100, 1400]) == [30, 30]


def test_an_opportunity_that_finds_no_packet_is_lost() -> None:
    series = Series([10, 20, 30], [1500.0] * 3, "deliveries")
    assert departures(series, [0, 12], [100, 100]) == [10, 20]
    assert departures(series, [10], [100]) == [20]


def test_the_trace_begins_again_after_its_last_time() -> None:
    series = Series([10, 25], [1500.0] * 2, "deliveries")
    assert series.period_ns == 25
    assert departures(series, [26, 60], [100, 100]) == [35, 75]


def test_opportunities_may_have_different_bytes() -> None:
    series = Series([10, 20], [100.0, 0.0], "deliveries", 30)
    assert departures(series, [0], [250]) == [70]


# --- what cannot be replayed ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("traces", "sentence"),
    [
        (Traces(rate=Series([], [])), "rate.times_ns and values have shapes (0,) and (0,)"),
        (Traces(rate=Series([0, 1], [1.0])), "rate.times_ns and values have shapes (2,) and (1,)"),
        (Traces(rate=Series([0.5], [1.0])), "rate.times_ns are of type float64, allowed: whole nanoseconds"),
        (Traces(delay=Series([-1], [1.0])), "delay.times_ns begin at -1, allowed: from 0"),
        (Traces(delay=Series([5, 4], [1.0, 1.0])), "delay.times_ns[1] is 4, allowed: from the one before, 5"),
        (Traces(delay=Series([0], [math.nan])), "delay.values[0] is nan, allowed: finite numbers from 0"),
        (Traces(rate=Series([0], [-1.0])), "rate.values[0] is -1, allowed: finite numbers from 0"),
        (Traces(loss=Series([0, 1], [0.5, 1.5])), "loss.values[1] is 1.5, allowed: 0 to 1"),
        (
            Traces(loss=Series([0, 9], [0.0, 0.0], "steps", 8)),
            "loss.period_ns is 8, allowed: from the last",
        ),
        (
            Traces(loss=Series([0], [0.0], "cubic")),
            "loss.kind is 'cubic', allowed: steps, linear",
        ),
        (Traces(loss=Series([1], [0.0], "deliveries")), "loss.kind is 'deliveries', allowed: steps, linear"),
        (Traces(deliveries=Series([1], [1.0])), "deliveries.kind is 'steps', allowed: deliveries"),
        (Traces(deliveries=Series([0], [1.0], "deliveries")), "deliveries.times_ns end at 0"),
        (Traces(deliveries=Series([5], [0.5], "deliveries")), "deliveries.values are all below 1"),
        (
            Traces(rate=Series([0], [1.0]), deliveries=Series([1], [1.0], "deliveries")),
            "rate and deliveries are both given, allowed: one",
        ),
    ],
)
def test_what_cannot_be_replayed_gets_a_sentence(traces: Traces, sentence: str) -> None:
    with pytest.raises(WorldError) as error:
        traces.check("traces.")
    assert str(error.value).startswith(f"traces.{sentence}")
