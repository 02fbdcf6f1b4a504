"""The columns of an epoch, against what numpy makes of the same figures."""

from __future__ import annotations

import numpy as np
import pytest

from emulator.radio.modcod import modcod_table
from emulator.table import FIXED, Adjustments
from emulator.units import SPEED_OF_LIGHT_M_S
from emulator.world import World
from tests.emulator.worlds import DRY, region_spec, row_of

# a nanosecond is rounded to
half_a_nanosecond = 0.5 + 1e-6
last_digits = 1e-12


def test_delay_is_processing_and_the_way_at_the_speed_of_light() -> None:
    world = World(region_spec())
    table = world.epoch(7.0)
    radio = table.kind != FIXED
    position = world.positions(7.0)
    way_m = np.linalg.norm(position[table.dst] - position[table.src], axis=1)
    expected_ns = DRY.processing_ms * 1e6 + way_m / SPEED_OF_LIGHT_M_S * 1e9
    assert table.delay_ns[radio] == pytest.approx(expected_ns[radio], abs=half_a_nanosecond)
    assert table.range_m[radio] == pytest.approx(way_m[radio], rel=last_digits)


def test_a_wire_has_its_given_delay_and_nothing_of_a_radio() -> None:
    world = World(region_spec())
    table = world.epoch(7.0)
    wire = row_of(world, table, "gate", "site")
    assert (table.delay_ns[wire], table.frame_error[wire], table.modcod[wire]) == (600_000, 0.0, -1)
    for name in ("snr_db", "attenuation_db", "range_m", "elevation_deg"):
        assert np.isnan(getattr(table, name)[wire])


def test_rate_and_error_are_those_of_the_modcod_at_the_snr() -> None:
    table = World(region_spec(), Adjustments(rate_factor={("north", "sat-1"): 0.5})).epoch(7.0)
    modcods = modcod_table(DRY.modcods)
    radio = np.flatnonzero(table.kind != FIXED)
    up = np.array([row % 2 == 0 for row in radio])
    bandwidth_hz = np.where(up, DRY.up_bandwidth_mhz, DRY.down_bandwidth_mhz) * 1e6
    slowed = table.rate_bps[radio] / (modcods.efficiency[table.modcod[radio]] * bandwidth_hz)
    assert set(np.round(slowed, 12).tolist()) <= {0.5, 1.0}
    expected = modcods.frame_error(table.snr_db[radio], table.modcod[radio])
    assert table.frame_error[radio] == pytest.approx(expected, rel=last_digits)


@pytest.mark.parametrize(
    "closed",
    [Adjustments(link_down={("gate", "site")}), Adjustments(rate_factor={("gate", "site"): 0.0})],
)
def test_no_way_leads_over_a_link_that_is_down_or_carries_nothing(closed: Adjustments) -> None:
    world = World(region_spec(), closed)
    table = world.epoch(0.0)
    row = row_of(world, table, "gate", "site")
    assert row not in table.next_hop
    assert row_of(world, table, "site", "gate") in table.next_hop
