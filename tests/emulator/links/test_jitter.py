"""Jitter: each distribution as scipy has it, with a million packets, its mean and its memory as stated."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from emulator.errors import WorldError
from emulator.jit import packet_kernel
from emulator.links.jitter import (
    LONGEST_NS,
    Exponential,
    Gamma,
    LogNormal,
    Normal,
    Pareto,
    Uniform,
    jitter_ns,
)
from emulator.links.random import JITTER, uniform
from tests.emulator.links.single import KEY, MANY, MS, Z99, links, model, packets

MEAN_NS = 2.0 * MS
#: Kolmogorov's statistic of a million values is below this in 99 of 100 cases
KS99 = 1.6276 / math.sqrt(MANY)
#: values are cut to whole nanoseconds
CUT_NS = 1.0


def truncated_normal(spread: float) -> Any:
    """The normal distribution cut off at zero of mean 1 whose standard deviation is `spread`."""
    from scipy.optimize import brentq

    def spread_of(cut: float) -> float:
        mean, variance = stats.truncnorm.stats(cut, math.inf, moments="mv")
        return float(math.sqrt(variance) / (mean - cut))

    cut = brentq(lambda at: spread_of(at) - spread, -1.0 / spread - 0.5, 5.0)
    scale = 1.0 / (stats.truncnorm.mean(cut, math.inf) - cut)
    return stats.truncnorm(cut, math.inf, loc=-cut * scale, scale=scale)


DISTRIBUTIONS = {
    "exponential": (Exponential(), stats.expon()),
    "uniform": (Uniform(), stats.uniform(0.0, 2.0)),
    "normal-narrow": (Normal(0.2), stats.norm(1.0, 0.2)),
    "normal-wide": (Normal(0.7), truncated_normal(0.7)),
    "gamma-0.5": (Gamma(0.5), stats.gamma(0.5, scale=2.0)),
    "gamma-3": (Gamma(3.0), stats.gamma(3.0, scale=1.0 / 3.0)),
    "lognormal": (LogNormal(0.8), stats.lognorm(0.8, scale=math.exp(-0.32))),
    "pareto": (Pareto(3.5), stats.pareto(3.5, scale=2.5 / 3.5)),
}
each_distribution = pytest.mark.parametrize(
    ("settings", "expected"), DISTRIBUTIONS.values(), ids=DISTRIBUTIONS.keys()
)


@packet_kernel
def delay(models: Any, rows: Any, numbered: Any, step_ns: int, found: Any) -> None:
    for number in range(len(found)):
        numbered[0].number = number
        found[number] = jitter_ns(models[0], rows[0], numbered[0], number * step_ns)


@functools.lru_cache(maxsize=4 * len(DISTRIBUTIONS))
def jitters(settings: Any, count: int = MANY, step_ns: int = MS, mean_ns: float = MEAN_NS) -> Any:
    """Jitter of packets that are `step_ns` apart, over the mean."""
    found = np.zeros(count, np.int64)
    delay(model(jitter=settings), links(jitter_ns=mean_ns), packets(), step_ns, found)
    shares = found / mean_ns
    shares.flags.writeable = False
    return shares


@each_distribution
def test_the_distribution_is_the_stated_one(settings: Any, expected: Any) -> None:
    assert stats.ks_1samp(jitters(settings), expected.cdf).statistic < KS99 + CUT_NS / MEAN_NS


@each_distribution
def test_the_mean_is_the_links_jitter(settings: Any, expected: Any) -> None:
    assert expected.mean() == pytest.approx(1.0)
    deviation = expected.std() / math.sqrt(MANY)
    assert abs(jitters(settings).mean() - 1.0) < Z99 * deviation + CUT_NS / MEAN_NS


@each_distribution
def test_quantiles_are_the_stated_ones(settings: Any, expected: Any) -> None:
    found = jitters(settings)
    for level in (0.05, 0.5, 0.95, 0.99):
        at = expected.ppf(level)
        deviation = math.sqrt(level * (1.0 - level) / MANY) / expected.pdf(at)
        assert abs(np.quantile(found, level) - at) < Z99 * deviation + CUT_NS / MEAN_NS


def test_a_normal_that_is_cut_off_has_the_stated_spread_too() -> None:
    found = jitters(Normal(0.7))
    excess = stats.kurtosis(found)
    deviation = 0.7 * math.sqrt((excess + 2.0) / (4.0 * MANY))
    assert abs(found.std() - 0.7) < Z99 * deviation
    assert found.min() >= 0.0


def test_packets_are_independent_without_a_correlation() -> None:
    found = jitters(Gamma(2.0))
    assert abs(stats.spearmanr(found[1:], found[:-1]).statistic) < Z99 / math.sqrt(MANY)


# --- correlation ------------------------------------------------------------------------------------


def z_of(found: Any, expected: Any) -> Any:
    """The normal variable of which jitters are the quantiles."""
    return stats.norm.ppf(expected.cdf(found + 0.5 / MEAN_NS))


@pytest.mark.parametrize("name", ["exponential", "gamma-3", "normal-wide", "pareto"])
@pytest.mark.parametrize("lag", [1, 3])
def test_correlation_falls_exponentially_with_the_time_between_packets(name: str, lag: int) -> None:
    settings, expected = DISTRIBUTIONS[name]
    correlated = type(settings)(**{**vars(settings), "correlation_ms": 4.0})
    z = z_of(jitters(correlated, step_ns=MS), expected)
    memory = math.exp(-1.0 / 4.0)
    rho = memory**lag
    # Bartlett's formula for a first-order process
    square = memory**2
    variance = (1 + square) * (1 - square**lag) / (1 - square) - 2 * lag * square**lag
    assert abs(np.corrcoef(z[lag:], z[:-lag])[0, 1] - rho) < Z99 * math.sqrt(variance / MANY)


def test_the_process_keeps_its_mean_and_variance() -> None:
    z = z_of(jitters(Gamma(3.0, correlation_ms=4.0), step_ns=MS), DISTRIBUTIONS["gamma-3"][1])
    memory = math.exp(-1.0 / 4.0)
    assert abs(z.mean()) < Z99 * math.sqrt((1 + memory) / (1 - memory) / MANY)
    deviation = math.sqrt(2.0 * (1 + memory**2) / (1 - memory**2) / MANY)
    assert abs(z.var() - 1.0) < Z99 * deviation


@each_distribution
def test_a_correlation_leaves_the_distribution_as_it_is(settings: Any, expected: Any) -> None:
    correlated = type(settings)(**{**vars(settings), "correlation_ms": 1.0})
    # packets twenty correlations apart are as good as independent
    found = jitters(correlated, step_ns=20 * MS)
    assert stats.ks_1samp(found, expected.cdf).statistic < KS99 + CUT_NS / MEAN_NS


def test_the_process_begins_stationary() -> None:
    first = np.zeros(1, np.int64)
    rows = links(20_000, jitter_ns=MEAN_NS)
    found = []
    for row in range(len(rows)):
        delay(model(jitter=Exponential(5.0)), rows[row : row + 1], packets(), MS, first)
        found.append(first[0] / MEAN_NS)
    assert stats.ks_1samp(found, stats.expon().cdf).statistic < 1.6276 / math.sqrt(len(found))


def test_packets_at_the_same_time_have_the_same_jitter() -> None:
    found = jitters(Gamma(2.0, correlation_ms=10.0), count=5, step_ns=0)
    assert len(set(found)) == 1


def test_time_that_stands_or_goes_back_does_not_upset_the_process() -> None:
    assert np.isfinite(jitters(Exponential(10.0), count=5, step_ns=-MS)).all()


# --- bounds -----------------------------------------------------------------------------------------


def test_the_plain_model_draws_one_exponential_number() -> None:
    found = np.zeros(100, np.int64)
    delay(model(), links(jitter_ns=MEAN_NS), packets(), MS, found)
    expected = [int(-math.log(1.0 - uniform(KEY, 1, number, JITTER)) * MEAN_NS) for number in range(100)]
    assert found.tolist() == expected


@each_distribution
def test_a_link_without_jitter_has_none(settings: Any, expected: Any) -> None:
    found = np.ones(10, np.int64)
    delay(model(jitter=settings), links(), packets(), MS, found)
    assert not found.any()


def test_no_packet_is_held_for_longer_than_an_hour() -> None:
    found = np.zeros(1000, np.int64)
    delay(model(jitter=Pareto(1.05)), links(jitter_ns=LONGEST_NS), packets(), MS, found)
    assert found.max() == LONGEST_NS


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (Exponential(-1.0), "jitter.correlation_ms is -1, allowed: 0 to 1e+09 ms"),
        (Uniform(math.nan), "jitter.correlation_ms is nan, allowed: 0 to 1e+09 ms"),
        (Normal(1.2), "jitter.spread is 1.2, allowed: 0.001 to 0.95"),
        (Gamma(0.0), "jitter.shape is 0, allowed: 0.05 to 1000"),
        (LogNormal(-1.0), "jitter.sigma is -1, allowed: 0.001 to 4"),
        (Pareto(1.0), "jitter.shape is 1, allowed: 1.05 to 1000"),
    ],
)
def test_what_no_link_can_have_gets_a_sentence(settings: Any, sentence: str) -> None:
    with pytest.raises(WorldError) as error:
        settings.check("jitter.")
    assert str(error.value) == sentence
