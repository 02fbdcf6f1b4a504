"""Measurements made up for tests of predictors, with everything about them known."""

from __future__ import annotations

import numpy as np

from testbed.measured.measurement import Array, Measurement

BEGIN_S = 1_700_000_000.0
PERIOD_S = 15.0
OFFSET_S = 12.0


def round_trips(sent_s: Array, values: Array) -> Measurement:
    return Measurement("made-up", "rtt", sent_s, values, losses_known=True)


def slotted(span_s: float = 600.0, seed: int = 1, step_s: float = 0.05, noise_ms: float = 2.0) -> Measurement:
    """Levels of 20 to 60 ms that change every 15 s, gamma noise of shape 2, one probe in a hundred lost."""
    random = np.random.default_rng(seed)
    sent_s = BEGIN_S + np.arange(0.0, span_s, step_s)
    slot = np.floor((sent_s - OFFSET_S) / PERIOD_S).astype(int)
    slot -= slot[0]
    values = random.uniform(20.0, 60.0, slot[-1] + 1)[slot] + random.gamma(2.0, noise_ms, len(sent_s))
    values[random.random(len(sent_s)) < 0.01] = np.nan
    return round_trips(sent_s, values)


def halves(whole: Measurement) -> tuple[Measurement, Measurement]:
    """The first half by time, and the second."""
    middle_s = 0.5 * (whole.begin_s + whole.end_s)
    return whole.between(whole.begin_s, middle_s), whole.between(middle_s, np.inf)
