"""Attenuation between a place and a satellite as ITU-R P.618 has it: gases, clouds, rain, scintillation.

`attenuation` answers a question about one place; `slant_paths` prepares tables for many, `stacked` puts
these together for the kernels of `attenuation_table`. Tables are computed from the maps of the itur
package at the first use of a path and kept on disk (`attenuation_cache`).

The components are those of the revisions the package has (`itur_calls`). They are put together as
P.618-14 section 2.5 says, where gases and clouds of rarer times are those of 5 % of the time and there is
no rain at more than 5 %; `revision=13` puts them together as P.618-13 did (1 %, rain at any percentage).

Height counts: gases thin out with it, and at or above the rain height of P.839 there is no rain, cloud or
scintillation; below it all of the cloud (P.840 knows no height). A place that moves has the table of where
it starts. Below 1 GHz attenuation is that at 1 GHz. P.618 tested scintillation up to 20 GHz and recommends
the whole up to 55 GHz; beyond, to 200 GHz, it is an extrapolation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.errors import WorldError
from emulator.radio import attenuation_cache, attenuation_table, itur_calls
from emulator.radio.attenuation_table import (
    ELEVATION_KNOTS_DEG,
    LEAST_PERCENT,
    MOST_PERCENT,
    PERCENT_KNOTS,
    WIDTH,
)
from emulator.spec import Place
from emulator.units import LOWEST_ALTITUDE_M

Floats = NDArray[np.float64]

MOST_FREQUENCY_GHZ = 200.0  # P.840-8
_LEAST_MODEL_GHZ = 1.0  # P.676, P.838, P.840
#: percentage of time at and below which gases and clouds stay the same; the largest with rain
_COMBINATION = {13: (1.0, 50.0), 14: (5.0, 5.0)}
#: tables that a process holds on to
_HELD = 4096


@dataclass(frozen=True)
class PathRequest:
    """Which path: from where, at which frequency, received how."""

    place: Place
    frequency_ghz: float
    #: tilt of linear polarisation from the horizontal; 45: circular
    polarization_deg: float = 45.0
    #: of the antenna on the ground, averages scintillation; 0: no averaging
    diameter_m: float = 0.0
    #: of P.618, for how components are put together: 13 or 14
    revision: int = 14


@dataclass(frozen=True)
class Attenuation:
    """Attenuation in dB exceeded for the percentages of time asked for; arrays of one shape."""

    gas_db: Floats
    cloud_db: Floats
    rain_db: Floats
    scintillation_db: Floats

    @property
    def excess_db(self) -> Floats:
        """What comes on top of the gases: P.618 section 2.5, without the gases."""
        return np.hypot(self.rain_db + self.cloud_db, self.scintillation_db)

    @property
    def total_db(self) -> Floats:
        """All together: P.618 section 2.5."""
        return self.gas_db + self.excess_db


@dataclass(frozen=True)
class SlantPath:
    """One path's table. Elevations in degrees (below 5: as at 5) and percentages broadcast together."""

    request: PathRequest
    #: above sea level, P.839-4
    rain_height_km: float
    #: [WIDTH], see `attenuation_table`
    table: Floats

    def attenuation(self, elevation_deg: ArrayLike, percent: ArrayLike) -> Attenuation:
        """Components exceeded for a percentage of time, 0.001 to 50, or 0 for a clear sky.

        Raises `WorldError` for elevations beyond 90 degrees, other percentages, and shapes that do not fit.
        """
        given = _checked("elevation_deg", elevation_deg, -90.0, 90.0), _checked_percent(percent)
        try:
            elevation, share = np.broadcast_arrays(*given)
        except ValueError:
            shapes = f"elevation_deg and percent have the shapes {given[0].shape} and {given[1].shape}"
            raise WorldError(f"{shapes}, which must broadcast together") from None
        found = np.empty((4, elevation.size))
        attenuation_table.look_up_components(self.table, elevation.flatten(), share.flatten(), found)
        return Attenuation(*(component.reshape(elevation.shape) for component in found))

    def gas_db(self, elevation_deg: ArrayLike, percent: ArrayLike = MOST_PERCENT) -> Floats:
        """Attenuation by gases in dB; the median, which a clear sky has, unless told otherwise."""
        return self.attenuation(elevation_deg, percent).gas_db

    def excess_db(self, elevation_deg: ArrayLike, percent: ArrayLike) -> Floats:
        """Attenuation by rain, cloud and scintillation in dB."""
        return self.attenuation(elevation_deg, percent).excess_db

    def total_db(self, elevation_deg: ArrayLike, percent: ArrayLike) -> Floats:
        """Attenuation by everything in dB."""
        return self.attenuation(elevation_deg, percent).total_db


def attenuation(
    place: Place,
    frequency_ghz: float,
    elevation_deg: ArrayLike,
    percent: ArrayLike = 0.01,
    *,
    polarization_deg: float = 45.0,
    diameter_m: float = 0.0,
    revision: int = 14,
) -> Attenuation:
    """Attenuation in dB between a place and a satellite, exceeded for a percentage of the year.

    Elevations in degrees and percentages (0.001 to 50, 0: clear sky) broadcast together and give the shape
    of the result. Further arguments as in `PathRequest`. Raises `WorldError` for what the models do not
    cover, `MissingPackageError` without itur. ITU-R P.618, P.676, P.840, P.837, P.838, P.839.
    """
    request = PathRequest(place, frequency_ghz, polarization_deg, diameter_m, revision)
    return slant_path(request).attenuation(elevation_deg, percent)


def slant_path(request: PathRequest) -> SlantPath:
    """The path of one request; see `slant_paths`."""
    return slant_paths((request,))[0]


def slant_paths(
    requests: Sequence[PathRequest], on_progress: Callable[[str], None] | None = None
) -> list[SlantPath]:
    """The paths of all requests, in their order.

    `on_progress` gets one sentence before paths are computed that are not on disk yet, which takes some
    seconds at first. Raises `WorldError` for what the models do not cover, `MissingPackageError` when
    paths must be computed and itur is not there.
    """
    keys = [_key(request) for request in requests]
    missing: dict[str, PathRequest] = {}
    for key, request in zip(keys, requests, strict=True):
        if key not in _held:
            kept = attenuation_cache.load(key, 1 + WIDTH)
            if kept is None:
                missing[key] = request
            else:
                _hold(key, kept)
    if missing:
        if on_progress is not None:
            places = len({_where(request.place) for request in missing.values()})
            on_progress(f"looking up the atmosphere in the ITU-R maps (places: {places}), kept for next time")
        found = dict(zip(missing, _computed(list(missing.values())), strict=True))
        attenuation_cache.save(found)
        for key, numbers in found.items():
            _hold(key, numbers)
    paths = [
        SlantPath(request, float(_held[key][0]), _held[key][1:])
        for key, request in zip(keys, requests, strict=True)
    ]
    while len(_held) > _HELD:
        del _held[next(iter(_held))]
    return paths


def stacked(paths: Sequence[SlantPath]) -> Floats:
    """The tables [k, WIDTH] of these paths, as `attenuation_table.look_up` takes them."""
    return np.array([path.table for path in paths], dtype=float).reshape(len(paths), WIDTH)


def rain_height_km(place: Place) -> float:
    """Mean rain height over a place above sea level in km, ITU-R P.839-4; kept like the tables."""
    _check_coordinates(place)
    latitude, longitude, _ = _where(place)
    key = f"rain height {latitude} {longitude}"
    if key not in _held:
        kept = attenuation_cache.load(key, 1)
        if kept is None:
            kept = np.array([itur_calls.rain_height_km(latitude, longitude)])
            attenuation_cache.save({key: kept})
        _hold(key, kept)
    return float(_held[key][0])


_held: dict[str, Floats] = {}


def _hold(key: str, numbers: Floats) -> None:
    numbers.flags.writeable = False
    _held[key] = numbers


def _where(place: Place) -> tuple[float, float, float]:
    """Rounded to some ten metres, and to 10 cm of height; `+ 0.0` turns -0.0 into 0.0."""
    return (
        round(place.latitude_deg, 4) + 0.0,
        round(place.longitude_deg, 4) + 0.0,
        round(place.altitude_m / 1e3, 4) + 0.0,
    )


def _how(request: PathRequest) -> tuple[float, float, float]:
    """Frequency in GHz that the models are asked for, polarisation in degrees, diameter in m, rounded."""
    return (
        round(max(request.frequency_ghz, _LEAST_MODEL_GHZ), 4),
        round(request.polarization_deg, 2) + 0.0,
        round(request.diameter_m, 3),
    )


def _key(request: PathRequest) -> str:
    """What the path is, rounded; raises `WorldError` for what the models do not cover."""
    place = request.place
    _check_coordinates(place)
    if not 0.0 < request.frequency_ghz <= MOST_FREQUENCY_GHZ:
        raise WorldError(
            f"frequency_ghz is {request.frequency_ghz}, allowed with weather: above 0 to "
            f"{MOST_FREQUENCY_GHZ:g} (ITU-R P.840)"
        )
    _checked("polarization_deg", request.polarization_deg, -180.0, 180.0)
    if not 0.0 <= request.diameter_m < math.inf:
        raise WorldError(f"diameter_m is {request.diameter_m}, allowed: 0 and above")
    if request.revision not in _COMBINATION:
        raise WorldError(f"revision is {request.revision}, allowed: 13 and 14 (of ITU-R P.618)")
    return " ".join(str(number) for number in (*_where(place), *_how(request), request.revision))


def _check_coordinates(place: Place) -> None:
    _checked(f"latitude_deg of {place.id!r}", place.latitude_deg, -90.0, 90.0)
    _checked(f"longitude_deg of {place.id!r}", place.longitude_deg, -180.0, 360.0)
    if not LOWEST_ALTITUDE_M <= place.altitude_m < math.inf:
        raise WorldError(
            f"altitude_m of {place.id!r} is {place.altitude_m}, allowed: {LOWEST_ALTITUDE_M:g} and above"
        )


def _checked(name: str, values: ArrayLike, least: float, most: float) -> Floats:
    array = np.asarray(values, dtype=float)
    wrong = ~((array >= least) & (array <= most))
    if wrong.any():
        raise WorldError(f"{name} is {array[wrong].flat[0]:g}, allowed: {least:g} to {most:g}")
    return array


def _checked_percent(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=float)
    wrong = ~((array == 0.0) | ((array >= LEAST_PERCENT) & (array <= MOST_PERCENT)))
    if wrong.any():
        raise WorldError(
            f"percent is {array[wrong].flat[0]:g}, allowed: {LEAST_PERCENT:g} to {MOST_PERCENT:g} of the "
            "time, or 0 for a clear sky"
        )
    return array


def _computed(requests: list[PathRequest]) -> list[Floats]:
    """Rain height and table [1 + WIDTH] of each request; the maps are asked once for all places."""
    places = list(dict.fromkeys(_where(request.place) for request in requests))
    latitude, longitude, height_km = np.array(places, dtype=float).T
    climate = itur_calls.climate(latitude, longitude, height_km, tuple(float(p) for p in PERCENT_KNOTS))
    return [_numbers(climate, places.index(_where(request.place)), request) for request in requests]


def _numbers(climate: itur_calls.Climate, place: int, request: PathRequest) -> Floats:
    frequency, polarization, diameter = _how(request)
    rain_height = float(climate.rain_height_km[place])
    gas = itur_calls.zenith_gas_db(climate, place, frequency)
    cloud = rain = sigma = None
    if climate.height_km[place] < rain_height:
        cloud = itur_calls.zenith_cloud_db(climate, place, frequency)
        rain = itur_calls.rain_db(climate, place, frequency, ELEVATION_KNOTS_DEG, polarization)
        sigma = itur_calls.scintillation_sigma_db(climate, place, frequency, ELEVATION_KNOTS_DEG, diameter)
    row = attenuation_table.table(
        float(climate.latitude_deg[place]),
        *_COMBINATION[request.revision],
        np.zeros(len(ELEVATION_KNOTS_DEG)) if rain is None else rain,
        np.zeros(len(ELEVATION_KNOTS_DEG)) if sigma is None else sigma,
        gas,
        np.zeros(len(PERCENT_KNOTS)) if cloud is None else cloud,
    )
    if not np.isfinite(row).all():
        raise WorldError(
            f"the ITU-R models give no value for {request.place.id!r} at {request.frequency_ghz} GHz; "
            "check the coordinates of the place"
        )
    return np.concatenate(([rain_height], row))
