"""Co-channel interference: how much every link's receiver hears of the other links' transmitters.

Each directed link is one row: a transmitter with an EIRP, a receiver with a G/T, a channel, an antenna at
either end. A row disturbs another by the share of its power that falls into the other's channel, over the
free-space distance between its transmitter and the other's receiver, with both antennas' gains in those
directions. Polarisation, filters' skirts, activity in time and the weather on the disturbing path are not
modelled: interference is that of transmitters that are always on in clear sky.

Not counted: what a receiver hears of its own place's transmitter (its duplexer's business), what the
ellipsoid of the Earth stands in front of, and, unless asked for, links that share an end in the same role,
whose system is taken to keep them apart (one scheduler, or beams of different colour).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.errors import WorldError
from emulator.jit import kernel
from emulator.radio.antennas import ISOTROPIC, NADIR, ZENITH, antenna_parameters, relative_gain_db
from emulator.spec import Antenna
from emulator.units import BOLTZMANN_DBW_K_HZ, LEAST_RANGE_M, SPEED_OF_LIGHT_M_S, WGS84_A_M, WGS84_F

#: antennas stand above the altitude given for their place; two of them see each other over 22 km of sea
ANTENNA_HEIGHT_M: Final = 10.0
#: where it is not said, what is below this looks up with its panel, what is above it down
_SKY_M: Final = 100_000.0
#: channels that touch overlap by rounding: less than this share of the narrower counts as none
_TOUCHING: Final = 1e-6
_STRETCH: Final = 1.0 / (1.0 - WGS84_F)
_LEAST_RADIUS: Final = 1.0 - ANTENNA_HEIGHT_M / WGS84_A_M


@kernel
def _angle_rad(axis: Any, x: float, y: float, z: float, length: float) -> Any:
    """Between a unit vector and a ray of that length."""
    cosine = (axis[0] * x + axis[1] * y + axis[2] * z) / length
    return math.acos(min(max(cosine, -1.0), 1.0))


@kernel
def _behind_earth(a: Any, b: Any) -> Any:
    """Whether the ellipsoid is in the way: stretched to a sphere, with rays that stay straight."""
    ax, ay, az = a[0] / WGS84_A_M, a[1] / WGS84_A_M, a[2] * _STRETCH / WGS84_A_M
    x, y, z = b[0] / WGS84_A_M - ax, b[1] / WGS84_A_M - ay, b[2] * _STRETCH / WGS84_A_M - az
    share = -(ax * x + ay * y + az * z) / max(x * x + y * y + z * z, 1e-18)
    share = min(max(share, 0.0), 1.0)
    nearest = (ax + share * x) ** 2 + (ay + share * y) ** 2 + (az + share * z) ** 2
    return nearest < _LEAST_RADIUS**2


@kernel
def _gain_db(p: Any, axes: Any, x: float, y: float, z: float, length: float) -> Any:
    """Relative gain of one antenna [5] along a ray; `axes` [2, 3]: beam, panel's normal."""
    if p[0] == ISOTROPIC:
        return 0.0
    off = _angle_rad(axes[0], x, y, z, length)
    return relative_gain_db(p[0], off, _angle_rad(axes[1], x, y, z, length), p[2], p[3], p[4])


@kernel
def interference_over_noise(
    tx_m: Any,
    rx_m: Any,
    tx_end: Any,
    rx_end: Any,
    tx_antenna: Any,
    rx_antenna: Any,
    tx_axes: Any,
    rx_axes: Any,
    eirp_dbw: Any,
    g_over_t_db_k: Any,
    frequency_hz: Any,
    bandwidth_hz: Any,
    shared_ends: bool,
    out: Any,
) -> None:
    """Interference over noise of every row as a plain ratio, into `out` [n]; work grows with n squared.

    `tx_m`, `rx_m` [n, 3]: Earth-fixed positions; `tx_end`, `rx_end` [n]: numbers of the places there;
    antennas [n, 5]: `antenna_parameters` at the row's frequency; axes [n, 2, 3]: unit vectors of the beam
    and of the panel's normal; `shared_ends`: count links that have a transmitter or a receiver in common. A
    row whose EIRP is not a number transmits nothing.
    """
    to_natural = math.log(10.0) / 10.0
    for i in range(out.shape[0]):
        total = 0.0
        noise_dbw_k = BOLTZMANN_DBW_K_HZ + 10.0 * math.log10(bandwidth_hz[i])
        low, high = frequency_hz[i] - 0.5 * bandwidth_hz[i], frequency_hz[i] + 0.5 * bandwidth_hz[i]
        for j in range(out.shape[0]):
            overlap = min(high, frequency_hz[j] + 0.5 * bandwidth_hz[j])
            overlap -= max(low, frequency_hz[j] - 0.5 * bandwidth_hz[j])
            if (
                i == j
                or overlap <= _TOUCHING * min(bandwidth_hz[i], bandwidth_hz[j])
                or not eirp_dbw[j] > -1e3
                or tx_end[j] == rx_end[i]
            ):
                continue
            if not shared_ends and (tx_end[i] == tx_end[j] or rx_end[i] == rx_end[j]):
                continue
            if _behind_earth(tx_m[j], rx_m[i]):
                continue
            x, y, z = rx_m[i, 0] - tx_m[j, 0], rx_m[i, 1] - tx_m[j, 1], rx_m[i, 2] - tx_m[j, 2]
            length = max(math.sqrt(x * x + y * y + z * z), LEAST_RANGE_M)
            level = eirp_dbw[j] + 10.0 * math.log10(overlap / bandwidth_hz[j])
            level += _gain_db(tx_antenna[j], tx_axes[j], x, y, z, length)
            level -= 20.0 * math.log10(4.0 * math.pi * length * frequency_hz[j] / SPEED_OF_LIGHT_M_S)
            level += g_over_t_db_k[i] + _gain_db(rx_antenna[i], rx_axes[i], -x, -y, -z, length)
            total += math.exp((level - noise_dbw_k) * to_natural)
        out[i] = total


@dataclass(frozen=True)
class CoChannelLinks:
    """Directed links that may disturb each other; one row each.

    `tx_m`, `rx_m` [n, 3]: Earth-fixed positions in m. `tx_end`, `rx_end` [n]: number of the place at either
    end, so that what stands at the same place is known. The figures are those of `emulator.spec.RadioSpec`
    in the direction of the row; `frequency_ghz` is the channel's centre.
    """

    tx_m: ArrayLike
    rx_m: ArrayLike
    tx_end: ArrayLike
    rx_end: ArrayLike
    eirp_dbw: ArrayLike
    g_over_t_db_k: ArrayLike
    frequency_ghz: ArrayLike
    bandwidth_mhz: ArrayLike
    tx_antenna: Sequence[Antenna]
    rx_antenna: Sequence[Antenna]
    #: [n] whether panels of phased arrays look to the zenith, else to the nadir; None: up to 100 km they do
    tx_faces_up: ArrayLike | None = None
    rx_faces_up: ArrayLike | None = None


def antenna_axes(
    at_m: NDArray[np.float64],
    towards_m: NDArray[np.float64],
    parameters: NDArray[np.float64],
    faces_up: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Unit vectors [n, 2, 3] of beam and panel's normal of antennas at `at_m` that serve `towards_m` [n, 3].

    Tracking beams point at what they serve, others along the zenith or the nadir. `parameters` [n, 5]:
    `antenna_parameters`. `faces_up` [n]: whether panels look to the zenith, else to the nadir; without it
    those up to 100 km do.
    """
    ray = towards_m - at_m
    beam = ray / np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), 1e-9)
    up = at_m * np.array([1.0, 1.0, _STRETCH**2])
    up /= np.maximum(np.linalg.norm(up, axis=1, keepdims=True), 1e-9)
    pointing = parameters[:, 1:2]
    beam = np.where(pointing == ZENITH, up, np.where(pointing == NADIR, -up, beam))
    if faces_up is None:
        faces_up = np.linalg.norm(at_m, axis=1) <= WGS84_A_M + _SKY_M
    return np.stack([beam, np.where(np.asarray(faces_up)[:, None], up, -up)], axis=1)


def interference_over_noise_db(links: CoChannelLinks, shared_ends: bool = False) -> NDArray[np.float64]:
    """Interference over thermal noise in dB at the receiver of each link, [n]; -inf where there is none.

    `shared_ends`: whether links with a transmitter or a receiver in common disturb each other too (beams
    of one satellite that use the same frequencies). Raises WorldError for what does not fit together.
    """
    tx_m, rx_m = (np.asarray(each, dtype=np.float64).reshape(-1, 3) for each in (links.tx_m, links.rx_m))
    n = len(tx_m)
    names = ("tx_end", "rx_end", "eirp_dbw", "g_over_t_db_k", "frequency_ghz", "bandwidth_mhz")
    columns = {name: np.asarray(getattr(links, name), dtype=np.float64) for name in names}
    sizes = {"rx_m": len(rx_m), "tx_antenna": len(links.tx_antenna), "rx_antenna": len(links.rx_antenna)}
    for name, size in {**sizes, **{name: column.size for name, column in columns.items()}}.items():
        if size != n:
            raise WorldError(f"co-channel links: {name} has {size} rows, but tx_m has {n}")
    for name in ("frequency_ghz", "bandwidth_mhz"):
        bad = columns[name][~(columns[name] > 0.0)]
        if bad.size:
            raise WorldError(f"co-channel links: {name} is {bad[0]:g}, it must be above 0")
    antennas = [
        np.array([antenna_parameters(*pair) for pair in zip(ends, columns["frequency_ghz"], strict=True)])
        for ends in (links.tx_antenna, links.rx_antenna)
    ]
    tx_antenna, rx_antenna = (each.reshape(n, 5) for each in antennas)
    out = np.empty(n)
    interference_over_noise(
        tx_m,
        rx_m,
        columns["tx_end"].astype(np.int64),
        columns["rx_end"].astype(np.int64),
        tx_antenna,
        rx_antenna,
        antenna_axes(tx_m, rx_m, tx_antenna, links.tx_faces_up),
        antenna_axes(rx_m, tx_m, rx_antenna, links.rx_faces_up),
        columns["eirp_dbw"],
        columns["g_over_t_db_k"],
        columns["frequency_ghz"] * 1e9,
        columns["bandwidth_mhz"] * 1e6,
        shared_ends,
        out,
    )
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(out)


def sinr_db(snr_db: ArrayLike, i_over_n_db: ArrayLike) -> NDArray[np.float64]:
    """Signal over noise and interference in dB, from SNR and I/N in dB (-inf: none)."""
    snr, ratio = np.asarray(snr_db, dtype=np.float64), np.asarray(i_over_n_db, dtype=np.float64)
    return np.asarray(snr - 10.0 * np.log10(1.0 + 10.0 ** (ratio / 10.0)))
