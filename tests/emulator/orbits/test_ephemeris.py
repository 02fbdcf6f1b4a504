"""Positions between knots, in the Earth-fixed frame: against SGP4 itself and against Skyfield."""

from __future__ import annotations

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from sgp4.api import WGS72
from skyfield.api import EarthSatellite, load
from skyfield.framelib import itrs

from emulator.errors import WorldError
from emulator.orbits.elements import parse_elements, usable
from emulator.orbits.ephemeris import KNOT_S, Ephemeris
from emulator.orbits.frames import RunClock, parse_utc
from emulator.orbits.shells import generate
from emulator.spec import CircularShell, ConstellationSpec
from tests.emulator.worlds import REGION, SHELL, starlink_text, verification_text

one_centimetre = 0.01
twenty_metres = 20.0
one_millimetre_per_s = 1e-3
sixty_megabytes = 60e6
#: SGP4's velocity is up to this from being the derivative of its position
sgp4_own_velocity_m_s = 0.5

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


def test_positions_at_many_instants_are_those_at_each_in_the_order_asked() -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    ephemeris = Ephemeris([record for _, record in generate(REGION, clock)], clock)
    times, wanted = [31.0, 4.0, 86_400.0, 4.0, -777.7], np.array([2, 0], dtype=np.int32)
    found = ephemeris.positions_at(times, wanted)
    assert found.shape == (5, 2, 3)
    for at, t_s in zip(found, times, strict=True):
        assert np.array_equal(at, ephemeris.positions(t_s, wanted))


def test_a_day_ahead_and_in_any_order_it_is_still_within_a_centimetre_of_sgp4() -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    satellites = [record for _, record in generate(SHELL, clock)[::200]]
    ephemeris = Ephemeris(satellites, clock)
    times = np.array([86_400.0, 1.0, 172_801.5, -86_403.3, 3600.0, 86_401.0])
    found = ephemeris.positions_at(times)
    for k in range(len(satellites)):
        assert np.linalg.norm(found[:, k] - ephemeris.exact(k, times), axis=1).max() < one_centimetre


def test_the_velocity_is_what_the_earth_fixed_position_changes_by() -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    ephemeris = Ephemeris([record for _, record in generate(SHELL, clock)[::97]], clock)
    step_s = 0.05
    for t_s in (0.0, 7.7, 9.999, 12_345.6):
        change = ephemeris.positions(t_s + step_s) - ephemeris.positions(t_s - step_s)
        assert np.abs(ephemeris.velocities(t_s) - change / (2.0 * step_s)).max() < one_millimetre_per_s


def test_the_velocity_of_real_satellites_is_that_of_skyfield() -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    kept, _ = usable(parse_elements(starlink_text())[::800], [clock.julian(0.0)])
    scale = load.timescale(builtin=True)
    moment = scale.utc(2025, 10, 1, 12, 0, 17.3)
    found = Ephemeris([record for _, record in kept], clock).velocities(17.3)
    for k, (_, record) in enumerate(kept):
        _, velocity = EarthSatellite.from_satrec(record, scale).at(moment).frame_xyz_and_velocity(itrs)
        assert np.linalg.norm(found[k] - velocity.km_per_s * 1e3) < sgp4_own_velocity_m_s


def test_a_subset_of_velocities_and_a_shift_go_the_same_way_as_positions() -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    ephemeris = Ephemeris([record for _, record in generate(REGION, clock)], clock)
    wanted = np.array([2, 1], dtype=np.int32)
    shift = np.array([0.0, 3.0, 0.0, 0.0])
    some = ephemeris.velocities(12.3, wanted, shift)
    assert np.array_equal(some, ephemeris.velocities(12.3, shift_s=shift)[wanted])
    assert np.array_equal(some[0], ephemeris.velocities(12.3)[2])
    step_s = 0.05
    ahead, behind = (ephemeris.positions(12.3 + dt, wanted, shift) for dt in (step_s, -step_s))
    assert np.abs(some - (ahead - behind) / (2.0 * step_s)).max() < one_millimetre_per_s


def test_what_is_kept_of_a_long_run_is_bounded() -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    ephemeris = Ephemeris([record for _, record in generate(SHELL, clock)], clock)
    tracemalloc.start()
    try:
        for t_s in np.arange(0.0, 3000.0, KNOT_S / 2):
            ephemeris.positions(float(t_s))
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes / len(ephemeris.all) * 42_000 < sixty_megabytes


def test_threads_that_ask_for_one_instant_share_its_knots(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    ephemeris = Ephemeris([record for _, record in generate(REGION, clock)], clock)
    together = threading.Barrier(8)
    propagated: list[float] = []
    propagate = ephemeris._propagator.positions

    def counted(julian_day: float, fraction: float) -> Any:
        propagated.append(fraction)
        return propagate(julian_day, fraction)

    def ask(_: int) -> np.ndarray:
        together.wait()
        return ephemeris.positions(77.0)

    monkeypatch.setattr(ephemeris._propagator, "positions", counted)
    with ThreadPoolExecutor(together.parties) as pool:
        first, *others = pool.map(ask, range(together.parties))
    # six knots around the instant, each once
    assert len(propagated) == len(set(propagated)) == 6
    assert all(np.array_equal(first, other) for other in others)


def test_a_satellite_that_sgp4_gives_up_on_has_no_position_and_the_others_have() -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    sinking, fine = (
        generate(ConstellationSpec(shells=(CircularShell(height, 53.0, 1, 1, 0),)), clock)[0][1]
        for height in (110.0, 550.0)
    )
    sinking.sgp4init(
        WGS72, "i", 5, sinking.jdsatepoch + sinking.jdsatepochF - 2433281.5, 0.01, 0.0, 0.0, 0.0,
        0.0, 0.9, 0.0, sinking.no_kozai, 0.0,
    )  # fmt: skip
    ephemeris = Ephemeris([sinking, fine], clock)
    late_s = 86_400.0
    assert sinking.sgp4(*clock.julian(late_s))[0] != 0
    found = ephemeris.positions(late_s)
    assert np.isnan(found[0]).all()
    assert np.isnan(ephemeris.exact(0, np.array([late_s]))).all()
    assert np.isfinite(found[1]).all()
    assert np.isfinite(ephemeris.positions(0.0)).all()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"t_s": float("nan")}, "run time is nan s, should be a number up to 3.15576e"),
        ({"t_s": -1e18}, "run time is -1e.18 s, should be a number up to 3.15576e"),
        ({"t_s": 0.0, "wanted": np.array([0, 4], np.int32)}, "satellite 4 is wanted, allowed: 0 to 3"),
        ({"t_s": 0.0, "wanted": np.array([-1], np.int32)}, "satellite -1 is wanted, allowed: 0 to 3"),
        ({"t_s": 0.0, "shift_s": np.zeros(3)}, "shift_s has 3 values, should have one for each of 4"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_a_sentence(arguments: dict[str, Any], sentence: str) -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    ephemeris = Ephemeris([record for _, record in generate(REGION, clock)], clock)
    for ask in (ephemeris.positions, ephemeris.velocities):
        with pytest.raises(WorldError, match=sentence):
            ask(**arguments)


def test_a_start_that_is_not_utc_is_refused() -> None:
    with pytest.raises(WorldError, match="needs a Z"):
        parse_utc("2025-10-01T12:00:00")
    with pytest.raises(WorldError, match="should be like"):
        parse_utc("noon")
