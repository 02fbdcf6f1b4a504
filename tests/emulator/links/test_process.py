"""Generated delay: distribution, levels on their grid, correlation and events are those that are stated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

from emulator.errors import WorldError
from emulator.jit import packet_kernel
from emulator.links.model import Events, LinkModel, ModelSet, Process
from emulator.links.process import LOST, process_ns
from emulator.links.tables import model_of, table_of
from tests.emulator.links.single import KEY, MS, S, links, packets

#: 99.9 % of KS statistics of so many independent draws are below this over the root of their number
KS_999 = 1.95
#: standard errors that an estimate of many draws is within
ERRORS = 4.0
#: a delay in floating point, cut to whole ns
CUT_NS = 1
#: 10 ms at a score of -4, 90 ms at 4: delay in ms is 50 + 10 score
STRAIGHT = np.linspace(10.0 * MS, 90.0 * MS, 257)


@packet_kernel
def _pass(rows: Any, sent: Any, values: Any, times: Any, found: Any) -> None:
    packet = sent[0]
    for index in range(times.shape[0]):
        packet.number = np.uint64(index)
        found[index] = process_ns(rows[0], packet, values, 0, times[index])


def delays_ns(process: Process, times_ns: Any, **link: Any) -> np.ndarray[Any, Any]:
    """Delays [n] of packets 0, 1, ... that leave a link that has not been used at these times."""
    process.check("")
    times = np.asarray(times_ns, np.int64)
    found = np.zeros(len(times), np.int64)
    _pass(links(**link), packets(), process.packed(), times, found)
    return found


def scores(process: Process, times_ns: Any, **link: Any) -> np.ndarray[Any, Any]:
    """The normal scores behind the delays of a process with the `STRAIGHT` table."""
    return (delays_ns(process, times_ns, **link) / MS - 50.0) / 10.0


def pattern(*segments: tuple[float, float, float], event: float = 0.5, size: float = 0.5) -> Any:
    """Patterns [1, n, 5] of (length s, level, spread)."""
    return np.array([[(length * S, level, spread, event, size) for length, level, spread in segments]])


def test_draws_have_the_distribution_of_the_table() -> None:
    table = np.quantile(np.random.default_rng(1).gamma(2.0, 10.0 * MS, 10**6), ndtr(np.linspace(-4, 4, 257)))
    found = np.sort(delays_ns(Process(table), np.arange(40_000) * MS))
    expected = np.interp(found, table, ndtr(np.linspace(-4, 4, 257)))
    away = np.abs(expected - (np.arange(len(found)) + 0.5) / len(found)).max()
    assert away < KS_999 / np.sqrt(len(found))


def test_a_level_holds_from_its_boundary_to_the_next_to_the_nanosecond() -> None:
    steps = Process(STRAIGHT, patterns=pattern((1.0, -1.0, 0.0), (0.5, 2.0, 0.0)))
    times = [0, S - 1, S, 3 * S // 2 - 1, 3 * S // 2, 5 * S // 2 - 1, 5 * S // 2]
    assert delays_ns(steps, times).tolist() == [v * MS for v in (40, 40, 70, 70, 40, 40, 70)]


def test_a_run_that_begins_within_a_block_goes_on_where_the_block_is() -> None:
    steps = Process(STRAIGHT, patterns=pattern((1.0, -1.0, 0.0), (0.5, 2.0, 0.0)))
    later = replace(steps, block=7, phase_ns=900 * MS)
    assert delays_ns(later, [0, 100 * MS - 1, 100 * MS, 600 * MS]).tolist() == [
        40 * MS, 40 * MS, 70 * MS, 40 * MS,
    ]  # fmt: skip


def test_which_level_a_time_has_does_not_depend_on_what_came_before() -> None:
    several = np.concatenate([pattern((1.0, level, 0.0), (1.0, -level, 0.0)) for level in (0.5, 1.0, 2.0)])
    process = Process(STRAIGHT, patterns=several)
    times = np.arange(0, 60 * S, 700 * MS)
    alone = [int(delays_ns(process, [time])[0]) for time in times]
    assert delays_ns(process, times).tolist() == alone
    assert delays_ns(process, times[::-1]).tolist() == alone[::-1]


def test_blocks_are_of_all_patterns_and_differ_between_links() -> None:
    several = np.concatenate([pattern((1.0, float(level), 0.0)) for level in range(-2, 3)])
    process, times = Process(STRAIGHT, patterns=several), np.arange(200) * S
    one, other = (scores(process, times, key=KEY + n) for n in (0, 1))
    assert set(one.round().tolist()) == {-2.0, -1.0, 0.0, 1.0, 2.0}
    assert not np.array_equal(one, other)


def test_scores_are_correlated_as_the_components_are() -> None:
    step_ns, count = 50 * MS, 60_000
    process = Process(STRAIGHT, white=0.6, components=np.array([[200.0 * MS, 0.8]]))
    found = scores(process, np.arange(count) * step_ns)
    for lag in (1, 4, 8):
        expected = 0.64 * np.exp(-lag * 50.0 / 200.0)
        correlation = float(np.mean(found[:-lag] * found[lag:]))
        # of an autoregressive series: Bartlett 1946
        assert correlation == pytest.approx(expected, abs=ERRORS * 2.5 / np.sqrt(count))
    assert found.var() == pytest.approx(1.0, abs=ERRORS * 2.5 / np.sqrt(count))


def test_the_spread_of_a_segment_scales_its_scores() -> None:
    process = Process(STRAIGHT, patterns=pattern((10.0, 1.0, 0.2), (10.0, -1.0, 0.6)))
    found = scores(process, np.arange(0, 20 * S, MS))
    for part, spread in ((found[:10_000], 0.2), (found[10_000:], 0.6)):
        assert part.std() == pytest.approx(spread, rel=ERRORS / np.sqrt(2 * 10_000))


def test_packets_within_an_outage_are_lost_and_those_after_it_wait_for_the_stall_to_end() -> None:
    event = Events(1.0, np.array([0.2 * S]), np.array([0.1 * S]), np.array([0.05 * S]))
    process = Process(STRAIGHT, patterns=pattern((1.0, 0.0, 0.0)), events=event)
    times = np.array([0, 199, 200, 299, 300, 310, 349, 350, 999]) * MS
    expected = [50, 50, LOST / MS, LOST / MS, 100, 90, 51, 50, 50]
    assert delays_ns(process, times).tolist() == [v * MS for v in expected]


def test_an_event_may_begin_before_its_segment() -> None:
    event = Events(1.0, np.array([-0.2 * S]), np.array([0.3 * S]))
    process = Process(
        STRAIGHT, patterns=pattern((1.0, 0.0, 0.0), (1.0, 1.0, 0.0)), events=event, lead_ns=200 * MS
    )
    lost = delays_ns(process, np.arange(0, 4 * S, 50 * MS)) == LOST
    phase_s = np.arange(0, 4.0, 0.05) % 1.0
    assert np.array_equal(lost, (phase_s < 0.0999) | (phase_s > 0.799))


def test_segments_have_their_event_by_the_number_they_carry() -> None:
    event = Events(0.5, outage_ns=np.array([1.0 * S]))
    segments = np.concatenate([pattern((1.0, 0.0, 0.0), event=share) for share in (0.1, 0.6)], axis=1)
    lost = delays_ns(Process(STRAIGHT, patterns=segments, events=event), np.arange(6) * S) == LOST
    assert lost.tolist() == [True, False] * 3


def test_strays_come_to_the_share_of_cells_that_is_stated() -> None:
    cells = 20_000
    process = Process(
        STRAIGHT, white=0.0, strays=Events(0.3, stall_ns=np.array([30.0 * MS])), cell_ns=100 * MS
    )
    stalled = delays_ns(process, np.arange(cells) * 100 * MS) == 80 * MS
    assert stalled.mean() == pytest.approx(0.3, abs=ERRORS * np.sqrt(0.21 / cells))


def test_a_model_is_the_same_after_it_has_been_a_table() -> None:
    process = Process(
        STRAIGHT,
        white=0.5,
        components=np.array([[1e9, 0.5]]),
        patterns=pattern((1.0, -1.0, 0.1), (2.0, 2.0, 0.3)),
        block=3,
        phase_ns=17,
        events=Events(0.5, np.array([1.0]), np.array([2.0]), np.array([3.0])),
        strays=Events(0.1, stall_ns=np.array([1.0, 5.0])),
    )
    for before in (process, Process(STRAIGHT)):
        after = model_of(table_of(LinkModel("m", process=before))).process
        assert after is not None
        assert np.array_equal(after.packed(), before.packed())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"delays_ns": np.array([2.0, 1.0])}, "delays_ns are 1 to 2, allowed"),
        ({"delays_ns": np.array([-2.0, 1.0])}, "delays_ns are -2 to 1, allowed"),
        ({"delays_ns": np.array([1.0])}, "delays_ns has shape (1,), allowed"),
        ({"lowest": 1.0}, "lowest is 1, allowed: -8 to below 0"),
        ({"white": -1.0}, "white is -1, allowed"),
        ({"components": np.array([[0.0, 1.0]])}, "components are [[0.0, 1.0]], allowed"),
        ({"patterns": pattern((0.0, 0.0, 0.0))}, "patterns are not finite, or last less"),
        ({"patterns": pattern((1.0, 0.0, -1.0))}, "patterns have a spread below 0"),
        ({"phase_ns": 5}, "block 0, phase_ns 5, allowed"),
        ({"cell_ns": 0}, "cell 0 of 0 ns"),
        ({"events": Events(2.0)}, "events.chance is 2, allowed: 0 to 1"),
        ({"events": Events(0.5, np.array([-1.0]))}, "events.after_ns is -1 to -1, allowed: -0"),
        ({"strays": Events(0.5, outage_ns=np.array([2.0, 1.0]))}, "strays.outage_ns is no table"),
    ],
)
def test_what_no_link_can_play_is_told_by_key(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WorldError) as error:
        LinkModel("m", process=replace(Process(STRAIGHT), **wrong)).check()
    assert str(error.value).startswith("link model 'm': process.")
    assert sentence in str(error.value)


def test_a_process_does_not_join_a_network_that_runs() -> None:
    with pytest.raises(WorldError, match="process is given, allowed: none once a network runs"):
        ModelSet().add(LinkModel("late", process=Process(STRAIGHT)))


def test_the_first_packet_finds_the_components_stationary() -> None:
    process = Process(STRAIGHT, white=0.0, components=np.array([[1e15, 1.0]]))
    first = [scores(process, [0], key=KEY + n)[0] for n in range(400)]
    assert np.std(first) == pytest.approx(1.0, rel=ERRORS / np.sqrt(2 * 400))
