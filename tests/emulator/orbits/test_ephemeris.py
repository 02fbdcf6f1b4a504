"""Positions between knots, in the Earth-fixed frame: against SGP4 itself and against Skyfield."""

from __future__ import annotations

import numpy as np
import pytest
from skyfield.api import EarthSatellite, load
from skyfield.framelib import itrs

from emulator.errors import WorldError
from emulator.orbits.elements import parse_elements, usable
from emulator.orbits.ephemeris import KNOT_S, Ephemeris
from emulator.orbits.frames import RunClock, parse_utc
from emulator.orbits.shells import generate
from tests.emulator.worlds import REGION, SHELL, starlink_text, verification_text

one_centimetre = 0.01
twenty_metres = 20.0

INSTANTS_S = np.array([-4.0, 0.0, 0.1, 3.3, 5.0, 9.999, 10.0, 27.7, 61.2])


def _worst_m(ephemeris: Ephemeris, count: int) -> float:
    found = np.stack([ephemeris.positions(t) for t in INSTANTS_S])
    return max(
        float(np.linalg.norm(found[:, k] - ephemeris.exact(k, INSTANTS_S), axis=1).max())
        for k in range(count)
    )


def test_interpolation_meets_sgp4_within_a_centimetre_for_a_generated_shell() -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    satellites = [record for _, record in generate(SHELL, clock)[::97]]
    assert _worst_m(Ephemeris(satellites, clock), len(satellites)) < one_centimetre


def test_interpolation_meets_sgp4_within_a_centimetre_for_every_verification_orbit() -> None:
    # eccentric, geosynchronous, resonant and decaying orbits: each at its own epoch, which is where
    # several of them pass their perigee
    text = verification_text()
    compared = 0
    for _, record in parse_elements(text, "tle"):
        day = record.jdsatepoch + record.jdsatepochF - 2440587.5
        start = np.datetime64(round(day * 86400.0), "s")
        clock = RunClock(f"{start}+00:00")
        if record.sgp4(*clock.julian(0.0))[0] or record.sgp4(*clock.julian(90.0))[0]:
            continue
        compared += 1
        assert _worst_m(Ephemeris([record], clock), 1) < one_centimetre, record.satnum
    assert compared >= 14


def test_real_satellites_are_where_skyfield_puts_them() -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    elements = parse_elements(starlink_text())[::800]
    kept, _ = usable(elements, [clock.julian(0.0)])
    scale = load.timescale(builtin=True)
    moment = scale.utc(2025, 10, 1, 12, 0, 17.3)
    found = Ephemeris([record for _, record in kept], clock).positions(17.3)
    for k, (_, record) in enumerate(kept):
        expected = EarthSatellite.from_satrec(record, scale).at(moment).frame_xyz(itrs).m
        assert np.linalg.norm(found[k] - expected) < twenty_metres


def test_a_subset_is_a_part_of_the_whole() -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    ephemeris = Ephemeris([record for _, record in generate(SHELL, clock)], clock)
    wanted = np.array([3, 1000, 7], dtype=np.int32)
    assert np.array_equal(ephemeris.positions(12.3, wanted), ephemeris.positions(12.3)[wanted])


def test_positions_do_not_depend_on_what_was_asked_before() -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    records = [record for _, record in generate(REGION, clock)]
    used, fresh = Ephemeris(records, clock), Ephemeris(records, clock)
    for t_s in np.arange(0.0, 1000.0, KNOT_S / 2):
        used.positions(float(t_s))
        used.prepare(float(t_s))
    assert np.array_equal(used.positions(3.7), fresh.positions(3.7))


def test_a_satellite_ahead_of_its_elements_is_where_it_will_be() -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    records = [record for _, record in generate(REGION, clock)]
    ephemeris = Ephemeris(records, clock)
    shift = np.array([2.0, 0.0, 0.0, 0.0])
    moved = ephemeris.positions(20.0, shift_s=shift)
    still = ephemeris.positions(20.0)
    assert np.array_equal(moved[1:], still[1:])
    # two seconds of motion, less what the Earth turned in that time
    assert np.linalg.norm(moved[0] - still[0]) == pytest.approx(2e3 * ephemeris.speed_km_s(0), rel=1e-3)


def test_a_start_that_is_not_utc_is_refused() -> None:
    with pytest.raises(WorldError, match="needs a Z"):
        parse_utc("2025-10-01T12:00:00")
    with pytest.raises(WorldError, match="should be like"):
        parse_utc("noon")
