"""Distributions as quantiles at normal scores, and samples as normal scores: the two ways of a copula."""

from __future__ import annotations

import numpy as np

from testbed.measured.measurement import Array
from testbed.measured.models.generated import KNOTS, LOWEST_SCORE


def knots() -> Array:
    """[KNOTS] the normal scores at which quantiles are kept."""
    return np.linspace(LOWEST_SCORE, -LOWEST_SCORE, KNOTS)


def quantiles_at_scores(values: Array) -> Array:
    """[KNOTS] quantiles of `values` [n] at the normal scores kept."""
    from scipy.special import ndtr

    return np.asarray(np.quantile(values, ndtr(knots())))


def quantiles_through(scores: Array, values: Array) -> Array:
    """[KNOTS] the table that gives `scores` [m] the distribution of `values` [n]."""
    ordered = np.sort(scores)
    levels = np.searchsorted(ordered, knots(), side="right") / len(ordered)
    return np.asarray(np.quantile(values, levels))


def normal_scores(values: Array) -> Array:
    """[n] the normal scores of the ranks of `values`; equal values share one, nan stays nan."""
    from scipy.special import ndtri

    result = np.full(len(values), np.nan)
    present = np.isfinite(values)
    _, group, count = np.unique(values[present], return_inverse=True, return_counts=True)
    after = np.cumsum(count)
    middle = (after - 0.5 * count) / after[-1]
    result[present] = ndtri(middle)[group]
    return result
