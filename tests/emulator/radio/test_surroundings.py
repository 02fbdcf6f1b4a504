"""Surroundings of a terminal: the report's tables, the mean, and the process in time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import WorldError
from emulator.links.random import link_key
from emulator.radio.surroundings import (
    CORRELATION_S,
    ENVIRONMENTS,
    clutter_loss_db,
    excess_loss_db,
    los_probability,
    mean_excess_loss_db,
    shadow_sigma_db,
)

NAMED = sorted(set(ENVIRONMENTS) - {"none"})
#: independent draws of the statistical tests, and four of their standard errors
LINKS = 4000
SHARE_ERROR = 4.0 * 0.5 / LINKS**0.5
SIGMA_ERROR = 4.0 / (2.0 * LINKS) ** 0.5


# 3GPP TR 38.811 table 6.6.1-1 and tables 6.6.2-1 to -3 at 10, 50 and 90 degrees: sight, then for S and Ka
# band shadowing in sight, shadowing out of sight, clutter
@pytest.mark.parametrize(
    ("environment", "elevation", "sight", "s", "ka"),
    [
        ("dense-urban", 10.0, 0.282, (3.5, 15.5, 34.3), (2.9, 17.1, 44.3)),
        ("dense-urban", 50.0, 0.537, (3.1, 10.6, 26.8), (2.4, 14.2, 34.6)),
        ("dense-urban", 90.0, 0.981, (1.2, 9.2, 25.5), (0.6, 12.3, 32.9)),
        ("urban", 10.0, 0.246, (4.0, 6.0, 34.3), (4.0, 6.0, 44.3)),
        ("urban", 50.0, 0.726, (4.0, 6.0, 26.8), (4.0, 6.0, 34.6)),
        ("suburban", 10.0, 0.782, (1.79, 8.93, 19.52), (1.9, 10.7, 29.5)),
        ("suburban", 50.0, 0.935, (1.42, 10.56, 18.63), (2.7, 11.8, 18.7)),
        ("rural", 90.0, 0.998, (0.72, 11.52, 16.3), (0.4, 10.8, 16.8)),
    ],
)
def test_rows_of_the_technical_report(
    environment: str,
    elevation: float,
    sight: float,
    s: tuple[float, float, float],
    ka: tuple[float, float, float],
) -> None:
    assert los_probability(environment, elevation) == pytest.approx(sight)
    for band, figures in (("s", s), ("ka", ka)):
        assert shadow_sigma_db(environment, band, elevation) == pytest.approx(figures[0])
        assert shadow_sigma_db(environment, band, elevation, in_sight=False) == pytest.approx(figures[1])
        assert clutter_loss_db(environment, band, elevation) == pytest.approx(figures[2])


@pytest.mark.parametrize("environment", NAMED)
def test_sight_grows_and_clutter_shrinks_on_the_whole_towards_the_zenith(environment: str) -> None:
    assert np.all(np.diff(los_probability(environment, np.arange(10.0, 91.0))) >= 0.0)
    for band in ("s", "ka"):
        low, high = clutter_loss_db(environment, band, [10.0, 90.0])
        assert high < low


def test_between_the_rows_it_is_linear_and_outside_them_held() -> None:
    assert los_probability("urban", 25.0) == pytest.approx(0.5 * (0.386 + 0.493))
    assert clutter_loss_db("urban", "s", [2.0, 10.0]) == pytest.approx([34.3, 34.3])


@pytest.mark.parametrize("environment", NAMED)
def test_mean_is_the_clutter_weighed_with_the_probability_of_no_sight(environment: str) -> None:
    elevation = np.linspace(0.0, 90.0, 181)
    for band, frequency in (("s", 2.0), ("ka", 20.0)):
        expected = (1.0 - los_probability(environment, elevation)) * clutter_loss_db(
            environment, band, elevation
        )
        assert mean_excess_loss_db(environment, frequency, elevation) == pytest.approx(expected)


def test_open_space_costs_nothing() -> None:
    loss, sight = excess_loss_db(7, np.arange(5.0), "none", 2.0, 30.0)
    assert not loss.any()
    assert sight.all()
    assert mean_excess_loss_db("none", 2.0, 30.0) == 0.0
    assert los_probability("none", 30.0) == 1.0


@pytest.mark.parametrize(("environment", "elevation"), [("urban", 30.0), ("suburban", 60.0)])
def test_process_has_the_shares_and_spreads_of_the_tables(environment: str, elevation: float) -> None:
    # one instant between two knots of many links, so that all draws are independent
    drawn = [
        excess_loss_db(link_key(1, "a", str(n)), 0.4 * CORRELATION_S, environment, 2.0, elevation)
        for n in range(LINKS)
    ]
    loss, sight = (np.array([each[part] for each in drawn]) for part in (0, 1))
    assert np.mean(sight) == pytest.approx(float(los_probability(environment, elevation)), abs=SHARE_ERROR)
    sigma = float(shadow_sigma_db(environment, "s", elevation))
    assert np.std(loss[sight]) == pytest.approx(sigma, rel=2.0 * SIGMA_ERROR)
    assert np.mean(loss) == pytest.approx(
        float(mean_excess_loss_db(environment, 2.0, elevation)), abs=30.0 * SHARE_ERROR
    )


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), start=st.floats(-1e4, 1e6), step=st.floats(0.01, 30.0))
def test_an_instant_does_not_depend_on_the_steps_asked(seed: int, start: float, step: float) -> None:
    key = link_key(seed, "board", "sat")
    times = start + step * np.arange(4)
    alone = [excess_loss_db(key, t, "dense-urban", 2.0, 45.0)[0] for t in times[::-1]]
    assert np.array_equal(excess_loss_db(key, times, "dense-urban", 2.0, 45.0)[0], np.array(alone[::-1]))


def test_shadowing_changes_slowly_and_is_new_after_two_correlation_times() -> None:
    keys = [link_key(2, "a", str(n)) for n in range(LINKS)]
    # at 90 degrees nearly all are in sight: what is seen is the shadowing
    at = np.array([excess_loss_db(k, [0.0, 0.5, 2.0 * CORRELATION_S], "rural", 2.0, 90.0)[0] for k in keys])
    clear = np.all(np.abs(at) < 8.0, axis=1)
    correlation = np.corrcoef(at[clear].T)
    assert correlation[0, 1] > 0.9
    assert abs(correlation[0, 2]) < 4.0 / LINKS**0.5


def test_links_are_shadowed_apart() -> None:
    times = np.arange(0.0, 100.0)
    one, other = (excess_loss_db(link_key(3, "a", name), times, "urban", 2.0, 40.0)[0] for name in "bc")
    assert not np.any(one == other)


def test_satellite_that_rises_comes_into_sight_and_stays() -> None:
    key = link_key(5, "a", "b")
    sight = [bool(excess_loss_db(key, 12.3, "urban", 2.0, e)[1]) for e in np.arange(10.0, 90.0)]
    assert sight == sorted(sight)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: los_probability("forest", 10.0), "environment is 'forest', allowed: none, dense-urban"),
        (lambda: clutter_loss_db("urban", "x", 10.0), "band is 'x', allowed: s, ka"),
        (lambda: mean_excess_loss_db("urban", -2.0, 10.0), "frequency is -2 GHz, it must be above 0"),
        (lambda: mean_excess_loss_db("urban", math.inf, 10.0), "frequency is inf GHz, it must be above 0"),
        (lambda: mean_excess_loss_db("urban", 2.0, math.nan), "elevation_deg is nan, allowed: -90 to 90"),
        (lambda: los_probability("urban", [10.0, 95.0]), "elevation_deg is 95, allowed: -90 to 90"),
        (lambda: excess_loss_db(1, 0.0, "urban", 2.0, math.nan), "elevation_deg is nan, allowed: -90 to 90"),
        (lambda: excess_loss_db(1, math.nan, "urban", 2.0, 10.0), "t_s is nan, it must be a number"),
        (
            lambda: excess_loss_db(1, 0.0, "urban", 2.0, 10.0, 0.0),
            "correlation time is 0 s, it must be above",
        ),
    ],
)
def test_what_is_not_in_the_tables_gets_one_sentence(call: object, sentence: str) -> None:
    assert callable(call)
    with pytest.raises(WorldError, match=sentence):
        call()
