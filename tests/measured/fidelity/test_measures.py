"""Distances between descriptions, the real world's own floor, and block-bootstrap intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.errors import BadInput
from testbed.measured.fidelity.bootstrap import intervals
from testbed.measured.fidelity.floor import real_floor
from testbed.measured.fidelity.losses import burst_lengths, losses
from testbed.measured.fidelity.measures import MEASURES, Slotting, describe, distances
from testbed.measured.measurement import Measurement
from tests.measured.fidelity.made import BEGIN_S, measurement, slotted, times

nan = math.nan
SLOTTING = Slotting(15.0, 12.0)
five_percent = 0.05
#: the halves may differ by a sample
one_sample = 1e-3


def _shifted(made: Measurement, by_ms: float) -> Measurement:
    return measurement(made.times_s, made.values + by_ms)


def test_a_measurement_is_at_no_distance_from_itself() -> None:
    one = describe(slotted(1), SLOTTING)
    assert distances(one, one) == dict.fromkeys(MEASURES, 0.0)


def test_a_shift_moves_w1_by_as_much_and_leaves_memory_alone() -> None:
    made = slotted(1)
    found = distances(describe(made, SLOTTING), describe(_shifted(made, 3.0), SLOTTING))
    assert found["w1"] == pytest.approx(3.0)
    assert found["acf"] == pytest.approx(0.0, abs=1e-9)


def test_doubled_values_are_ln_2_apart_in_quantiles() -> None:
    made = slotted(1)
    other = measurement(made.times_s, 2.0 * made.values)
    found = distances(describe(made, SLOTTING), describe(other, SLOTTING))
    assert found["quantiles"] == pytest.approx(math.log(2.0))


def test_shuffled_values_keep_their_distribution_and_lose_memory_and_slots() -> None:
    made = slotted(2)
    other = measurement(made.times_s, np.random.default_rng(1).permutation(made.values))
    found = distances(describe(made, SLOTTING), describe(other, SLOTTING))
    assert found["w1"] == found["ks"] == 0.0
    assert found["slot_share"] == pytest.approx(describe(made, SLOTTING).slot_share, abs=five_percent)
    assert found["acf"] > five_percent


def test_losses_are_rate_bursts_and_gilberts_chances() -> None:
    made = measurement(BEGIN_S + np.arange(10.0), np.array([1, nan, nan, 1, 1, 1, nan, 1, 1, 1.0]))
    found = losses(made)
    assert found is not None
    assert (found.rate, found.mean_burst) == (0.3, 1.5)
    assert (found.p01, found.p11) == pytest.approx((2 / 6, 1 / 3))
    assert burst_lengths(made) == [2, 1]


def test_gilbert_losses_of_known_chances_are_found_again() -> None:
    rng, lost, state = np.random.default_rng(3), [], False
    for draw in rng.random(100_000):
        state = bool(draw < (0.6 if state else 0.02))
        lost.append(state)
    values = np.where(lost, nan, 40.0)
    found = losses(measurement(BEGIN_S + 0.01 * np.arange(100_000), values))
    assert found is not None
    assert found.p01 == pytest.approx(0.02, rel=five_percent)
    assert found.p11 == pytest.approx(0.6, rel=five_percent)
    assert found.mean_burst == pytest.approx(1.0 / 0.4, rel=five_percent)


def test_without_rows_of_lost_probes_there_are_no_losses_to_tell() -> None:
    made = measurement(BEGIN_S + np.arange(10.0), np.arange(10.0) + 1.0, losses_known=False)
    assert losses(made) is None
    found = distances(describe(made, SLOTTING), describe(made, SLOTTING))
    assert math.isnan(found["loss"])
    assert math.isnan(found["bursts"])


def test_a_measurement_without_any_answer_is_refused() -> None:
    with pytest.raises(BadInput, match=r"made\.csv: every probe was lost"):
        describe(measurement(BEGIN_S + np.arange(3.0), np.full(3, nan)), SLOTTING)


# --- floor ---------------------------------------------------------------------------------------------


def test_the_floor_of_two_halves_is_their_distance() -> None:
    made = slotted(4)
    middle_s = 0.5 * (made.begin_s + made.end_s)
    first, second = made.between(0.0, middle_s), made.between(middle_s, 1e12)
    floor = real_floor([first, second], second.span_s, SLOTTING)
    assert (floor.pairs, floor.halved) == (1, 0)
    expected = distances(describe(first, SLOTTING), describe(second, SLOTTING))
    assert floor.distances == pytest.approx(expected, rel=one_sample)


def test_the_floor_is_the_median_over_pairs() -> None:
    """Four stretches of levels 10, 11, 13, 17: their distances are 1, 2, 3, 4, 6 and 7."""
    rng, parts = np.random.default_rng(5), []
    for index, level in enumerate((10.0, 11.0, 13.0, 17.0)):
        sent_s = times(rng, 60.0, 0.1) + 1000.0 * index
        parts.append(measurement(sent_s, np.full(len(sent_s), level)))
    floor = real_floor(parts, 60.0, SLOTTING)
    assert floor.pairs == 6
    assert floor.distances["w1"] == pytest.approx(3.5)


def test_too_short_data_have_their_stretches_halved_and_say_so() -> None:
    made = slotted(6)
    floor = real_floor([made], made.span_s, SLOTTING)
    assert floor.halved == 1
    assert floor.length_s == pytest.approx(0.5 * made.span_s)


def test_data_without_two_stretches_have_no_floor() -> None:
    made = measurement(BEGIN_S + np.arange(60.0), np.arange(60.0) + 1.0)
    with pytest.raises(BadInput, match="too short"):
        real_floor([made], made.span_s, SLOTTING)


def test_ratios_are_distance_over_floor_and_told_only_where_there_is_one() -> None:
    made = slotted(4)
    floor = real_floor([made], 0.5 * made.span_s, SLOTTING)
    found = {**dict.fromkeys(MEASURES, 0.0), "w1": 2.0 * floor.distances["w1"], "loss": 0.1, "acf": nan}
    ratios = floor.ratios(found)
    assert ratios["w1"] == pytest.approx(2.0)
    assert ratios["ks"] == 0.0
    assert math.isnan(ratios["loss"])  # nothing was lost anywhere: the floor is zero
    assert math.isnan(ratios["acf"])


# --- intervals -----------------------------------------------------------------------------------------


def test_intervals_hold_the_distances_between_independent_recordings() -> None:
    made, other = slotted(7, 1200.0), slotted(8, 1200.0, level_sd=0.1)
    model = measurement(made.times_s, np.resize(other.values, len(made)))
    found = distances(describe(model, SLOTTING), describe(made, SLOTTING))
    ends = intervals(model, made, SLOTTING)
    for name in ("w1", "ks", "slot_share"):
        low, high = ends[name]
        assert low <= found[name] <= high, name


def test_a_longer_recording_has_narrower_intervals() -> None:
    widths = []
    for span_s in (600.0, 4800.0):
        made = slotted(9, span_s, 0.1)
        low, high = intervals(_shifted(made, 5.0), made, SLOTTING)["slot_share"]
        other = slotted(10, span_s, 0.1)
        low, high = intervals(measurement(made.times_s, np.resize(other.values, len(made))), made, SLOTTING)[
            "w1"
        ]
        widths.append(high - low)
    assert widths[1] < widths[0]


def test_a_recording_of_few_blocks_has_no_intervals() -> None:
    made = slotted(11, 60.0)
    assert intervals(made, made, SLOTTING) == {}


def test_months_without_a_sample_count_neither_as_blocks_nor_as_stretches() -> None:
    made = slotted(5, 800.0, 0.1)
    later = np.where(np.arange(len(made)) < len(made) // 2, 0.0, 86_400.0 * 3650)
    apart = measurement(made.times_s + later, made.values)
    assert intervals(_shifted(apart, 5.0), apart, SLOTTING)["w1"][0] > 0.0


def test_a_test_much_shorter_than_the_calibration_has_a_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    from testbed.measured.fidelity import floor as floors

    monkeypatch.setattr(floors, "_MOST_STRETCHES", 10)
    found = real_floor([slotted(1, 600.0, 0.1)], 10.0, SLOTTING)
    assert 0 < found.pairs <= 10 * 9 / 2
