"""Measurements made up for tests of models, with everything about them known."""

from __future__ import annotations

import numpy as np

from testbed.measured.measurement import Array, Measurement

#: a minute that begins on a slot of 15 s with offset 12
BEGIN_S = 1_700_000_012.0 - 1_700_000_012 % 15 + 12


def measurement(times_s: Array, values: Array, losses_known: bool = True) -> Measurement:
    """A round trip of that name."""
    return Measurement("made-up", "rtt", times_s, values, losses_known)


def slotted(span_s: float = 600.0, seed: int = 1, loss: float = 0.01) -> Measurement:
    """Levels of 20 to 60 ms that change every 15 s at offset 12, gamma jitter, independent losses."""
    random = np.random.default_rng(seed)
    times_s = BEGIN_S + np.arange(0.0, span_s, 0.02)
    slot = ((times_s - 12.0) // 15.0).astype(int)
    slot -= slot[0]
    levels = random.uniform(20.0, 60.0, slot[-1] + 1)
    values = levels[slot] + random.gamma(2.0, 2.0, len(times_s))
    values[random.random(len(times_s)) < loss] = np.nan
    return measurement(times_s, values)


def noise(span_s: float = 600.0, seed: int = 1) -> Measurement:
    """Log-normal values, correlated over 2 s, with no grid."""
    random = np.random.default_rng(seed)
    times_s = BEGIN_S + np.arange(0.0, span_s, 0.02)
    rho = np.exp(-0.02 / 2.0)
    z = np.empty(len(times_s))
    z[0] = 0.0
    steps = random.standard_normal(len(times_s)) * np.sqrt(1.0 - rho**2)
    for index in range(1, len(z)):
        z[index] = rho * z[index - 1] + steps[index]
    return measurement(times_s, 30.0 * np.exp(0.3 * z))
