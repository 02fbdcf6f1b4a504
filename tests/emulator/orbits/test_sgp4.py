"""SGP4 for whole constellations: the published verification states, and the sgp4 package beyond them."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sgp4
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sgp4.api import SGP4_ERRORS, WGS72, WGS84, Satrec, SatrecArray

from emulator.errors import WorldError
from emulator.orbits.elements import parse_elements
from emulator.orbits.sgp4 import FAULTS, Propagator
from emulator.orbits.sgp4_terms import ELEMENTS, LANES, elements_of
from tests.emulator.worlds import shared, starlink_text

one_millimetre_m = 1e-3
#: a millimetre after a minute's motion
velocity_tolerance_m_s = 1e-3 / 60.0

#: days from 1949 December 31 to some day of 2025
EPOCH_DAY = 27_668.25
TURN = 2.0 * math.pi


def record(
    per_day: float = 15.0,
    eccentricity: float = 0.001,
    inclination: float = 0.9,
    *,
    bstar: float = 1e-4,
    node: float = 1.0,
    argument: float = 2.0,
    anomaly: float = 3.0,
    epoch: float = EPOCH_DAY,
    constants: int = WGS72,
    mode: str = "i",
) -> Any:
    """An sgp4 record; angles in rad."""
    made, motion = Satrec(), per_day * TURN / 1440.0
    made.sgp4init(
        constants, mode, 5, epoch, bstar, 0.0, 0.0, eccentricity, argument, inclination, anomaly, motion, node
    )
    return made


GEOSTATIONARY = {"per_day": 1.0027, "eccentricity": 0.0003, "inclination": 0.001}
MOLNIYA = {"per_day": 2.006, "eccentricity": 0.72, "inclination": 1.1}


def assert_as_the_package(satellites: list[Any], days: Any) -> None:
    """Positions, velocities and codes `days` after each satellite's epoch."""
    days = np.asarray(days, float)
    for satellite in satellites:
        day, fraction = np.full(len(days), satellite.jdsatepoch), satellite.jdsatepochF + days
        code, r_km, v_km_s = SatrecArray([satellite]).sgp4(day, fraction)
        fault, position, velocity = Propagator([satellite]).states(day, fraction)
        assert np.array_equal(fault, code)
        good = code == 0
        assert np.abs(position - r_km * 1e3)[good].max(initial=0.0) <= one_millimetre_m
        assert np.abs(velocity - v_km_s * 1e3)[good].max(initial=0.0) <= velocity_tolerance_m_s


def verification(source: str) -> tuple[dict[int, Any], str]:
    """Published verification orbits by number, also one whose checksum is wrong, and their states.

    "package": all 33, as the sgp4 package carries them; "data": those of the measured data.
    """
    if source == "package":
        folder = Path(sgp4.__file__).parent
        elements, states = folder / "SGP4-VER.TLE", folder / "tcppver.out"
    else:
        elements = shared("sgp4_verification/SGP4-VER_subset.TLE")
        states = shared("sgp4_verification/tcppver_subset.out")
    lines = [line for line in elements.read_text().splitlines() if line[:2] in ("1 ", "2 ")]
    pairs = zip(lines[::2], lines[1::2], strict=True)
    records = {int(two[2:7]): Satrec.twoline2rv(one[:69], two[:69]) for one, two in pairs}
    return records, states.read_text()


@pytest.mark.parametrize(("source", "least"), [("package", 640), ("data", 300)])
def test_every_published_verification_state_is_met_within_a_millimetre_with_the_same_code(
    source: str, least: int
) -> None:
    records, states = verification(source)
    propagators = {number: Propagator([made]) for number, made in records.items()}
    compared, number = 0, 0
    for line in states.splitlines():
        fields = line.split()
        if len(fields) == 2:
            number = int(fields[0])
            continue
        minutes, *expected_km = (float(field) for field in fields[:4])
        made = records[number]
        fault, position, _ = propagators[number].states(made.jdsatepoch, made.jdsatepochF + minutes / 1440.0)
        code, _, _ = made.sgp4_tsince(minutes)
        assert fault[0, 0] == code, (number, minutes)
        if code != 0:
            continue
        assert math.dist(position[0, 0], np.array(expected_km) * 1e3) <= one_millimetre_m, (number, minutes)
        compared += 1
    assert compared >= least


def test_verification_orbits_end_with_the_codes_of_the_package() -> None:
    codes = set()
    for number, made in verification("package")[0].items():
        span = 1000.0 if number == 20413 else 30.0
        days = np.linspace(-span, span, 241)
        day, fraction = np.full(len(days), made.jdsatepoch), made.jdsatepochF + days
        expected, _, _ = SatrecArray([made]).sgp4(day, fraction)
        fault, _, _ = Propagator([made]).states(day, fraction)
        assert np.array_equal(fault, expected), number
        codes |= set(fault.ravel().tolist())
    assert codes >= {0, 1, 3, 6}


def test_every_satellite_of_a_real_file_is_where_the_package_puts_it() -> None:
    records = [made for _, made in parse_elements(starlink_text())]
    day, fraction = np.full(9, records[0].jdsatepoch), np.linspace(0.0, 4.0, 9)
    code, r_km, v_km_s = SatrecArray(records).sgp4(day, fraction)
    fault, position, velocity = Propagator(records).states(day, fraction)
    assert np.array_equal(fault, code)
    good = code == 0
    assert np.abs(position - r_km * 1e3)[good].max() <= one_millimetre_m
    assert np.abs(velocity - v_km_s * 1e3)[good].max() <= velocity_tolerance_m_s


angles = st.floats(0.0, TURN)


@settings(max_examples=150, deadline=None)
@given(
    perigee_km=st.floats(120.0, 3000.0),
    eccentricity=st.floats(0.0, 0.4),
    inclination=st.floats(0.0, math.pi),
    bstar=st.floats(-1e-4, 1e-3),
    node=angles,
    argument=angles,
    anomaly=angles,
)
def test_near_the_earth_any_orbit_above_the_ground_agrees_with_the_package(
    perigee_km: float, eccentricity: float, inclination: float, **more: float
) -> None:
    semi_major_km = (6378.135 + perigee_km) / (1.0 - eccentricity)
    per_day = 86400.0 / TURN * math.sqrt(398600.8 / semi_major_km**3)
    assume(per_day > 6.45)
    made = record(per_day, eccentricity, inclination, **more)  # type: ignore[arg-type]
    assert_as_the_package([made], [-3.0, 0.0, 0.01, 0.77, 7.0])


@settings(max_examples=150, deadline=None)
@given(
    per_day=st.one_of(st.floats(0.1, 6.3), st.floats(0.99, 1.01), st.floats(1.9, 2.1)),
    share=st.floats(0.0, 1.0),
    inclination=st.one_of(
        st.floats(0.0, math.pi, allow_subnormal=False), st.floats(0.0, 0.25, allow_subnormal=False)
    ),
    node=angles,
    argument=angles,
    anomaly=angles,
)
def test_in_deep_space_any_orbit_above_the_ground_agrees_with_the_package(
    per_day: float, share: float, inclination: float, **more: float
) -> None:
    semi_major_km = (398600.8 * (86400.0 / (TURN * per_day)) ** 2) ** (1.0 / 3.0)
    eccentricity = share * max(0.0, 1.0 - 6700.0 / semi_major_km)
    made = record(per_day, eccentricity, inclination, **more)  # type: ignore[arg-type]
    assert_as_the_package([made], [-30.0, -0.4, 0.0, 0.3, 2.2, 30.0])


@pytest.mark.parametrize("orbit", [GEOSTATIONARY, MOLNIYA])
def test_resonant_orbits_need_no_order_of_calls(orbit: dict[str, float]) -> None:
    made = record(**orbit)  # type: ignore[arg-type]
    propagator = Propagator([made])
    days = np.array([40.0, -3.0, 0.0, 41.0, 7.5, -60.0])
    day = np.full(len(days), made.jdsatepoch)
    together = propagator.states(day, made.jdsatepochF + days)[1][0]
    for k in (5, 2, 0, 3, 1, 4):
        alone = propagator.states(made.jdsatepoch, made.jdsatepochF + days[k])[1][0, 0]
        assert np.array_equal(alone, together[k])


def test_near_and_deep_satellites_keep_their_order_over_several_blocks() -> None:
    orbits = ({}, GEOSTATIONARY, MOLNIYA)
    satellites = [record(anomaly=0.01 * k, **orbits[k % 3]) for k in range(3 * LANES + 5)]  # type: ignore[arg-type]
    made = satellites[0]
    _, expected_km, _ = SatrecArray(satellites).sgp4(*(np.array([p]) for p in made_at(made, 0.6)))
    propagator = Propagator(satellites)
    _, position, _ = propagator.states(*made_at(made, 0.6))
    assert np.abs(position - expected_km * 1e3).max() <= one_millimetre_m
    fault, at_once = propagator.positions(*made_at(made, 0.6))
    assert np.array_equal(at_once.T, position[:, 0])
    assert not fault.any()
    assert np.array_equal(propagator.is_deep, [k % 3 > 0 for k in range(len(satellites))])


def made_at(made: Any, days: float) -> tuple[float, float]:
    return made.jdsatepoch, made.jdsatepochF + days


def test_a_decayed_satellite_keeps_its_state_but_has_no_position_among_others() -> None:
    sinking, fine = record(15.1, 0.02, bstar=0.01), record()
    days = np.arange(90.0, 150.0)
    codes = np.array([sinking.sgp4(*made_at(sinking, float(d)))[0] for d in days])
    decayed = float(days[codes == 6][0])
    propagator = Propagator([fine, sinking])
    fault, position, _ = propagator.states(*made_at(sinking, decayed))
    assert fault[:, 0].tolist() == [0, 6]
    assert np.isfinite(position).all()
    fault, at_once = propagator.positions(*made_at(sinking, decayed))
    assert fault.tolist() == [0, 6]
    assert np.isnan(at_once[:, 1]).all()
    assert np.isfinite(at_once[:, 0]).all()


def test_every_code_of_the_package_has_a_text() -> None:
    assert set(FAULTS) == {0} | set(SGP4_ERRORS)


def test_no_satellites_have_no_states() -> None:
    fault, position, velocity = Propagator([]).states([2460949.5, 2460950.5], [0.0, 0.0])
    assert (fault.shape, position.shape, velocity.shape) == ((0, 2), (0, 2, 3), (0, 2, 3))


def test_elements_without_a_record_are_taken_as_well() -> None:
    satellites = [record(), record(**MOLNIYA)]  # type: ignore[arg-type]
    day, fraction = made_at(satellites[0], 0.2)
    from_elements = Propagator(elements_of(satellites)).states(day, fraction)
    for one, other in zip(from_elements, Propagator(satellites).states(day, fraction), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("satellites", "sentence"),
    [
        ([record(constants=WGS84)], r"satellite 0 \(number 5\): its record has mu 398600 km3/s2"),
        ([record(), record(mode="a")], r"satellite 1 \(number 5\): .* mode 'a', allowed: 398601 .* 'i'"),
        (np.zeros(2, ELEMENTS), "satellite 0: mean_motion is 0, allowed: above 0 rad/min"),
    ],
)
def test_what_cannot_be_propagated_is_refused_in_a_sentence(satellites: Any, sentence: str) -> None:
    with pytest.raises(WorldError, match=sentence):
        Propagator(satellites)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("eccentricity", 1.0, "satellite 0: eccentricity is 1, allowed: 0 to below 1"),
        ("eccentricity", -0.1, "satellite 0: eccentricity is -0.1, allowed: 0 to below 1"),
        ("node", math.nan, "satellite 0: node is nan, should be a finite number"),
        (
            "epoch_day",
            1e12,
            r"satellite 0: epoch_day is 1e\+12, allowed: Julian days from 1680000 to 5410000",
        ),
    ],
)
def test_elements_of_no_orbit_are_refused_by_name(name: str, value: float, sentence: str) -> None:
    elements = elements_of([record()])
    elements[name] = value
    with pytest.raises(WorldError, match=sentence):
        Propagator(elements)


def test_dates_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(WorldError, match=r"Julian days of shape \(2,\) and fractions of shape \(1,\)"):
        Propagator([record()]).states([2460949.5, 2460950.5], [0.0])


@pytest.mark.parametrize("julian_day", [math.nan, math.inf, -1e15, 1e15])
def test_a_date_that_no_integration_would_reach_is_refused(julian_day: float) -> None:
    of_deep_space = Propagator([record(1.0027)])
    with pytest.raises(WorldError, match=r"Julian date is .*, allowed: 1680000 to 5410000"):
        of_deep_space.states([julian_day], [0.0])
    with pytest.raises(WorldError, match=r"Julian date is .*, allowed: 1680000 to 5410000"):
        of_deep_space.positions(julian_day, 0.0)


def test_kernels_give_the_same_uncompiled() -> None:
    program = (
        "import json\n"
        "from tests.emulator.orbits.test_sgp4 import GEOSTATIONARY, MOLNIYA, made_at, record, Propagator\n"
        "all = [record(), record(**GEOSTATIONARY), record(**MOLNIYA)]\n"
        "print(json.dumps(Propagator(all).states(*made_at(all[0], 2.6))[1].tolist()))\n"
    )
    found = []
    for disabled in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled, "PYTHONPATH": os.getcwd()}
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
        )
        found.append(np.array(json.loads(done.stdout)))
    assert np.abs(found[0] - found[1]).max() <= one_millimetre_m
