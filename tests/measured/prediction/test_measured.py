"""How well recorded round trips are forecast a second ahead: the first half calibrates, the second tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.measured.formats.opening import open_measurement
from testbed.measured.prediction.choice import predictor
from testbed.measured.prediction.scoring import score
from tests.measured.prediction.made import halves

DATA = Path(__file__).parents[4] / "shared" / "data"
#: skill against climatology that each is to reach
FIGURES = {
    "rtt_loss_starlink_2h_0p15s/lagos_isl_part1.csv.gz": 0.75,
    "rtt_loss_starlink_2h_0p15s/seattle_bentpipe_part1.csv.gz": 0.35,
    "rtt_starlink_victoria_10ms/victoria_2.csv.gz": 0.40,
    "rtt_starlink_victoria_10ms/victoria_3.csv.gz": 0.25,
    "rtt_oneweb_iowa/oneweb_iowa.csv.gz": 0.40,
}


@pytest.mark.skipif(not DATA.is_dir(), reason="the measurements are not beside the project")
@pytest.mark.parametrize("name", FIGURES)
def test_round_trips_are_forecast_with_the_skill_stated(name):
    calibration, test = halves(open_measurement(DATA / name))
    forecasts = predictor("adaptive", [calibration]).forecasts(test, 1.0)
    result = score(forecasts, [calibration], test, 1.0)
    assert result.crps_skill >= FIGURES[name]
    assert 0.87 <= result.picp90 <= 0.93
