"""Parameters drawn from a belief: one possible truth, as the emulator's world and servers take it."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from testbed.twin.belief import Belief, Estimate

#: table of a belief -> least and most that its parameters can be
BOUNDS: Final = {
    "attenuation_db": (0.0, 60.0),
    "snr_bias_db": (-20.0, 20.0),
    "capacity_factor": (0.02, 2.0),
    "delay_ms": (0.0, 10_000.0),
    "loss": (0.0, 1.0),
    "along_track_km": (-1_000.0, 1_000.0),
    "service_factor": (0.02, 5.0),
}


def draw(belief: Belief, seed: int) -> Belief:
    """A belief without doubt, drawn from `belief`; the same for a seed whatever is asked first.

    Every parameter is normal about its mean, cut off at what it can be; those of different links are
    independent.
    """
    rng = np.random.default_rng(seed)
    drawn = Belief(belief.t_s, down=list(belief.down))
    for table, (low, high) in BOUNDS.items():
        values: dict[str, Estimate] = getattr(belief, table)
        for name in sorted(values):
            given, z = values[name], float(rng.standard_normal())
            sd = given.sd if math.isfinite(given.sd) else 0.0
            getattr(drawn, table)[name] = Estimate(min(max(given.mean + z * sd, low), high))
    return drawn


def middle(belief: Belief) -> Belief:
    """The belief's means, without doubt."""
    sure = Belief(belief.t_s, down=list(belief.down))
    for table, (low, high) in BOUNDS.items():
        for name, given in getattr(belief, table).items():
            getattr(sure, table)[name] = Estimate(min(max(given.mean, low), high))
    return sure
