"""SGP4/SDP4 for whole constellations: from mean elements to states in TEME, at any instants.

The kernels are in `sgp4_kernel` (near Earth) and `sdp4` (deep space); here elements are sorted into their
layout and codes get their text. Constants are WGS-72, as element sets assume; results are those of the sgp4
package in its improved mode to within rounding, which deep space magnifies to metres and more where an
inclination is nearly 180 degrees or an eccentricity above 0.95. No frame but TEME, and no interpolation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.errors import WorldError
from emulator.jit import kernel, records
from emulator.orbits import sdp4, sgp4_kernel
from emulator.orbits.sgp4_terms import BLOCK, DEEP_SPACE_MIN, ELEMENTS, LANES, TERMS, derive, elements_of

#: what the codes mean, the numbers being those of the sgp4 package
FAULTS: Final = {
    0: "no fault",
    1: "mean eccentricity is outside 0 to 1",
    2: "mean motion is not positive",
    3: "eccentricity with the perturbations of sun and moon is outside 0 to 1",
    4: "semi-latus rectum is negative",
    5: "elements at the epoch are below the ground",
    6: "the satellite has decayed",
}

#: Julian dates that are propagated to and from: the years 1 to 9999, and a hundred beside them. The
#: resonance of deep space takes two steps a day, and would never end for any number whatever.
JULIAN_DAYS: Final = (1.68e6, 5.41e6)


class Propagator:
    """States of satellites at any instants.

    `satellites`: sgp4 records, or an array [n] of `sgp4_terms.ELEMENTS`. Raises `WorldError` for records that
    are not WGS-72, or for elements that are not numbers or not of an orbit.
    """

    def __init__(self, satellites: Sequence[Any] | NDArray[np.void]) -> None:
        elements = elements_of(satellites)
        _check(elements)
        self.count = len(elements)
        terms = np.zeros(self.count, TERMS)
        derive(records(elements), records(terms))
        period_min = 2.0 * np.pi / terms["n0"]
        #: [n] whether a satellite is of deep space
        self.is_deep = period_min >= DEEP_SPACE_MIN
        groups = [np.flatnonzero(~self.is_deep), np.flatnonzero(self.is_deep)]
        lanes = [_lanes(group) for group in groups]
        self._near = len(lanes[0])
        #: [b, LANES] satellite of each lane, -1: none
        self._order = np.concatenate(lanes)
        # a lane without a satellite computes with another's terms, and the result is dropped
        source = np.where(self._order >= 0, self._order, self._order[:, :1])
        self._blocks = np.zeros(len(source), BLOCK)
        for name in TERMS.names or ():
            self._blocks[name] = terms[name][source]
        self._terms = terms[groups[1]]
        self._deep = np.zeros(len(self._terms), sdp4.DEEP)
        _prepare(records(self._terms), records(self._deep))

    def states(
        self, julian_day: ArrayLike, fraction: ArrayLike
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
        """States of all satellites at the instants `julian_day` + `fraction` [t], UTC.

        Returns the code of `FAULTS` [n, t], the position [n, t, 3] in m and the velocity [n, t, 3] in m/s,
        TEME. Both are not numbers where the code is 1 to 5; a decayed satellite keeps its figures. Raises
        `WorldError` when the two do not have the same length, or for a date outside `JULIAN_DAYS`.
        """
        day, part = np.atleast_1d(np.asarray(julian_day, float)), np.atleast_1d(np.asarray(fraction, float))
        if day.ndim != 1 or day.shape != part.shape:
            raise WorldError(
                f"states: Julian days of shape {day.shape} and fractions of shape {part.shape}, "
                "allowed: two lists of the same length"
            )
        fault = np.empty((self.count, len(day)), np.uint8)
        position, velocity = np.empty((self.count, len(day), 3)), np.empty((self.count, len(day), 3))
        _check_dates(day + part)
        sgp4_kernel.states(*self._tables(), day, part, _work(), fault, position, velocity)
        return fault, position, velocity

    def positions(self, julian_day: float, fraction: float) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Code of `FAULTS` [n] and TEME position [3, n] in m of all satellites at one instant, UTC.

        A position with any fault is not a number. Raises `WorldError` for a date outside `JULIAN_DAYS`.
        """
        _check_dates(np.array(julian_day + fraction))
        fault, position = np.empty(self.count, np.uint8), np.empty((3, self.count))
        sgp4_kernel.positions(*self._tables(), float(julian_day), float(fraction), _work(), fault, position)
        return fault, position

    def _tables(self) -> tuple[Any, ...]:
        return (
            self._near,
            records(self._blocks),
            self._order,
            records(self._terms),
            records(self._deep),
        )


def _check(elements: NDArray[np.void]) -> None:
    """Raise `WorldError` for elements that no orbit has."""
    for name in ELEMENTS.names or ():
        for first in np.flatnonzero(~np.isfinite(elements[name]))[:1]:
            raise WorldError(
                f"satellite {first}: {name} is {elements[name][first]}, should be a finite number"
            )
    low, high = JULIAN_DAYS
    epoch, motion, eccentricity = (elements[name] for name in ("epoch_day", "mean_motion", "eccentricity"))
    for name, wrong, allowed in (
        ("mean_motion", motion <= 0.0, "above 0 rad/min"),
        ("eccentricity", (eccentricity < 0.0) | (eccentricity >= 1.0), "0 to below 1"),
        ("epoch_day", (epoch < low) | (epoch > high), f"Julian days from {low:.0f} to {high:.0f}"),
    ):
        for first in np.flatnonzero(wrong)[:1]:
            raise WorldError(f"satellite {first}: {name} is {elements[name][first]:g}, allowed: {allowed}")


def _check_dates(julian: NDArray[np.float64]) -> None:
    low, high = JULIAN_DAYS
    wrong = julian[~((julian >= low) & (julian <= high))]
    if wrong.size:
        raise WorldError(f"states: Julian date is {wrong.flat[0]:g}, allowed: {low:.0f} to {high:.0f}")


def _work() -> Any:
    """A work record of its own for every call, so that threads do not meet."""
    return records(np.zeros(1, sgp4_kernel.LANE_STATES))


def _lanes(satellites: NDArray[np.intp]) -> NDArray[np.int64]:
    """[b, LANES] the indices in order, filled up with -1."""
    blocks = -(-len(satellites) // LANES)
    lanes = np.full(blocks * LANES, -1, np.int64)
    lanes[: len(satellites)] = satellites
    return lanes.reshape(blocks, LANES)


@kernel
def _prepare(terms: Any, deep: Any) -> None:
    for k in range(terms.shape[0]):
        sdp4.prepare(terms[k], deep[k])
