"""The starlink and iot-direct scenarios, run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration import harness

ELEMENTS = Path(__file__).parents[3] / "shared/data/tle_starlink_daily/starlink_2025-10-01.tle.gz"


def test_starlink_on_real_elements_hands_over_on_the_grid_only(tmp_path: Path) -> None:
    if not ELEMENTS.exists():
        pytest.skip("the measured data set tle_starlink_daily is not beside this checkout")
    ended = harness.run_in_time(
        tmp_path, "starlink", "--duration", "32", "--set", f"constellation.elements={ELEMENTS}"
    )
    assert ended.at_fault() == {}
    assert ended.status == ended.status_due, ended.output
    handovers = ended.report["handovers"]
    assert handovers
    assert {h["utc"][17:23] for h in handovers} <= {"12.000", "27.000", "42.000", "57.000"}, handovers
    # What carried packets tells the same: access links of another satellite, from the next window on.
    used = {r.tags["to"] for r in ended.records("plant_link") if r.tags["from"] == "louvain-la-neuve"}
    assert used >= {h["to"] for h in handovers}


def test_starlink_as_shipped_is_a_shell_of_1584(tmp_path: Path) -> None:
    ended = harness.run(tmp_path, "starlink", "--duration", "6", "--set", "constellation.isl=plus-grid")
    assert ended.report["conservation"]["balanced"] is True
    assert ended.run.run_info()["status"] == "completed"
    assert sum("starlink-" in place for place in ended.run.run_info()["places"]) == 1584
    assert ended.run.run_info()["channel"]["counters"]["delivered"] > 100


def test_iot_direct_carries_readings_to_the_broker_and_down(tmp_path: Path) -> None:
    ended = harness.run_in_time(tmp_path, "iot-direct", "--duration", "30")
    assert ended.at_fault() == {}
    links = ended.run.run_info()["channel"]["links"]
    assert links["sat-1>roof"]["packets_out"] > 0
    assert ended.report["conservation"]["balanced"] is True
