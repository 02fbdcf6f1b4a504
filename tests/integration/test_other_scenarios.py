"""The starlink and iot-direct scenarios, run."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path

import pytest

from tests.integration import harness

ELEMENTS = Path(__file__).parents[3] / "shared/data/tle_starlink_daily/starlink_2025-10-01.tle.gz"


def handovers_s(ended: harness.Finished) -> list[float]:
    """Seconds of the emulated minute at which the terminal's satellite changed."""
    info = ended.run.run_info()
    start = datetime.datetime.fromisoformat(info["start_utc"]).timestamp()
    serving: dict[int, str] = {}
    for record in ended.records("plant_link"):
        if record.tags["kind"] == "access" and record.tags["from"] == "louvain-la-neuve":
            serving[record.t_ns] = record.tags["to"]
    times = sorted(serving)
    return [
        (start + (after - info["t0_ns"]) / 1e9) % 60
        for before, after in itertools.pairwise(times)
        if serving[before] != serving[after]
    ]


def test_starlink_on_real_elements_hands_over_on_the_grid_only(tmp_path: Path) -> None:
    if not ELEMENTS.exists():
        pytest.skip("the measured data set tle_starlink_daily is not beside this checkout")
    ended = harness.run_in_time(
        tmp_path, "starlink", "--duration", "32", "--set", f"constellation.elements={ELEMENTS}"
    )
    assert ended.failed() == {}
    assert ended.status == 0, ended.output
    seconds = handovers_s(ended)
    assert seconds
    # Windows are half a second long: a change shows in the window that ends at it or after it.
    assert all(min((s - grid) % 60 for grid in (12, 27, 42, 57)) <= 0.5 for s in seconds), seconds


def test_starlink_as_shipped_is_a_shell_of_1584(tmp_path: Path) -> None:
    ended = harness.run(tmp_path, "starlink", "--duration", "6", "--set", "constellation.isl=plus-grid")
    assert ended.report["conservation"]["balanced"] is True
    assert ended.run.run_info()["status"] == "completed"
    assert sum("starlink-" in place for place in ended.run.run_info()["places"]) == 1584
    assert ended.run.run_info()["channel"]["counters"]["delivered"] > 100


def test_iot_direct_carries_readings_to_the_broker_and_down(tmp_path: Path) -> None:
    ended = harness.run_in_time(tmp_path, "iot-direct", "--duration", "30")
    assert ended.failed() == {}
    links = ended.run.run_info()["channel"]["links"]
    assert links["sat-1>roof"]["packets_out"] > 0
    assert ended.report["conservation"]["balanced"] is True
