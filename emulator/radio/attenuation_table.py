"""Attenuation of a slant path by the atmosphere, looked up: one path's table and the kernels that read it.

A table is one row of numbers: what varies with elevation at knots of elevation, what varies in time at
knots of the percentage of time, and the closed forms of ITU-R P.618 put them together. The knots come
from `slant_path`; nothing here knows maps or places.

Elevations are 5 to 90 degrees, where the cosecant law and the P.618 methods hold; below 5 degrees the
value at 5 degrees is given. Percentages of time are 0.001 to 50; 0 is a clear sky: the median of the
gases and nothing else.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emulator.jit import kernel

Floats = NDArray[np.float64]

LEAST_ELEVATION_DEG: Final = 5.0
LEAST_PERCENT: Final = 0.001
MOST_PERCENT: Final = 50.0

#: knots of elevation are even in the square root of the angle from the zenith, with which rain goes there;
#: as many as the kink needs that the rain of P.618 has where the path leaves the cell through its side
_ELEVATIONS: Final = 481
_ROOT_STEP: Final = math.sqrt(90.0 - LEAST_ELEVATION_DEG) / (_ELEVATIONS - 1)
ELEVATION_KNOTS_DEG: Final[Floats] = np.array(90.0 - (np.arange(_ELEVATIONS) * _ROOT_STEP) ** 2)
ELEVATION_KNOTS_DEG[-1] = LEAST_ELEVATION_DEG

#: knots of percentage: those of the ITU-R maps, and between them as many as the gases need
_BETWEEN: Final = 2
_MAP: Final = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 50.0)
PERCENT_KNOTS: Final[Floats] = np.exp(
    np.interp(np.arange((len(_MAP) - 1) * _BETWEEN + 1) / _BETWEEN, np.arange(len(_MAP)), np.log(_MAP))
)
_LOG_PERCENT: Final = np.log(PERCENT_KNOTS)
_PERCENTS: Final = len(PERCENT_KNOTS)

# the row
LATITUDE: Final = 0  # degrees, absolute
FLOOR_PERCENT: Final = 1  # gases and clouds of rarer times are those of this percentage
RAIN_PERCENT: Final = 2  # no rain at more of the time than this
RAIN: Final = 3  # dB exceeded 0.01 % of the time, times the sine of the elevation (smoother so)
SIGMA: Final = RAIN + _ELEVATIONS  # dB, standard deviation of scintillation, times that sine
GAS: Final = SIGMA + _ELEVATIONS  # dB, towards the zenith
CLOUD: Final = GAS + _PERCENTS  # dB, towards the zenith
WIDTH: Final = CLOUD + _PERCENTS


def table(
    latitude_deg: float,
    floor_percent: float,
    rain_percent: float,
    rain_db: Floats,
    sigma_db: Floats,
    gas_db: Floats,
    cloud_db: Floats,
) -> Floats:
    """The row [WIDTH]: rain and scintillation at `ELEVATION_KNOTS_DEG`, gas and cloud at `PERCENT_KNOTS`."""
    head = np.array([abs(latitude_deg), floor_percent, rain_percent])
    sine = np.sin(np.radians(ELEVATION_KNOTS_DEG))
    return np.concatenate((head, rain_db * sine, sigma_db * sine, gas_db, cloud_db))


@kernel
def _at_elevation(row: Any, start: int, root: float) -> float:
    """The cubic through the four knots around; `root` is that of the degrees from the zenith."""
    position = root / _ROOT_STEP
    first = min(max(int(position) - 1, 0), _ELEVATIONS - 4)
    t = position - first
    a, b, c, d = row[start + first], row[start + first + 1], row[start + first + 2], row[start + first + 3]
    return float(
        -a * (t - 1.0) * (t - 2.0) * (t - 3.0) / 6.0
        + b * t * (t - 2.0) * (t - 3.0) / 2.0
        - c * t * (t - 1.0) * (t - 3.0) / 2.0
        + d * t * (t - 1.0) * (t - 2.0) / 6.0
    )


@kernel
def _at_percent(row: Any, start: int, percent: float) -> float:
    """Straight in the logarithm between the knots."""
    above = 1
    while above < _PERCENTS - 1 and PERCENT_KNOTS[above] < percent:
        above += 1
    share = (math.log(percent) - _LOG_PERCENT[above - 1]) / (_LOG_PERCENT[above] - _LOG_PERCENT[above - 1])
    low = row[start + above - 1]
    return float(low + share * (row[start + above] - low))


@kernel
def components(row: Any, elevation_deg: float, percent: float) -> tuple[float, float, float, float]:
    """Gas, cloud, rain and scintillation in dB exceeded `percent` of the time at an elevation.

    `row` [WIDTH]. Rain: P.618-13 eq. 8; scintillation: eq. 48 and 49, without bound to the 0.01 % from
    which on that is tested; percentages of gas and cloud: section 2.5.
    """
    elevation = min(max(elevation_deg, LEAST_ELEVATION_DEG), 90.0)
    sine = math.sin(math.radians(elevation))
    if not percent > 0.0:
        return _at_percent(row, GAS, MOST_PERCENT) / sine, 0.0, 0.0, 0.0
    common = max(percent, row[FLOOR_PERCENT])
    gas = _at_percent(row, GAS, common) / sine
    cloud = _at_percent(row, CLOUD, common) / sine

    root = math.sqrt(90.0 - elevation)
    log_10 = math.log10(percent)
    factor = -0.061 * log_10**3 + 0.072 * log_10**2 - 1.71 * log_10 + 3.0
    scintillation = max(factor * _at_elevation(row, SIGMA, root) / sine, 0.0)

    rain = 0.0
    reference = _at_elevation(row, RAIN, root) / sine
    if reference > 0.0 and percent <= row[RAIN_PERCENT]:
        beta = 0.0
        if percent < 1.0 and row[LATITUDE] < 36.0:
            beta = -0.005 * (row[LATITUDE] - 36.0)
            if elevation < 25.0:
                beta += 1.8 - 4.25 * sine
        exponent = (
            0.655 + 0.033 * math.log(percent) - 0.045 * math.log(reference) - beta * (1.0 - percent) * sine
        )
        rain = reference * (percent / 0.01) ** -exponent
    return gas, cloud, rain, scintillation


@kernel
def look_up_one(tables: Any, which: int, elevation_deg: float, percent: float) -> tuple[float, float, float]:
    """One row of `look_up`, for use in kernels: gases, what comes on top, what of that also radiates."""
    if which < 0:
        return 0.0, 0.0, 0.0
    gas, cloud, rain, scintillation = components(tables[which], elevation_deg, percent)
    return gas, math.sqrt((rain + cloud) ** 2 + scintillation**2), rain + cloud


@kernel
def look_up(
    tables: Any, which: Any, elevation_deg: Any, percent: Any, gas_db: Any, excess_db: Any, absorbed_db: Any
) -> None:
    """Attenuation on each of n rows.

    `tables` [k, WIDTH], `which` [n] the table of each row, negative: none, and no attenuation; elevations and
    percentages [n] (0: clear sky). Filled, [n] in dB: gases; what comes on top (P.618 section 2.5: rain and
    cloud, and scintillation in quadrature); and the part of that which also radiates (rain and cloud).
    """
    for n in range(len(which)):
        gas_db[n], excess_db[n], absorbed_db[n] = look_up_one(tables, which[n], elevation_deg[n], percent[n])


@kernel
def look_up_components(row: Any, elevation_deg: Any, percent: Any, found: Any) -> None:
    """Gas, cloud, rain and scintillation into `found` [4, n] of one table, elevations and percents [n]."""
    for n in range(len(elevation_deg)):
        found[0, n], found[1, n], found[2, n], found[3, n] = components(row, elevation_deg[n], percent[n])
