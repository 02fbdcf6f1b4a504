"""What stands around a terminal: line of sight or not, clutter and shadowing towards satellites.

The tables of 3GPP TR 38.811 (V15.4.0) for S band (2 GHz) and Ka band (20 to 30 GHz), interpolated between
their rows of 10 degrees and held outside them. Two uses: the mean that a plan counts on, and a process in
time for the truth, in which sight comes and goes and shadowing varies. Multipath fading, the loss into
buildings, and clutter between two places on the ground are not here.

The process is a pure function of key and time. A standard Gaussian value at any instant is blended from
hashed draws at knots one correlation time apart; one such value against the probability of sight decides
sight, so that each elevation has the table's share of it, and another is the shadowing. How quickly sight
and shadowing change is not in the report for a terminal at rest: the correlation time is a modelling choice.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.errors import WorldError
from emulator.jit import kernel
from emulator.links.random import uniform

#: codes of the environments that `emulator.spec.RadioSpec` names; NONE costs nothing
NONE: Final = -1
ENVIRONMENTS: Final = {"none": NONE, "dense-urban": 0, "urban": 1, "suburban": 2, "rural": 3}
S_BAND: Final = 0
KA_BAND: Final = 1
BANDS: Final = {"s": S_BAND, "ka": KA_BAND}
#: the report gives two bands and nothing between: this splits them (as ns-3 does)
SPLIT_GHZ: Final = 13.0
#: seconds after which sight and shadowing are new, while the satellite passes some ten degrees
CORRELATION_S: Final = 10.0

#: probability of sight at 10, 20 .. 90 degrees: table 6.6.1-1; rows as ENVIRONMENTS
_SIGHT: Final = np.array(
    [
        [0.282, 0.331, 0.398, 0.468, 0.537, 0.612, 0.738, 0.820, 0.981],
        [0.246, 0.386, 0.493, 0.613, 0.726, 0.805, 0.919, 0.968, 0.992],
        [0.782, 0.869, 0.919, 0.929, 0.935, 0.940, 0.949, 0.952, 0.998],
        [0.782, 0.869, 0.919, 0.929, 0.935, 0.940, 0.949, 0.952, 0.998],
    ]
)
_OPEN_S_LOS = [1.79, 1.14, 1.14, 0.92, 1.42, 1.56, 0.85, 0.72, 0.72]
_OPEN_S_NLOS = [8.93, 9.08, 8.78, 10.25, 10.56, 10.74, 10.17, 11.52, 11.52]
_OPEN_KA_LOS = [1.9, 1.6, 1.9, 2.3, 2.7, 3.1, 3.0, 3.6, 0.4]
_OPEN_KA_NLOS = [10.7, 10.0, 11.2, 11.6, 11.8, 10.8, 10.8, 10.8, 10.8]
_OPEN_CLUTTER = [
    [19.52, 18.17, 18.42, 18.28, 18.63, 17.68, 16.50, 16.30, 16.30],
    [29.5, 24.6, 21.9, 20.0, 18.7, 17.8, 17.2, 16.9, 16.8],
]
_TOWN_CLUTTER = [
    [34.3, 30.9, 29.0, 27.7, 26.8, 26.2, 25.8, 25.5, 25.5],
    [44.3, 39.9, 37.5, 35.8, 34.6, 33.8, 33.3, 33.0, 32.9],
]
#: standard deviation of shadowing in dB [environment, band, out of sight, elevation]: tables 6.6.2-1 to -3
_SIGMA: Final = np.array(
    [
        [
            [
                [3.5, 3.4, 2.9, 3.0, 3.1, 2.7, 2.5, 2.3, 1.2],
                [15.5, 13.9, 12.4, 11.7, 10.6, 10.5, 10.1, 9.2, 9.2],
            ],
            [
                [2.9, 2.4, 2.7, 2.4, 2.4, 2.7, 2.6, 2.8, 0.6],
                [17.1, 17.1, 15.6, 14.6, 14.2, 12.6, 12.1, 12.3, 12.3],
            ],
        ],
        [[[4.0] * 9, [6.0] * 9], [[4.0] * 9, [6.0] * 9]],
        [[_OPEN_S_LOS, _OPEN_S_NLOS], [_OPEN_KA_LOS, _OPEN_KA_NLOS]],
        [[_OPEN_S_LOS, _OPEN_S_NLOS], [_OPEN_KA_LOS, _OPEN_KA_NLOS]],
    ]
)
#: clutter loss out of sight in dB [environment, band, elevation]: tables 6.6.2-1 to -3; in sight it is none
_CLUTTER: Final = np.array([_TOWN_CLUTTER, _TOWN_CLUTTER, _OPEN_CLUTTER, _OPEN_CLUTTER])

# purposes of draws, apart from those of packets
_FOR_SIGHT: Final = 11
_FOR_SHADOW: Final = 12


@kernel
def _at(row: Any, elevation_rad: float) -> Any:
    """Linear between the columns of 10, 20 .. 90 degrees, the nearest one outside."""
    position = min(max(math.degrees(elevation_rad) / 10.0 - 1.0, 0.0), 8.0)
    below = min(int(position), 7)
    share = position - below
    return row[below] * (1.0 - share) + row[below + 1] * share


@kernel
def mean_loss(environment: int, band: int, elevation_rad: float) -> Any:
    """One value of `mean_excess_loss`, for use in kernels."""
    if environment < 0 or elevation_rad != elevation_rad:
        return 0.0
    missing = 1.0 - _at(_SIGHT[environment], elevation_rad)
    return missing * _at(_CLUTTER[environment, band], elevation_rad)


@kernel
def mean_excess_loss(environment: Any, band: Any, elevation_rad: Any, out: Any) -> None:
    """Mean in dB of clutter over sight and no sight, row by row, into `out` [k].

    `environment`, `band` [k]: codes; environment -1 costs nothing. Shadowing has no mean in dB.
    """
    for k in range(out.shape[0]):
        out[k] = mean_loss(environment[k], band[k], elevation_rad[k])


@kernel
def _normal(key: Any, knot: Any, purpose: Any) -> Any:
    """Standard Gaussian draw of one knot (Box and Muller)."""
    first = uniform(key, 0, knot, purpose)
    second = uniform(key, 1, knot, purpose)
    return math.sqrt(-2.0 * math.log(1.0 - first)) * math.cos(2.0 * math.pi * second)


@kernel
def _gaussian(key: Any, t_s: float, correlation_s: float, purpose: Any) -> Any:
    """Standard Gaussian process at `t_s`: draws at knots, blended so that the variance is one throughout."""
    position = t_s / correlation_s
    knot = math.floor(position)
    turn = 0.5 * math.pi * (position - knot)
    # a bias keeps knots of negative times apart from those of positive ones
    number = int(knot) + (1 << 40)
    return math.cos(turn) * _normal(key, number, purpose) + math.sin(turn) * _normal(key, number + 1, purpose)


@kernel
def excess_loss(
    key: Any,
    t_s: float,
    environment: Any,
    band: Any,
    elevation_rad: Any,
    correlation_s: float,
    in_sight: Any,
    out: Any,
) -> None:
    """True excess loss in dB at `t_s`, row by row, into `out` [k]; `in_sight` [k] becomes 1 or 0.

    `key` [k] uint64: of the link (`emulator.links.random.link_key`; both directions share one). Clutter
    where there is no sight, plus shadowing, which may be below zero.
    """
    for k in range(out.shape[0]):
        in_sight[k] = 1
        out[k] = 0.0
        if environment[k] < 0 or elevation_rad[k] != elevation_rad[k]:
            continue
        value = _gaussian(key[k], t_s, correlation_s, _FOR_SIGHT)
        hidden = 0
        if 0.5 * math.erfc(-value / math.sqrt(2.0)) >= _at(_SIGHT[environment[k]], elevation_rad[k]):
            hidden = 1
            in_sight[k] = 0
            out[k] = _at(_CLUTTER[environment[k], band[k]], elevation_rad[k])
        sigma = _at(_SIGMA[environment[k], band[k], hidden], elevation_rad[k])
        out[k] += sigma * _gaussian(key[k], t_s, correlation_s, _FOR_SHADOW)


def environment_code(name: str) -> int:
    """Code of an environment by name; raises WorldError naming the known ones."""
    if name not in ENVIRONMENTS:
        raise WorldError(f"environment is {name!r}, allowed: {', '.join(ENVIRONMENTS)}")
    return ENVIRONMENTS[name]


def band_code(frequency_ghz: float) -> int:
    """Code of the band whose table a frequency uses; raises WorldError unless it is above 0."""
    if not 0.0 < frequency_ghz < math.inf:
        raise WorldError(f"frequency is {frequency_ghz:g} GHz, it must be above 0")
    return S_BAND if frequency_ghz < SPLIT_GHZ else KA_BAND


def los_probability(environment: str, elevation_deg: ArrayLike) -> NDArray[np.float64]:
    """Probability of line of sight at elevations [...] in degrees (TR 38.811 table 6.6.1-1)."""
    code = environment_code(environment)
    return _interpolated(_SIGHT[code] if code >= 0 else np.ones(9), elevation_deg)


def clutter_loss_db(environment: str, band: str, elevation_deg: ArrayLike) -> NDArray[np.float64]:
    """Clutter loss in dB out of sight; band "s" or "ka" (TR 38.811 tables 6.6.2-1 to 6.6.2-3)."""
    code, number = environment_code(environment), _band_named(band)
    return _interpolated(_CLUTTER[code, number] if code >= 0 else np.zeros(9), elevation_deg)


def shadow_sigma_db(
    environment: str, band: str, elevation_deg: ArrayLike, in_sight: bool = True
) -> NDArray[np.float64]:
    """Standard deviation of shadowing in dB; band "s" or "ka" (TR 38.811 tables 6.6.2-1 to 6.6.2-3)."""
    code, number = environment_code(environment), _band_named(band)
    return _interpolated(_SIGMA[code, number, int(not in_sight)] if code >= 0 else np.zeros(9), elevation_deg)


def mean_excess_loss_db(
    environment: str, frequency_ghz: float, elevation_deg: ArrayLike
) -> NDArray[np.float64]:
    """Mean loss in dB beyond free space by what stands around, at elevations [...] in degrees."""
    elevation = _elevations(elevation_deg)
    flat = np.radians(elevation.ravel())
    codes = np.full(flat.shape, environment_code(environment), dtype=np.int64)
    out = np.empty_like(flat)
    mean_excess_loss(codes, np.full(flat.shape, band_code(frequency_ghz), dtype=np.int64), flat, out)
    return out.reshape(elevation.shape)


def excess_loss_db(
    key: int,
    t_s: ArrayLike,
    environment: str,
    frequency_ghz: float,
    elevation_deg: ArrayLike,
    correlation_s: float = CORRELATION_S,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(loss dB, in sight) of one link at times [n] in s and elevations [n] in degrees.

    `key`: `emulator.links.random.link_key`. What an instant gets does not depend on which others are asked.
    """
    if not 0.0 < correlation_s < math.inf:
        raise WorldError(f"correlation time is {correlation_s:g} s, it must be above 0")
    times, elevations = np.broadcast_arrays(np.asarray(t_s, float), np.radians(_elevations(elevation_deg)))
    if not np.all(np.isfinite(times)):
        raise WorldError(f"t_s is {times[~np.isfinite(times)].flat[0]:g}, it must be a number of seconds")
    code = np.array([environment_code(environment)], dtype=np.int64)
    band = np.array([band_code(frequency_ghz)], dtype=np.int64)
    keys, sight, loss = np.array([key], dtype=np.uint64), np.empty(1, np.int64), np.empty(1)
    losses, seen = np.empty(times.shape), np.empty(times.shape, dtype=np.bool_)
    for n, t in np.ndenumerate(times):
        excess_loss(keys, float(t), code, band, elevations[n].reshape(1), correlation_s, sight, loss)
        losses[n], seen[n] = loss[0], sight[0] == 1
    return losses, seen


def _band_named(band: str) -> int:
    if band not in BANDS:
        raise WorldError(f"band is {band!r}, allowed: {', '.join(BANDS)}")
    return BANDS[band]


def _elevations(elevation_deg: ArrayLike) -> NDArray[np.float64]:
    elevation = np.asarray(elevation_deg, dtype=np.float64)
    wrong = elevation[~(np.abs(elevation) <= 90.0)]
    if wrong.size:
        raise WorldError(f"elevation_deg is {wrong.flat[0]:g}, allowed: -90 to 90")
    return elevation


def _interpolated(row: NDArray[np.float64], elevation_deg: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(np.interp(_elevations(elevation_deg), np.arange(10.0, 91.0, 10.0), row))
