"""The particle filter against exact recursions: a chain of two modes, and a Gaussian walk."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from testbed.twin.kalman import Kalman
from testbed.twin.particle import ParticleFilter, systematic

#: chance of staying dry, of staying in rain; fall of a report in rain, and its noise, dB
STAY = (0.98, 0.9)
FALL_DB, NOISE_DB = 3.0, 1.5
PARTICLES = 4_000
#: of a share estimated from that many particles, with room for resampling
TOLERANCE = 0.05


def rain(random: np.random.Generator, count: int) -> tuple[Any, Any]:
    mode, modes, reports = 0, [], []
    for _ in range(count):
        mode = mode if random.random() < STAY[mode] else 1 - mode
        modes.append(mode)
        reports.append(-FALL_DB * mode + random.normal(0.0, NOISE_DB))
    return np.array(modes), np.array(reports)


def density(report: float, mode: Any) -> Any:
    return -0.5 * ((report + FALL_DB * mode) / NOISE_DB) ** 2 - math.log(NOISE_DB * math.sqrt(2.0 * math.pi))


def test_rain_or_none_is_believed_as_the_forward_recursion_says() -> None:
    random = np.random.default_rng(1)
    _, reports = rain(random, 200)
    particles = ParticleFilter(np.zeros(PARTICLES, np.int64), np.random.default_rng(2))
    chain = np.array([[STAY[0], 1.0 - STAY[0]], [1.0 - STAY[1], STAY[1]]])
    belief, evidence, exact_evidence = np.array([1.0, 0.0]), 0.0, 0.0

    def move(modes: Any, draws: np.random.Generator) -> Any:
        stays = draws.random(len(modes)) < np.where(modes == 0, *STAY)
        return np.where(stays, modes, 1 - modes)

    for report in reports:
        joint = (belief @ chain) * np.exp([density(report, 0), density(report, 1)])
        belief, exact_evidence = joint / joint.sum(), exact_evidence + math.log(joint.sum())
        particles.advance(move)
        evidence += particles.update(lambda modes, seen=report: density(seen, modes))
        assert particles.mean(lambda modes: modes) == pytest.approx(belief[1], abs=TOLERANCE)
    assert evidence == pytest.approx(exact_evidence, abs=0.5)


def test_a_gaussian_walk_is_followed_as_the_kalman_filter_follows_it() -> None:
    random = np.random.default_rng(3)
    particles = ParticleFilter(random.normal(0.0, 1.0, PARTICLES), np.random.default_rng(4))
    kalman = Kalman(0.0, 1.0)
    for observed in np.cumsum(random.normal(0.0, 0.3, 50)):
        kalman.advance(None, [[0.09]])
        kalman.update(observed, 1.0, 0.25)
        particles.advance(lambda x, draws: x + draws.normal(0.0, 0.3, len(x)))
        particles.update(lambda x, seen=observed: -0.5 * (seen - x) ** 2 / 0.25)
        assert particles.mean(lambda x: x) == pytest.approx(kalman.mean[0], abs=0.06)
    assert particles.mean(lambda x: (x - kalman.mean[0]) ** 2) == pytest.approx(
        kalman.covariance[0, 0], rel=0.2
    )


@pytest.mark.parametrize("offset", [0.0, 0.3, 0.999])
def test_every_particle_is_kept_as_often_as_its_weight_says(offset: float) -> None:
    weights = np.random.default_rng(5).dirichlet(np.full(50, 0.3))
    kept = systematic(weights, offset)
    counts = np.bincount(kept, minlength=50)
    assert counts.sum() == 50
    assert np.all(counts >= np.floor(50 * weights))
    assert np.all(counts <= np.ceil(50 * weights))


def test_resampling_is_that_of_another_implementation(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = pytest.importorskip("filterpy.monte_carlo")
    weights = np.random.default_rng(6).dirichlet(np.full(20, 0.5))
    monkeypatch.setitem(reference.systematic_resample.__globals__, "random", lambda: 0.37)
    np.testing.assert_array_equal(systematic(weights, 0.37), reference.systematic_resample(weights))


def test_what_no_particle_can_explain_changes_nothing() -> None:
    particles = ParticleFilter(np.arange(4), np.random.default_rng(7))
    assert particles.update(lambda x: np.full(len(x), -math.inf)) == -math.inf
    assert particles.weights.tolist() == [0.25] * 4
