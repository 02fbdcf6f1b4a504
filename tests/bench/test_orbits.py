"""The benchmark of orbits: its satellites, and the figures it promises."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emulator.orbits.frames import RunClock
from emulator.orbits.sgp4 import Propagator
from testbed.bench import orbits, run_bench

PROMISED = {"sgp4_vs_cpp", "sgp4_max_error_mm", "interpolation_vs_sgp4", "interpolation_max_error_m"}
#: what does not depend on how fast the machine is
OF_ACCURACY = (
    "sgp4_max_error_mm",
    "sgp4_codes_different",
    "interpolation_max_error_m",
    "earth_fixed_max_error_m",
)


def test_its_satellites_are_ten_thousand_of_all_kinds_and_none_has_a_fault() -> None:
    clock = RunClock(orbits.START_UTC)
    records = orbits.satellites(clock)
    propagator = Propagator(records)
    assert len(records) == 10_000
    assert propagator.is_deep.sum() == 200
    for t_s in (0.0, 86_400.0):
        fault, position = propagator.positions(*clock.julian(t_s))
        assert not fault.any()
        assert np.isfinite(position).all()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orbits, "SHELLS", ((550.0, 53.0, 4, 20),))
    monkeypatch.setattr(orbits, "ECCENTRIC", 10)
    monkeypatch.setattr(orbits, "ROUNDS", 1)


@pytest.mark.usefixtures("small")
def test_it_gives_the_figures_of_the_contract_and_is_right(tmp_path: Path) -> None:
    content, _ = run_bench("orbits")
    assert content["figures"].keys() | content["ratios"].keys() >= PROMISED | content["limits"].keys()
    for key in OF_ACCURACY:
        assert 0.0 <= content["figures"][key] <= content["limits"][key], key
    written = tmp_path / "orbits.json"
    written.write_text(json.dumps(content))
    assert json.loads(written.read_text())["bench"] == "orbits"
