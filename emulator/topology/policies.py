"""What makes one offer better than another: the policies of access, without the chain of decisions.

An offer is a satellite or a station that a terminal can use at an instant. Which offers there are, and
which class of them counts at all, is settled before (`access`); here the members of one class are compared.
Ties go to the higher one, then to the lower index, so that everybody finds the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.spec import AccessSpec
from emulator.topology.offers import Offers

Floats = NDArray[np.float64]
Indices = NDArray[np.int32]

POLICIES = ("highest-elevation", "longest-visibility", "best-snr", "load-aware")
#: policies that look at published radio figures
RADIO_POLICIES = ("best-snr", "load-aware")
#: "load-aware": another must promise this many times the rate that the present one does
LOAD_ADVANTAGE = 1.2

#: (place index of the terminal, place indices [k] of who offers, range m [k], elevation deg [k]) -> [k]
Figure = Callable[[int, Indices, Floats, Floats], Floats]


@dataclass(frozen=True)
class Nominal:
    """Published radio figures that decisions rest on: clear sky, no hidden bias, nobody else there."""

    snr_db: Figure
    rate_bps: Figure


def best_of(score: Floats, offers: Offers) -> int:
    """Which offer has the largest score [k]; of equals the highest, of these the lowest index."""
    top = np.flatnonzero(score == score.max())
    if len(top) > 1:
        high = offers.elevation_deg[top]
        top = top[high == high.max()]
    return int(top[0])


def expected_rate_bps(nominal: Floats, load: NDArray[np.int32]) -> Floats:
    """What a newcomer would get of the nominal rate [k] beside `load` [k] terminals, in equal shares."""
    return nominal / (load + 1.0)


def good_enough(spec: AccessSpec, held: float, best: float) -> bool:
    """Whether an offer of score `held` is kept although another has the score `best`."""
    if spec.policy == "longest-visibility":
        return True  # kept for as long as it is in the same class
    if spec.policy == "load-aware":
        return best <= LOAD_ADVANTAGE * held
    margin = spec.hysteresis_db if spec.policy == "best-snr" else spec.hysteresis_deg
    # equal ones that are not numbers apart (both -inf) are as good as each other
    return bool(best == held or best - held <= margin)
