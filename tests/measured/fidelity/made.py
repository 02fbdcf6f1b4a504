"""Measurements made up from known truth: levels on a grid, correlated noise, losses."""

from __future__ import annotations

import math

import numpy as np
from scipy.signal import lfilter

from testbed.measured.measurement import Array, Measurement

#: an instant that is a multiple of 60 s
BEGIN_S = 1_700_000_040.0


def times(rng: np.random.Generator, span_s: float, interval_s: float) -> Array:
    """Sending times, unevenly spaced."""
    steps = rng.uniform(0.7, 1.3, round(span_s / interval_s)) * interval_s
    result: Array = BEGIN_S + np.cumsum(steps)
    return result


def noise(rng: np.random.Generator, count: int, tau_s: float, interval_s: float) -> Array:
    """A stationary AR(1) process of variance 1 and correlation time `tau_s`."""
    keep = math.exp(-interval_s / tau_s)
    result: Array = lfilter([math.sqrt(1.0 - keep * keep)], [1.0, -keep], rng.normal(size=count))
    return result


def measurement(times_s: Array, values: Array, losses_known: bool = True) -> Measurement:
    return Measurement("made.csv", "rtt", times_s, values, losses_known)


def slotted(
    seed: int, span_s: float = 600.0, interval_s: float = 0.02, period_s: float = 15.0,
    offset_s: float = 12.0, level_sd: float = 0.2, noise_sd: float = 0.15,
) -> Measurement:  # fmt: skip
    """Round trips of about 40 ms whose level changes on a grid; a probe half-way at the boundary meets it."""
    rng = np.random.default_rng(seed)
    halfway_s = times(rng, span_s, interval_s)
    slot = np.floor((halfway_s - offset_s) / period_s).astype(np.int64)
    levels = rng.normal(size=int(slot[-1] - slot[0]) + 1) * level_sd
    scatter = noise(rng, len(halfway_s), 0.5, interval_s) * noise_sd
    values = 40.0 * np.exp(levels[slot - slot[0]] + scatter)
    sent_s = halfway_s - values / 2e3
    order = np.argsort(sent_s)
    return measurement(sent_s[order], values[order])
