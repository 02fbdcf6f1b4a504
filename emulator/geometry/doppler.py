"""How fast two ends approach or leave each other, and what that does to a carrier.

Classical, to first order in v/c: the second order is below 1e-9 of the carrier for satellites, and what
both ends' clocks contribute by relativity is below that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.errors import WorldError
from emulator.units import SPEED_OF_LIGHT_M_S


def range_rate_m_s(
    position_m: ArrayLike, velocity_m_s: ArrayLike, target_m: ArrayLike, target_velocity_m_s: ArrayLike
) -> NDArray[np.float64]:
    """Rate of the distance between two ends [...], m/s, above zero while they move apart.

    Positions and velocities [..., 3] of both ends in one frame; in the Earth-fixed frame, Earth-fixed
    velocities (a place at rest has none).
    """
    ray = np.asarray(target_m, dtype=np.float64) - np.asarray(position_m, dtype=np.float64)
    drift = np.asarray(target_velocity_m_s, dtype=np.float64) - np.asarray(velocity_m_s, dtype=np.float64)
    along = np.einsum("...i,...i->...", ray, drift)
    return np.asarray(along / np.sqrt(np.einsum("...i,...i->...", ray, ray)))


def doppler_hz(range_rate_m_s: ArrayLike, frequency_hz: ArrayLike) -> NDArray[np.float64]:
    """Doppler shift in Hz of a carrier, above zero while the ends approach each other.

    `range_rate_m_s` and `frequency_hz` broadcast. Raises `WorldError` for a frequency that is not above 0.
    """
    frequency = np.asarray(frequency_hz, dtype=np.float64)
    if not np.all(frequency > 0.0):
        worst = frequency.ravel()[~(frequency.ravel() > 0.0)][0]
        raise WorldError(f"frequency_hz is {worst:g}, it must be above 0")
    return np.asarray(-np.asarray(range_rate_m_s, dtype=np.float64) * frequency / SPEED_OF_LIGHT_M_S)
