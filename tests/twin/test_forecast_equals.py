"""Compiled forecasts beside plain ones: the same bands and residuals of whatever comes."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from testbed.twin.forecast import Forecast
from tests.twin.plain_forecast import PlainForecast

#: what another order of a sum may change
ROUNDING = 1e-9


def kinds() -> dict[str, np.ndarray]:
    rng, windows = np.random.default_rng(21), np.arange(400)
    lingering = rng.normal(10.0, 1.0, 400)
    for k in range(1, 400):
        lingering[k] += 0.35 * (lingering[k - 1] - 10.0)
    return {
        "what lingers a little": lingering,
        "noise": rng.lognormal(0.0, 1.0, 400),
        "a queue that stays": np.abs(np.cumsum(rng.normal(0.0, 1.0, 400))),
        "a period": np.where(windows % 9 == 3, 100.0, 10.0) + rng.normal(0.0, 1.0, 400),
        "the same again and again": np.full(400, 3.0),
    }


@pytest.mark.parametrize("kind", list(kinds()))
@pytest.mark.parametrize("gaps", [False, True])
def test_compiled_forecasts_say_what_plain_ones_say(kind: str, gaps: bool) -> None:
    compiled, plain = Forecast(5.0, 2.0), PlainForecast(5.0, 2.0)
    for number, value in enumerate(kinds()[kind].tolist()):
        if gaps and number % 37 == 5:
            compiled.miss()
            plain.miss()
            continue
        for steps in (30, 1):
            bands = [one.band(2.0, 3.0, 0.1, 0.0, steps) for one in (compiled, plain)]
            assert astuple(bands[0]) == pytest.approx(astuple(bands[1]), rel=ROUNDING, abs=ROUNDING)
        assert compiled.learn(value) == pytest.approx(plain.learn(value), rel=ROUNDING, abs=ROUNDING)
        assert compiled.mean == pytest.approx(plain.mean, rel=ROUNDING)
