"""Antenna patterns: how the gain falls away from its peak, by the pattern's name and the angle.

EIRP and G/T of a radio hold the peak gains; what is computed here is what is lost when the other end, or
one that is disturbed, is not at the peak. Polarisation, blockage by the platform and the widening of a
steered beam are not modelled. Angles are rad inside kernels, degrees in `gain_dbi`.

An antenna reaches the kernels as five numbers, `antenna_parameters`: code of the pattern, code of the
pointing, diameter in wavelengths, peak gain in dBi, exponent of the scan loss.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.errors import WorldError
from emulator.jit import kernel
from emulator.spec import Antenna
from emulator.units import MEAN_EARTH_RADIUS_M, SPEED_OF_LIGHT_M_S

ISOTROPIC: Final = 0
DISH_S465: Final = 1
APERTURE: Final = 2
SATELLITE_S1528: Final = 3
PHASED_ARRAY: Final = 4
DIPOLE: Final = 5
TURNSTILE: Final = 6
QFH: Final = 7
#: patterns by the name that `emulator.spec.Antenna` gives
PATTERNS: Final = {
    "isotropic": ISOTROPIC,
    "dish-s465": DISH_S465,
    "aperture": APERTURE,
    "satellite-s1528": SATELLITE_S1528,
    "phased-array": PHASED_ARRAY,
    "dipole": DIPOLE,
    "turnstile": TURNSTILE,
    "qfh": QFH,
}
TRACKING: Final = 0
ZENITH: Final = 1
NADIR: Final = 2
POINTINGS: Final = {"tracking": TRACKING, "zenith": ZENITH, "nadir": NADIR}

#: aperture efficiency where only one of diameter and gain is given: between the 0.57 and 0.64 that the
#: diameters and gains of 3GPP TR 38.821 table 6.1.1.1-1 stand for
EFFICIENCY: Final = 0.6
#: nulls of real antennas are filled: nothing is taken to be further below the peak than this
FLOOR_DB: Final = -60.0
#: peak gains of the small antennas, ideal and lossless: their patterns integrated over the sphere
PEAK_DBI: Final = {"isotropic": 0.0, "dipole": 2.15, "turnstile": 1.76, "qfh": 4.77}
#: far side lobes of a satellite in low orbit, dBi (ITU-R S.1528 recommends 1.3, L_F)
_S1528_FAR_DBI: Final = 5.0


def antenna_parameters(antenna: Antenna, frequency_ghz: float) -> NDArray[np.float64]:
    """The antenna as the kernels take it, [5]; raises WorldError for what cannot be one.

    Of diameter and peak gain, what is missing follows from the other with `EFFICIENCY`. A dipole that
    tracks is isotropic: which way its wire is turned around the line of sight is not known.
    """
    if antenna.pattern not in PATTERNS:
        raise WorldError(f"antenna pattern is {antenna.pattern!r}, allowed: {', '.join(PATTERNS)}")
    if antenna.pointing not in POINTINGS:
        raise WorldError(f"antenna pointing is {antenna.pointing!r}, allowed: {', '.join(POINTINGS)}")
    for name in ("diameter_m", "scan_exponent"):
        value = getattr(antenna, name)
        if not (value >= 0.0 and math.isfinite(value)):
            raise WorldError(f"antenna {antenna.pattern!r}: {name} is {value:g}, it must not be negative")
    if not math.isfinite(antenna.gain_dbi):
        raise WorldError(
            f"antenna {antenna.pattern!r}: gain_dbi is {antenna.gain_dbi:g}, it must be a number"
        )
    if not (frequency_ghz > 0.0 and math.isfinite(frequency_ghz)):
        raise WorldError(
            f"antenna {antenna.pattern!r}: frequency is {frequency_ghz:g} GHz, it must be above 0"
        )
    code, diameter = PATTERNS[antenna.pattern], 0.0
    if antenna.pattern in PEAK_DBI:
        peak = antenna.gain_dbi if antenna.gain_dbi != 0.0 else PEAK_DBI[antenna.pattern]
        if code == DIPOLE and antenna.pointing == "tracking":
            code = ISOTROPIC
    else:
        if antenna.diameter_m == 0.0 and antenna.gain_dbi <= 0.0:
            raise WorldError(
                f"antenna {antenna.pattern!r} needs diameter_m above 0 (or gain_dbi, from which it follows)"
            )
        diameter = antenna.diameter_m * frequency_ghz * 1e9 / SPEED_OF_LIGHT_M_S
        if diameter == 0.0:
            diameter = math.sqrt(10.0 ** (antenna.gain_dbi / 10.0) / EFFICIENCY) / math.pi
        peak = antenna.gain_dbi
        if peak == 0.0:
            peak = 10.0 * math.log10(EFFICIENCY * (math.pi * diameter) ** 2)
    return np.array(
        [code, POINTINGS[antenna.pointing], diameter, peak, antenna.scan_exponent], dtype=np.float64
    )


def gain_dbi(
    antenna: Antenna, off_axis_deg: ArrayLike, frequency_ghz: float, scan_deg: float = 0.0
) -> NDArray[np.float64]:
    """Gain in dBi at angles from the beam's axis, of the shape of `off_axis_deg`.

    Angles -180 to 180. `scan_deg`: how far a phased array steers its beam from broadside, 0 to 90; the angles
    are counted further away from it. A dipole that stands (zenith, nadir) has its angles counted from the
    wire. Raises WorldError.
    """
    p = antenna_parameters(antenna, frequency_ghz)
    off = np.abs(np.radians(np.asarray(off_axis_deg, dtype=np.float64)))
    if not np.all(off <= math.pi):
        wrong = np.asarray(off_axis_deg, dtype=np.float64)[~(off <= math.pi)].flat[0]
        raise WorldError(f"off_axis_deg is {wrong:g}, allowed: -180 to 180")
    if not 0.0 <= scan_deg <= 90.0:
        raise WorldError(f"scan_deg is {scan_deg:g}, allowed: 0 to 90")
    flat = np.ravel(off)
    scan = math.radians(scan_deg)
    out = np.array([p[3] + relative_gain_db(p[0], a, min(scan + a, math.pi), p[2], p[3], p[4]) for a in flat])
    return out.reshape(off.shape)


@kernel
def bessel_j1(x: float) -> float:
    """Bessel function J1 for x >= 0, error below 1e-7 (Abramowitz and Stegun 9.4.4 and 9.4.6)."""
    if x <= 3.0:
        s = (x / 3.0) ** 2
        series = 0.00443319 + s * (-0.00031761 + s * 0.00001109)
        series = 0.5 + s * (-0.56249985 + s * (0.21093573 + s * (-0.03954289 + s * series)))
        return x * series
    s = 3.0 / x
    size = 0.01659667 + s * (0.00017105 + s * (-0.00249511 + s * (0.00113653 - s * 0.00020033)))
    size = 0.79788456 + s * (0.00000156 + s * size)
    phase = 0.00005650 + s * (-0.00637879 + s * (0.00074348 + s * (0.00079824 - s * 0.00029166)))
    phase = x - 2.35619449 + s * (0.12499612 + s * phase)
    return size * math.cos(phase) / math.sqrt(x)


@kernel
def _aperture_db(off_axis_rad: float, diameter_wavelengths: float) -> float:
    """Uniform circular aperture, 3GPP TR 38.811 section 6.4.1; nothing is known of what is behind it."""
    if off_axis_rad > 0.5 * math.pi:
        return FLOOR_DB
    x = math.pi * diameter_wavelengths * math.sin(off_axis_rad)
    if x < 1e-4:
        return 0.0
    return 20.0 * math.log10(max(2.0 * abs(bessel_j1(x)) / x, 1e-9))


@kernel
def _dish_db(off_axis_rad: float, diameter_wavelengths: float, peak_dbi: float) -> float:
    """Side lobes of ITU-R S.465-6 recommends 2; main lobe of Radio Regulations appendix 8 annex III."""
    off = math.degrees(off_axis_rad)
    if diameter_wavelengths >= 50.0:
        least = max(1.0, 100.0 / diameter_wavelengths)
    else:
        least = max(2.0, 114.0 * diameter_wavelengths**-1.09)
    at = max(off, least)
    lobes = 32.0 - 25.0 * math.log10(at) if at < 48.0 else -10.0
    lobes = min(lobes - peak_dbi, 0.0)
    if off >= least:
        return lobes
    return max(-2.5e-3 * (diameter_wavelengths * off) ** 2, lobes)


@kernel
def _satellite_db(off_axis_rad: float, diameter_wavelengths: float, peak_dbi: float) -> float:
    """Reference pattern of ITU-R S.1528 recommends 1.3, low orbit: L_s = -6.75 dB, Y = 1.5 psi_b."""
    half = math.sqrt(1200.0) / diameter_wavelengths
    off = math.degrees(off_axis_rad)
    edge = 1.5 * half
    near = -3.0 * (off / half) ** 2 if off <= edge else -6.75 - 25.0 * math.log10(off / edge)
    return max(near, min(_S1528_FAR_DBI - peak_dbi, 0.0))


@kernel
def _dipole_db(angle_rad: float) -> float:
    """Half-wave dipole; the angle is from the wire."""
    across = math.sin(angle_rad)
    if across < 1e-6:
        return FLOOR_DB
    return 20.0 * math.log10(max(abs(math.cos(0.5 * math.pi * math.cos(angle_rad)) / across), 1e-9))


@kernel
def relative_gain_db(
    code: float,
    off_axis_rad: float,
    broadside_rad: float,
    diameter_wavelengths: float,
    peak_dbi: float,
    scan_exponent: float,
) -> float:
    """Gain in a direction relative to the peak, dB: 0 at best, `FLOOR_DB` at worst.

    `off_axis_rad`: direction from the beam's axis (from the wire of a dipole), 0 to pi. `broadside_rad`:
    direction from the normal of a phased array's panel, whose elements see cos^n of it. The turnstile is
    two crossed dipoles in quadrature, (1 + cos^2)/2; the quadrifilar helix (qfh) a cardioid,
    ((1 + cos)/2)^2, which is a modelling choice: its beam is 131 degrees wide.
    """
    gain = 0.0
    if code == APERTURE:
        gain = _aperture_db(off_axis_rad, diameter_wavelengths)
    elif code == DISH_S465:
        gain = _dish_db(off_axis_rad, diameter_wavelengths, peak_dbi)
    elif code == SATELLITE_S1528:
        gain = _satellite_db(off_axis_rad, diameter_wavelengths, peak_dbi)
    elif code == PHASED_ARRAY:
        element = math.cos(broadside_rad)
        if element <= 0.0:
            return FLOOR_DB
        gain = _aperture_db(off_axis_rad, diameter_wavelengths) + 10.0 * scan_exponent * math.log10(element)
    elif code == DIPOLE:
        gain = _dipole_db(off_axis_rad)
    elif code == TURNSTILE:
        gain = 10.0 * math.log10(0.5 * (1.0 + math.cos(off_axis_rad) ** 2))
    elif code == QFH:
        gain = 20.0 * math.log10(max(0.5 * (1.0 + math.cos(off_axis_rad)), 1e-9))
    return max(gain, FLOOR_DB)


@kernel
def nadir_angle_rad(
    elevation_rad: float, range_m: float, place_radius_m: float = MEAN_EARTH_RADIUS_M
) -> float:
    """Angle at the far end between the Earth's centre and the place that sees it at this elevation.

    `place_radius_m`: of the place from the Earth's centre. The triangle of place, centre and far end.
    """
    return math.atan2(
        place_radius_m * math.cos(elevation_rad), range_m + place_radius_m * math.sin(elevation_rad)
    )


@kernel
def _end_gain_db(p: Any, from_zenith_rad: float, faces_up: bool) -> Any:
    """Relative gain in dB of one end, [5] parameters, towards the end that it serves."""
    if p[0] == ISOTROPIC:
        return 0.0
    from_nadir = math.pi - from_zenith_rad
    if p[1] == TRACKING:
        return relative_gain_db(p[0], 0.0, from_zenith_rad if faces_up else from_nadir, p[2], p[3], p[4])
    off = from_zenith_rad if p[1] == ZENITH else from_nadir
    return relative_gain_db(p[0], off, off, p[2], p[3], p[4])


@kernel
def pointing_gain(place: Any, far: Any, elevation_rad: float, range_m: float) -> Any:
    """One value of `pointing_gain_db`, [5] parameters of either end, for use in kernels."""
    if place[0] == ISOTROPIC and far[0] == ISOTROPIC:
        return 0.0
    gain = _end_gain_db(place, 0.5 * math.pi - elevation_rad, True)
    nadir = nadir_angle_rad(elevation_rad, range_m, MEAN_EARTH_RADIUS_M)
    return gain + _end_gain_db(far, math.pi - nadir, False)


@kernel
def pointing_gain_db(place: Any, far: Any, elevation_rad: Any, range_m: Any, out: Any) -> None:
    """Relative gain of both ends together, dB (not above 0), row by row, into `out` [k].

    `place`, `far` [k, 5]: `antenna_parameters` of the end that owns the radio and of the other, at the
    row's frequency. `elevation_rad`, `range_m` [k]: of the far end from the place. Panels of phased arrays
    face the zenith at places and the nadir at the far end; a row whose antennas track without scanning
    loses nothing, whatever its elevation.
    """
    for k in range(out.shape[0]):
        out[k] = pointing_gain(place[k], far[k], elevation_rad[k], range_m[k])
