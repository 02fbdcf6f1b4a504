"""What a user of the library writes: satellites and their passes, a budget over a pass, a world of links."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import emulator
from emulator import (
    Constellation,
    Place,
    Site,
    World,
    WorldError,
    WorldSpec,
    doppler_hz,
    link_budget,
    radio_preset,
)
from emulator.spec import CircularShell, ConstellationSpec

START = "2025-10-01T12:00:00Z"
MUNICH = Site(48.1, 11.6, 520.0, min_elevation_deg=25.0)
STATION = """STATION
1 25544U 98067A   25274.50000000  .00016717  00000-0  10270-3 0  9002
2 25544  51.6416 247.4627 0006703 130.5360 325.0288 15.49560532    10
"""
a_decibel = 1.0


@pytest.fixture(scope="module")
def sky() -> Constellation:
    return Constellation.walker(600.0, 53.0, 396, 36, 11, start_utc=START)


def test_a_file_of_elements_tells_where_its_satellites_are(tmp_path: Path) -> None:
    path = tmp_path / "stations.tle"
    path.write_text(STATION)
    stations = Constellation.from_file(path)
    assert (stations.start_utc, stations.names) == (START, ("STATION",))
    latitude_deg, longitude_deg, altitude_m = stations.geodetic(np.arange(0.0, 5400.0, 60.0))
    assert latitude_deg.shape == longitude_deg.shape == (90, 1)
    assert np.abs(latitude_deg).max() == pytest.approx(51.8, abs=0.2)
    assert 400e3 < altitude_m.min() < altitude_m.max() < 450e3


def test_a_table_of_passes_reads_line_by_line(sky: Constellation) -> None:
    lines = [
        f"{sky.names[row['satellite']]}  {row['start_s']:7.1f} s to {row['end_s']:7.1f} s, "
        f"up to {row['max_elevation_deg']:4.1f} deg"
        for row in sky.passes(MUNICH, 0.0, 3600.0)
    ]
    assert len(lines) > 20
    assert lines[0].startswith("sat-")


def test_a_preset_s_budget_follows_a_pass(sky: Constellation) -> None:
    passes = sky.passes(MUNICH, 0.0, 3600.0)
    high = passes[~passes["begun_before"] & ~passes["ends_after"]]
    best = high[np.argmax(high["max_elevation_deg"])]
    times_s = np.linspace(best["start_s"] + 1e-3, best["end_s"] - 1e-3, 9)
    seen = sky.follow(MUNICH, best["satellite"], times_s)

    radio = radio_preset("tr38821-set1-leo600-ka-vsat")
    budget = link_budget(radio, seen["slant_range_m"], seen["elevation_deg"], down=True, place=MUNICH)
    doppler = doppler_hz(seen["range_rate_m_s"], radio.down_frequency_ghz * 1e9)

    # nearest in the middle: strongest there, and the Doppler shift changes its sign
    assert budget.snr_db.argmax() == seen["slant_range_m"].argmin() == 4
    assert np.all(budget.rate_bps > 0.0)
    assert {budget.labels[index] for index in budget.modcod}
    assert doppler[0] > 0.0 > doppler[-1]
    # what distance alone makes; the rest is air
    spreading_db = 20.0 * np.log10(seen["slant_range_m"][0] / seen["slant_range_m"][4])
    assert budget.snr_db[4] - budget.snr_db[0] >= spreading_db - a_decibel


def test_a_world_of_two_places_lists_its_links() -> None:
    radio = radio_preset("tr38821-set1-leo600-ka-vsat")
    world = World(
        WorldSpec(
            start_utc=START,
            duration_s=60.0,
            epoch_s=1.0,
            places=(
                Place("munich", "ground", 48.1, 11.6, 520.0, radio=radio.name, access="terminal"),
                Place("aflenz", "ground", 47.5, 15.2, 800.0, radio=radio.name, access="gateway"),
            ),
            constellation=ConstellationSpec(shells=(CircularShell(600.0, 53.0, 1584, 72, 17),)),
            radios=(radio,),
        )
    )
    table = world.epoch(30.0)
    lines = [
        f"{world.places[table.src[row]]} -> {world.places[table.dst[row]]}: "
        f"{table.rate_bps[row] / 1e6:.1f} Mbit/s, {table.delay_ns[row] / 1e6:.2f} ms"
        for row in range(len(table))
    ]
    serving = table.serving["munich"]
    assert any(line.startswith(f"munich -> {serving}: ") for line in lines)
    assert any(line.startswith(f"{serving} -> aflenz: ") for line in lines)
    assert np.all(table.rate_bps[table.up] > 0.0)


def test_every_public_name_is_there_to_be_listed_and_taken() -> None:
    assert set(emulator.__all__) <= set(dir(emulator))
    assert all(getattr(emulator, name).__name__ == name for name in emulator.__all__)


def test_a_mistake_is_one_sentence() -> None:
    with pytest.raises(WorldError) as caught:
        Constellation.from_text(STATION.replace("51.6416", "51.6417"))
    assert str(caught.value) == "line 3: checksum is 0, should be 1"
