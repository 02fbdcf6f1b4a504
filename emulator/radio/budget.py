"""The link budget: from the two ends' published figures and the distance to a signal-to-noise ratio.

Weather is not computed here: the attenuation beyond free space is an argument. It lowers the signal;
the rise of the receiver's noise that goes with it on the way down is not modelled.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.units import BOLTZMANN_DBW_K_HZ, SPEED_OF_LIGHT_M_S


def free_space_loss_db(range_m: ArrayLike, frequency_ghz: ArrayLike) -> NDArray[np.float64]:
    """Basic free-space transmission loss in dB, ITU-R P.525-4 eq. 3: 20 log10(4 pi d f / c)."""
    constant = 20.0 * math.log10(4.0 * math.pi * 1e9 / SPEED_OF_LIGHT_M_S)
    return np.asarray(constant + 20.0 * (np.log10(range_m) + np.log10(frequency_ghz)))


def snr_db(
    eirp_dbw: NDArray[np.float64],
    g_over_t_db_k: NDArray[np.float64],
    bandwidth_mhz: NDArray[np.float64],
    loss_db: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Signal-to-noise ratio in dB in the bandwidth: EIRP + G/T - losses - 10 log10(k B)."""
    noise = BOLTZMANN_DBW_K_HZ + 60.0 + 10.0 * np.log10(bandwidth_mhz)
    return eirp_dbw + g_over_t_db_k - loss_db - noise
