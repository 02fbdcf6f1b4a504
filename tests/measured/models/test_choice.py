"""Which kind of model is taken, on kinds made up so that it is known which is nearest."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from testbed.errors import BadInput
from testbed.measured.models.choice import choose
from tests.measured.prediction.made import BEGIN_S, OFFSET_S, PERIOD_S, round_trips, slotted


@dataclass
class Levels:
    """Slots with random levels of 20 to 60 ms, as the made-up path has them; `low_ms`: another lowest one."""

    name: str = "levels"
    low_ms: float = 20.0
    fitted_to: tuple[float, ...] = ()

    def parameters(self):
        return {}

    def play(self, times_s, seed):
        random = np.random.default_rng(seed + 100)
        slot = np.floor((times_s - OFFSET_S) / PERIOD_S).astype(int)
        slot -= slot[0]
        levels = random.uniform(self.low_ms, self.low_ms + 40.0, slot[-1] + 1)
        return levels[slot] + random.gamma(2.0, 2.0, len(times_s))


class Average(Levels):
    """Each packet by itself, with just the distribution of all that was seen."""

    def play(self, times_s, seed):
        return np.random.default_rng(seed).choice(self.seen, len(times_s))


class Silent(Levels):
    def play(self, times_s, seed):
        return np.full(len(times_s), np.nan)


class KindOf:
    about = ""

    def __init__(self, model):
        self.model, self.name = model, model.name
        self.ranges = []

    def fit(self, calibration):
        self.ranges.append([(part.begin_s, part.end_s) for part in calibration])
        self.model.seen = np.concatenate([part.values[part.answered] for part in calibration])
        return self.model

    def read(self, parameters):
        raise NotImplementedError


class Refusing(KindOf):
    def fit(self, calibration):
        raise BadInput("made-up: it does not suit")


def _of(*kinds):
    return {kind.name: kind for kind in kinds}


@pytest.fixture(scope="module")
def path():
    whole = slotted(900.0, step_s=0.1)
    return round_trips(whole.times_s[whole.answered], whole.values[whole.answered])


def test_the_kind_that_made_the_data_is_taken_before_one_that_is_always_the_average(path):
    choice = choose([path], _of(KindOf(Average("average")), KindOf(Levels())))
    assert choice.name == "levels"
    assert [score.name for score in choice.scores] == ["levels", "average"]
    assert choice.scores[0].score < choice.scores[1].score
    # what made the data is as far from them as they are from themselves
    assert 0.5 < choice.scores[0].score < 1.6
    assert choice.scores[1].worse


def test_wrong_levels_are_told_from_right_ones(path):
    choice = choose([path], _of(KindOf(Levels("shifted", low_ms=40.0)), KindOf(Levels())))
    assert choice.name == "levels"
    assert choice.scores[1].measures["w1"] > 2.0 * choice.scores[0].measures["w1"]


def test_what_is_held_out_is_not_fitted_to(path):
    kind = KindOf(Levels())
    choose([path], _of(kind))
    fitted = kind.ranges[:3]
    for held_out, ranges in enumerate(fitted):
        middle_s = path.begin_s + (held_out + 0.5) / 3 * path.span_s
        assert len(ranges) == 2
        assert not any(begin_s <= middle_s <= end_s for begin_s, end_s in ranges)
    assert kind.ranges[3] == [(path.begin_s, path.end_s)]


def test_recordings_are_not_cut_across(path):
    later = round_trips(path.times_s + 10_000.0, path.values)
    kind = KindOf(Levels())
    choose([path, later], _of(kind))
    assert all(end_s - begin_s <= path.span_s for ranges in kind.ranges for begin_s, end_s in ranges)


def test_a_kind_that_cannot_be_fitted_is_last_with_its_reason(path):
    choice = choose([path], _of(Refusing(Levels("refusing")), KindOf(Levels())))
    assert choice.name == "levels"
    assert choice.scores[-1].reason == "made-up: it does not suit"
    table = json.loads(json.dumps([score.as_dict() for score in choice.scores], allow_nan=False))
    assert table[-1]["score"] is None


def test_a_kind_that_loses_everything_is_as_far_as_can_be(path):
    choice = choose([path], _of(KindOf(Silent("silent")), KindOf(Levels())))
    assert choice.name == "levels"
    assert choice.scores[-1].score == 10.0


def test_no_kind_that_fits_is_said_in_one_sentence(path):
    with pytest.raises(BadInput, match=r"^made-up: no model can be fitted to it: made-up: it does not suit$"):
        choose([path], _of(Refusing(Levels("refusing"))))


def test_too_few_samples_are_refused():
    few = round_trips(BEGIN_S + np.arange(60.0), np.arange(60.0))
    with pytest.raises(BadInput, match="made-up: has too few answered samples to hold a part out"):
        choose([few], _of(KindOf(Levels())))


def test_the_choice_is_the_same_twice(path):
    kinds = _of(KindOf(Average("average")), KindOf(Levels()))
    assert choose([path], kinds).scores == choose([path], kinds).scores
