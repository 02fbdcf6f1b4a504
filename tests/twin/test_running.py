"""Running sums against the functions of all values at once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.twin import compare
from testbed.twin.filters import Z90
from testbed.twin.running import LAGS, Autocorrelation, Compared, Losses, Moments, Packets, Sums

#: what rounding may do to sums over some thousand values
ROUNDING = 1e-9
N = 3000


def series(seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """A slow wave with noise, and a prediction that follows it; both far from zero."""
    rng = np.random.default_rng(seed)
    wave = 40.0 + np.sin(np.arange(N) / 9.0)
    return wave + 0.1 * rng.standard_normal(N), wave + 0.5 * rng.standard_normal(N)


def sums() -> tuple[Sums, np.ndarray, np.ndarray]:
    predicted, observed = series()
    made = Sums()
    for p, o in zip(predicted, observed, strict=True):
        window = Compared(p, p - 0.1, p - 1.0, p + 0.6, o, constant=40.2, crps_climatology=abs(o - 40.0))
        made.add(window)
    return made, predicted, observed


def test_every_figure_is_that_of_all_values_at_once() -> None:
    made, p, o = sums()
    crps = compare.crps_banded(o, p - 0.1, p - 1.0, p + 0.6)
    expected = {
        "n": N,
        "observed_mean": o.mean(),
        "bias": (p - o).mean(),
        "mae": compare.mae(p - 0.1, o),
        "nrmse": compare.nrmse(p, o),
        "r": compare.correlation(p, o),
        "crps": crps,
        "picp90": compare.picp(o, p - 1.0, p + 0.6),
        "interval_score": compare.interval_score(o, p - 1.0, p + 0.6),
        "acf_error": compare.acf_error(p, o, LAGS),
        "skill_constant": compare.skill(compare.mae(p - 0.1, o), compare.mae(np.full(N, 40.2), o)),
        "crps_skill_climatology": compare.skill(crps, compare.mae(np.full(N, 40.0), o)),
    }
    assert made.figures() == pytest.approx(expected, rel=ROUNDING)


def test_single_values_are_compared_within_the_error_of_a_digest() -> None:
    rng = np.random.default_rng(2)
    made = Sums()
    made.add(Compared(1.0, 1.0, 0.5, 2.0, 1.0))
    seen = rng.exponential(1.0, (400, 30))
    model = np.sort(rng.exponential(1.2, (400, 16)), axis=1)
    for values, forecast in zip(seen.tolist(), model.tolist(), strict=True):
        made.add_packets(Packets.of(values, forecast, compare.crps_samples(values, forecast), 27))
    figures = made.figures()
    error = made.modelled.heaviest + made.observed.heaviest
    assert error < 0.05
    assert figures["ks"] == pytest.approx(compare.ks(model, seen), abs=error)
    assert figures["w1"] == pytest.approx(compare.w1(model, seen), rel=0.02)
    assert figures["p95_error"] == pytest.approx(np.quantile(model, 0.95) - np.quantile(seen, 0.95), abs=0.05)
    assert (figures["packets"], figures["packet_picp90"]) == (12_000, 0.9)


def test_autocorrelation_survives_a_mean_a_million_times_its_variation() -> None:
    _, values = series()
    running = Autocorrelation()
    for value in values * 1e-3 + 1e3:
        running.add(value)
    assert running.values() == pytest.approx(compare.autocorrelation(values, LAGS), abs=1e-6)


def test_what_does_not_vary_has_no_correlation() -> None:
    flat, moments = Autocorrelation(), Moments()
    for _ in range(50):
        flat.add(3.0)
        moments.add(3.0, 1.0)
    assert all(map(math.isnan, flat.values()))
    assert math.isnan(moments.correlation)


def test_sums_of_stretches_are_those_of_the_whole() -> None:
    whole, predicted, observed = sums()
    merged = Sums()
    for begin, end in ((0, 1), (1, 1), (1, 700), (700, N)):
        part = Sums(in_sequence=False)
        for p, o in zip(predicted[begin:end], observed[begin:end], strict=True):
            window = Compared(p, p - 0.1, p - 1.0, p + 0.6, o, constant=40.2, crps_climatology=abs(o - 40.0))
            part.add(window)
            merged.follow(window)
        merged.merge(part)
    assert merged.figures() == pytest.approx(whole.figures(), rel=ROUNDING)


def test_nothing_has_no_figures() -> None:
    assert Sums().figures() == {"n": 0}


@pytest.mark.parametrize("observed", [8.0, 9.9, 10.0, 10.3, 15.0])
def test_the_crps_of_a_band_is_the_integral_of_the_squared_difference(observed: float) -> None:
    window = Compared(10.0, 10.0, 9.5, 12.0, observed)
    grid = np.linspace(0.0, 30.0, 600_001)
    scale = np.where(grid < 10.0, 0.5, 2.0) / Z90
    model = 0.5 * (1.0 + np.vectorize(math.erf)((grid - 10.0) / scale / math.sqrt(2.0)))
    integral = float(np.sum((model - (grid >= observed)) ** 2) * (grid[1] - grid[0]))
    assert window.crps() == pytest.approx(integral, abs=1e-4)


def test_the_crps_of_an_even_band_is_that_of_a_gaussian() -> None:
    o = np.linspace(-3.0, 3.0, 13)
    assert compare.crps_banded(o, 0.0, -Z90, Z90) == pytest.approx(compare.crps_gaussian(o, 0.0, 1.0))


def test_the_crps_of_a_band_without_width_is_the_absolute_error() -> None:
    assert compare.crps_banded([3.0, 5.0], 4.0, 4.0, 4.0) == 1.0


def gilbert_losses(p01: float, p11: float, count: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    u, lost, state = rng.random(count), np.empty(count, np.bool_), False
    for k in range(count):
        state = bool(u[k] < (p11 if state else p01))
        lost[k] = state
    return lost


def test_transitions_are_counted_one_by_one() -> None:
    p01, p11, burst = compare.gilbert([0, 1, 1, 0, 0, 1, 0])
    assert (p01, p11, burst) == (pytest.approx(2 / 3), pytest.approx(1 / 3), 1.5)


@pytest.mark.parametrize(("p01", "p11"), [(0.02, 0.02), (0.01, 0.5), (0.005, 0.8)])
def test_counts_tell_how_losses_come_together(p01: float, p11: float) -> None:
    lost = gilbert_losses(p01, p11, 400_000)
    losses = Losses()
    for window in lost.reshape(-1, 200):
        losses.add(float(window.sum()), 200.0)
    figures = losses.figures()
    counted = compare.gilbert(lost)
    assert figures["loss_rate"] == pytest.approx(lost.mean())
    assert figures["p01"] == pytest.approx(counted[0], rel=0.15)
    assert figures["p11"] == pytest.approx(counted[1], abs=0.05)
    assert figures["mean_burst"] == pytest.approx(counted[2], rel=0.15)


def test_too_few_losses_say_nothing_of_bursts() -> None:
    losses = Losses()
    losses.add(3.0, 1000.0)
    assert losses.figures()["loss_rate"] == 0.003
    assert math.isnan(losses.figures()["p11"])
