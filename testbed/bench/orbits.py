"""How fast and how right satellites are placed: SGP4 against the sgp4 package's C++, and interpolation.

10,000 satellites at 100 instants: circular shells, eccentric orbits with drag, and deep space. Both sides of
`sgp4_vs_cpp` compute code, position and velocity (TEME) of every satellite at every instant, on one core.
Interpolation is what an epoch of a run costs: Earth-fixed positions every 0.1 s, the knots that fall due
included; the C++ beside it computes TEME states at the same instants. Times are medians, and ratios medians
of pairs, of runs in turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sgp4.api import WGS72, Satrec, SatrecArray

from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.frames import RunClock
from emulator.orbits.sgp4 import Propagator
from emulator.units import SECONDS_PER_DAY
from testbed.bench import Figures

START_UTC: Final = "2025-10-01T12:00:00Z"
INSTANTS: Final = 100
ROUNDS: Final = 7
EPOCH_S: Final = 0.1

#: height km, inclination deg, planes, satellites a plane
SHELLS: Final = (
    (340.0, 53.0, 40, 50),
    (550.0, 53.0, 72, 50),
    (570.0, 70.0, 36, 50),
    (1200.0, 87.9, 18, 36),
    (1325.0, 45.0, 38, 29),
)
ECCENTRIC: Final = 650
#: revolutions a day, eccentricity, inclination deg, how many: navigation, geostationary, Molniya, transfer
DEEP_SPACE: Final = (
    (2.0056, 0.01, 55.0, 60),
    (1.0027, 0.0003, 0.05, 60),
    (2.0060, 0.72, 63.4, 40),
    (2.2600, 0.73, 7.0, 40),
)
#: WGS-72
_MU_KM3_S2, _RADIUS_KM = 398600.8, 6378.135
_SGP4_ZERO_DAY = 2433281.5

#: of how many satellites, and when after the start, the Earth-fixed position is compared with Skyfield's
_SKYFIELD_SATELLITES = 100
_SKYFIELD_S = (17.3, 4321.0, 86_400.0)
_CHECKED_S = (0.05, 3.3, 5.0, 9.99, 777.7, 3601.2, 20_004.4, 86_405.0, -4_321.0, 61.5)

LIMITS: Final = {
    "sgp4_vs_cpp": 3.0,
    "sgp4_max_error_mm": 1.0,
    "sgp4_codes_different": 0.0,
    "interpolation_vs_sgp4": 30.0,
    "interpolation_max_error_m": 0.01,
    "earth_fixed_max_error_m": 20.0,
}


def satellites(clock: RunClock) -> list[Any]:
    """10,000 records with the start as epoch, the same at every call."""
    random = np.random.default_rng(1)
    made: list[Any] = []

    def add(per_day: float, e: float, inclination_deg: float, bstar: float, angles: Any) -> None:
        record = Satrec()
        epoch = clock.julian_day - _SGP4_ZERO_DAY + clock.day_fraction
        argument, anomaly, node = (float(angle) for angle in angles)
        motion = per_day * 2.0 * np.pi / 1440.0
        inclination = np.radians(inclination_deg)
        number = 70_001 + len(made)
        record.sgp4init(
            WGS72, "i", number, epoch, bstar, 0.0, 0.0, e, argument, inclination, anomaly, motion, node
        )
        made.append(record)

    for height_km, inclination_deg, planes, slots in SHELLS:
        per_day = SECONDS_PER_DAY / (2.0 * np.pi) * np.sqrt(_MU_KM3_S2 / (_RADIUS_KM + height_km) ** 3)
        for plane in range(planes):
            for slot in range(slots):
                anomaly = 2.0 * np.pi * (slot + plane / planes) / slots
                node = 2.0 * np.pi * plane / planes
                add(per_day, 1e-4, inclination_deg, 1e-4, (random.uniform(0.0, 6.28), anomaly, node))
    for _ in range(ECCENTRIC):
        perigee_km, e = random.uniform(300.0, 1500.0), random.uniform(0.001, 0.25)
        semi_major_km = (_RADIUS_KM + perigee_km) / (1.0 - e)
        per_day = SECONDS_PER_DAY / (2.0 * np.pi) * np.sqrt(_MU_KM3_S2 / semi_major_km**3)
        add(per_day, e, random.uniform(1.0, 120.0), random.uniform(0.0, 1e-3), random.uniform(0.0, 6.28, 3))
    for per_day, e, inclination_deg, count in DEEP_SPACE:
        for _ in range(count):
            near = per_day * random.uniform(0.999, 1.001)
            add(near, e, inclination_deg, 0.0, random.uniform(0.0, 6.28, 3))
    return made


def run() -> Figures:
    """Measure; takes some ten seconds, and as long again when the kernels are not compiled yet."""
    clock = RunClock(START_UTC)
    records = satellites(clock)
    _say(f"{len(records)} satellites, {INSTANTS} instants, {ROUNDS} rounds")
    Propagator(records[:1])  # compiles
    begun_s = time.perf_counter()
    propagator = Propagator(records)
    figures = {"initialisation_ms": (time.perf_counter() - begun_s) * 1e3}
    reference = SatrecArray(records)
    day = np.full(INSTANTS, clock.julian_day)

    over_a_day = clock.day_fraction + np.linspace(0.0, 1.0, INSTANTS)
    figures |= _errors(propagator.states(day, over_a_day), reference.sgp4(day, over_a_day))
    _say("SGP4: error known, timing")
    ours, theirs = _in_turns(
        lambda _: propagator.states(day, over_a_day), lambda _: reference.sgp4(day, over_a_day)
    )
    states = len(records) * INSTANTS
    figures["sgp4_ns_per_state"] = float(np.median(ours)) / states * 1e9
    figures["sgp4_cpp_ns_per_state"] = float(np.median(theirs)) / states * 1e9
    ratios = {"sgp4_vs_cpp": float(np.median(theirs / ours))}

    ephemeris = Ephemeris(records, clock)
    figures["interpolation_max_error_m"] = _interpolation_error_m(ephemeris, reference, clock)
    figures["earth_fixed_max_error_m"] = _skyfield_error_m(ephemeris, records)
    _say("interpolation: errors known, timing")

    def times_s(turn: int) -> NDArray[np.float64]:
        return 1000.0 + (turn * INSTANTS + np.arange(INSTANTS, dtype=np.float64)) * EPOCH_S

    def interpolate(turn: int) -> None:
        for t_s in times_s(turn):
            ephemeris.positions(float(t_s))

    def fractions(turn: int) -> NDArray[np.float64]:
        return clock.day_fraction + times_s(turn) / SECONDS_PER_DAY

    def own(turn: int) -> None:
        for fraction in fractions(turn):
            propagator.positions(clock.julian_day, float(fraction))

    interpolate(-1)
    between, theirs, kernel = _in_turns(interpolate, lambda turn: reference.sgp4(day, fractions(turn)), own)
    figures["interpolation_ns_per_position"] = float(np.median(between)) / states * 1e9
    figures["sgp4_position_ns"] = float(np.median(kernel)) / states * 1e9
    ratios["interpolation_vs_sgp4"] = float(np.median(theirs / between))
    ratios["interpolation_vs_own_sgp4"] = float(np.median(kernel / between))
    return Figures(
        "orbits",
        figures,
        LIMITS,
        ratios,
        at_least=frozenset({"sgp4_vs_cpp", "interpolation_vs_sgp4"}),
    )


def _say(what: str) -> None:
    print(f"  {what} ...", flush=True)


def _in_turns(*works: Callable[[int], object]) -> NDArray[np.float64]:
    """Seconds [work, round] of each, one after the other in every round."""
    taken = np.empty((len(works), ROUNDS))
    for turn in range(ROUNDS):
        for k, work in enumerate(works):
            begun_s = time.perf_counter()
            work(turn)
            taken[k, turn] = time.perf_counter() - begun_s
    return taken


def _errors(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> dict[str, float]:
    (fault, position, velocity), (code, r_km, v_km_s) = ours, theirs
    good = code == 0
    return {
        "sgp4_max_error_mm": float(np.linalg.norm(position - r_km * 1e3, axis=-1)[good].max()) * 1e3,
        "sgp4_velocity_max_error_mm_s": float(np.linalg.norm(velocity - v_km_s * 1e3, axis=-1)[good].max())
        * 1e3,
        "sgp4_codes_different": float((fault != code).sum()),
    }


def _interpolation_error_m(ephemeris: Ephemeris, reference: SatrecArray, clock: RunClock) -> float:
    """From the package's SGP4 at the same instants, in TEME turned with the same sidereal time."""
    times = np.array(_CHECKED_S)
    dates = [clock.julian(float(t_s)) for t_s in times]
    code, r_km, _ = reference.sgp4(*(np.array(part) for part in zip(*dates, strict=True)))
    angle = np.asarray(clock.sidereal_rad(times))
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y, z = np.moveaxis(r_km * 1e3, -1, 0)
    turned = np.stack([cosine * x + sine * y, cosine * y - sine * x, z], axis=-1)
    error = np.linalg.norm(ephemeris.positions_at(times).swapaxes(0, 1) - turned, axis=-1)
    return float(error[code == 0].max())


def _skyfield_error_m(ephemeris: Ephemeris, records: list[Any]) -> float:
    from skyfield.api import EarthSatellite, load
    from skyfield.framelib import itrs

    scale = load.timescale(builtin=True)
    worst = 0.0
    chosen = np.linspace(0, len(records) - 1, _SKYFIELD_SATELLITES).astype(np.int32)
    for t_s in _SKYFIELD_S:
        moment = scale.utc(2025, 10, 1, 12, 0, t_s)
        for k, found in zip(chosen, ephemeris.positions(t_s, chosen), strict=True):
            expected = EarthSatellite.from_satrec(records[k], scale).at(moment).frame_xyz(itrs).m
            worst = max(worst, float(np.linalg.norm(found - expected)))
    return worst
