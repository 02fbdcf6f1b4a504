"""Noise that an attenuating atmosphere radiates into a receiving antenna, and what it costs in G/T.

ITU-R P.618-14 section 3. Only what absorbs radiates: gases, rain and cloud; scintillation does not. The
antenna is taken to see nothing but the sky; what it gets from the ground is part of its receiver's
clear-sky system noise, as is the clear sky itself.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.errors import WorldError
from emulator.jit import kernel

#: of an atmosphere whose surface temperature is not known, P.618-14 section 3
MEAN_RADIATING_K: Final = 275.0
#: cosmic background as P.618 has it
COSMIC_K: Final = 2.7
#: as many as a double has digits
_HALVES: Final = 60
#: what is left of the noise at the least, where a system noise is given that cannot hold its clear sky
_LEAST_NOISE: Final = 1e-3

Floats = NDArray[np.float64]


def mean_radiating_temperature_k(surface_temperature_k: ArrayLike) -> Floats:
    """Mean radiating temperature from that at the surface, both in K: P.618-14 section 3."""
    return np.asarray(37.34 + 0.81 * np.asarray(surface_temperature_k, dtype=float))


def sky_noise_k(attenuation_db: ArrayLike, mean_radiating_k: ArrayLike = MEAN_RADIATING_K) -> Floats:
    """Noise temperature in K of a sky that absorbs this much, scintillation apart: P.618-14 section 3.

    Raises `WorldError` for negative attenuation: what amplifies is no sky.
    """
    attenuation = np.asarray(attenuation_db, dtype=float)
    if not np.all(attenuation >= 0.0):
        raise WorldError(
            f"attenuation_db is {attenuation[~(attenuation >= 0.0)].flat[0]:g}, allowed: 0 and above"
        )
    through = 10.0 ** (-0.1 * attenuation)
    return np.asarray(np.asarray(mean_radiating_k, dtype=float) * (1.0 - through) + COSMIC_K * through)


@kernel
def g_over_t_loss(extra_db: float, clear_db: float, system_noise_k: float) -> float:
    """One value of `g_over_t_loss_db`, for use in kernels."""
    if not system_noise_k > 0.0:
        return 0.0
    # (T_mr - 2.7 K)(through clear sky - through both): the sky's rise above what the receiver has already
    through = 10.0 ** (-0.1 * clear_db)
    # a belief may be that there is less than in a clear sky, but not that the sky is colder than space
    more_db = max(extra_db, -clear_db)
    rise_k = (MEAN_RADIATING_K - COSMIC_K) * through * -math.expm1(-0.1 * math.log(10.0) * more_db)
    return 10.0 * math.log10(max(1.0 + rise_k / system_noise_k, _LEAST_NOISE))


@kernel
def _losses(extra_db: Any, clear_db: Any, system_noise_k: Any, loss_db: Any) -> None:
    for n in range(len(loss_db)):
        loss_db[n] = g_over_t_loss(extra_db[n], clear_db[n], system_noise_k[n])


@kernel
def _attenuations(drop_db: Any, clear_db: Any, system_noise_k: Any, extra_db: Any) -> None:
    """By halves: noise changes the same way as attenuation, which so is between nothing and the drop."""
    for n in range(len(drop_db)):
        low, high = min(drop_db[n], 0.0), max(drop_db[n], 0.0)
        extra_db[n] = drop_db[n]
        if system_noise_k[n] > 0.0:
            for _ in range(_HALVES):
                extra_db[n] = (low + high) / 2.0
                loss = g_over_t_loss(extra_db[n], clear_db[n], system_noise_k[n])
                if extra_db[n] + loss > drop_db[n]:
                    high = extra_db[n]
                else:
                    low = extra_db[n]


def g_over_t_loss_db(
    extra_attenuation_db: ArrayLike, clear_attenuation_db: ArrayLike, system_noise_k: ArrayLike
) -> Floats:
    """By how many dB G/T falls when the sky attenuates more than a clear one.

    Attenuation on top of the clear sky and that of the clear sky in dB, system noise temperature in K under
    the clear sky (0: rise of noise not modelled, 0 dB); they broadcast. Raises `WorldError` for negative
    system noise.
    """
    extra, clear, system = _broadcast(extra_attenuation_db, clear_attenuation_db, system_noise_k)
    loss = np.empty(extra.size)
    _losses(extra.flatten(), clear.flatten(), system.flatten(), loss)
    return loss.reshape(extra.shape)


def attenuation_of_drop_db(
    snr_drop_db: ArrayLike, clear_attenuation_db: ArrayLike, system_noise_k: ArrayLike
) -> Floats:
    """The attenuation on top of the clear sky in dB that lowers a received SNR by so many dB.

    The inverse of attenuation plus `g_over_t_loss_db`; arguments as there. A drop where system noise is 0 is
    returned as it is. Raises `WorldError` for negative system noise.
    """
    drop, clear, system = _broadcast(snr_drop_db, clear_attenuation_db, system_noise_k)
    extra = np.empty(drop.size)
    _attenuations(drop.flatten(), clear.flatten(), system.flatten(), extra)
    return extra.reshape(drop.shape)


def _broadcast(
    first: ArrayLike, second: ArrayLike, system_noise_k: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    system = np.asarray(system_noise_k, dtype=float)
    wrong = ~(system >= 0.0)
    if wrong.any():
        raise WorldError(f"system_noise_k is {system[wrong].flat[0]:g}, allowed: above 0, or 0 for none")
    one, two, three = np.broadcast_arrays(
        np.asarray(first, dtype=float), np.asarray(second, dtype=float), system
    )
    return one, two, three
