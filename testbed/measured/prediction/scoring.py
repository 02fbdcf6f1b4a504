"""How good forecasts are: CRPS, coverage and interval score, beside climatology and persistence.

Climatology is the distribution of the calibration data, persistence the value known last. Scores are means
over samples; the interval of a skill comes from resampling whole blocks of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from testbed.measured.measurement import Array, Measurement
from testbed.measured.models.contract import Forecasts, Predictor
from testbed.measured.prediction.forecasts import LEVELS, samples_of
from testbed.twin.compare import skill, skill_interval

#: errors are added up over windows of this length, and windows are resampled in blocks of so many: a minute
#: holds several slots of networks that reconfigure, and what lasts longer than that is rare
WINDOW_S: Final = 15.0
BLOCK_WINDOWS: Final = 4
#: forecasts scored at once
_AT_ONCE: Final = 1 << 14


@dataclass(frozen=True)
class Score:
    """Scores of forecasts one horizon ahead; CRPS and interval scores in the unit of the quantity."""

    horizon_s: float
    samples: int
    crps: float
    crps_climatology: float
    #: mean absolute error of the value known last
    crps_persistence: float
    #: 1 - CRPS / CRPS of climatology, and where it lies with 90 % probability
    crps_skill: float
    crps_skill_interval: tuple[float, float]
    crps_skill_over_persistence: float
    #: share of the samples inside the 90 % band
    picp90: float
    #: Gneiting and Raftery 2007, eq. 43, of the 90 % band
    interval_score: float
    interval_score_climatology: float

    def as_dict(self) -> dict[str, Any]:
        """As JSON types, `nan` as none."""
        table = {
            key: [_plain(end) for end in value] if isinstance(value, tuple) else _plain(value)
            for key, value in asdict(self).items()
        }
        return dict(table)


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None


def crps(forecasts: Forecasts) -> Array:
    """CRPS [m] of each forecast, in the unit of the observations.

    Twice the quantile loss, integrated over the levels (Gneiting and Raftery 2007, section 4.2; Laio and
    Tamea 2007, eq. 10); each level stands for what is nearer to it than to others. With the middles of
    equally probable parts this is the exact CRPS of their equally likely values.
    """
    edges = np.concatenate(([0.0], 0.5 * (forecasts.levels[1:] + forecasts.levels[:-1]), [1.0]))
    shares = np.diff(edges)
    result = np.empty(len(forecasts.observed))
    for begin in range(0, len(result), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        away = forecasts.observed[part, None] - forecasts.quantiles[part].astype(np.float64)
        loss = away * (forecasts.levels - (away < 0.0))
        result[part] = 2.0 * loss @ shares
    return result


def crps_of_values(observed: Array, values: Array) -> Array:
    """CRPS [m] of one forecast for all `observed`: its quantiles at `LEVELS` in `values`."""
    quantiles = np.sort(np.quantile(values, LEVELS))
    sums = np.concatenate(([0.0], np.cumsum(quantiles)))
    below = np.searchsorted(quantiles, observed)
    count = len(quantiles)
    away = observed * (2.0 * below - count) + sums[-1] - 2.0 * sums[below]
    ranks = 2.0 * np.arange(1, count + 1) - count - 1.0
    result: Array = away / count - float(ranks @ quantiles) / count**2
    return result


def band(forecasts: Forecasts, share: float = 0.9) -> tuple[Array, Array]:
    """Lower and upper end [m] of the central interval of that probability."""
    return tuple(_at(forecasts, level) for level in (0.5 - share / 2.0, 0.5 + share / 2.0))  # type: ignore[return-value]


def _at(forecasts: Forecasts, level: float) -> Array:
    above = int(np.clip(np.searchsorted(forecasts.levels, level - 1e-9), 1, len(forecasts.levels) - 1))
    low, high = forecasts.levels[above - 1], forecasts.levels[above]
    part = min(max((level - low) / (high - low), 0.0), 1.0)
    quantiles = forecasts.quantiles[:, above - 1 : above + 1].astype(np.float64)
    result: Array = quantiles[:, 0] * (1.0 - part) + quantiles[:, 1] * part
    return result


def score(
    forecasts: Forecasts, calibration: Sequence[Measurement], test: Measurement, horizon_s: float
) -> Score:
    """Scores of the forecasts of `test` made `horizon_s` ahead by a predictor calibrated on `calibration`."""
    known = np.concatenate([part.values[part.answered] for part in calibration])
    observed = forecasts.observed
    own, climatology = crps(forecasts), crps_of_values(observed, known)
    persistence = np.abs(observed - _known_last(forecasts, test, horizon_s, float(np.median(known))))
    low, high = band(forecasts)
    ends = np.quantile(known, (0.05, 0.95))
    windows = ((forecasts.times_s - forecasts.times_s[0]) / WINDOW_S).astype(np.int64)
    # those in a gap tell nothing, and a gap may last for months
    window = np.unique(windows, return_inverse=True)[1]
    sums = [np.bincount(window, errors).astype(np.float64) for errors in (own, climatology)]
    interval = skill_interval(sums[0], sums[1], block=BLOCK_WINDOWS)
    return Score(
        horizon_s=horizon_s,
        samples=len(observed),
        crps=float(own.mean()),
        crps_climatology=float(climatology.mean()),
        crps_persistence=float(persistence.mean()),
        crps_skill=skill(float(own.mean()), float(climatology.mean())),
        crps_skill_interval=interval,
        crps_skill_over_persistence=skill(float(own.mean()), float(persistence.mean())),
        picp90=float(np.mean((observed >= low) & (observed <= high))),
        interval_score=_interval_score(observed, low, high),
        interval_score_climatology=_interval_score(observed, ends[0], ends[1]),
    )


def score_by_horizon(
    predictor: Predictor, calibration: Sequence[Measurement], test: Measurement, horizons_s: Sequence[float]
) -> list[Score]:
    """Scores of a predictor calibrated on `calibration`, one for each horizon."""
    return [
        score(predictor.forecasts(test, horizon_s), calibration, test, horizon_s) for horizon_s in horizons_s
    ]


def _interval_score(observed: Array, low: Array | float, high: Array | float) -> float:
    from testbed.twin.compare import interval_score

    return interval_score(observed, low, high, 0.9)


def _known_last(forecasts: Forecasts, test: Measurement, horizon_s: float, before: float) -> Array:
    """[m] the value known last one horizon before each sample; `before` where there was none."""
    samples = samples_of(test)
    count = samples.known_by(forecasts.times_s - horizon_s)
    values = np.concatenate(([before], samples.values[samples.order]))
    result: Array = values[count]
    return result
