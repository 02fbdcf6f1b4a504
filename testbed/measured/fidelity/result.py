"""What a study comes to: verdicts by thresholds stated beforehand, and everything as plain JSON types."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from testbed.measured.fidelity.losses import NOT_KNOWN
from testbed.measured.fidelity.measures import LEVELS, MEASURES, Description
from testbed.measured.fidelity.series import LAGS_S
from testbed.measured.fidelity.study import SEEDS, Played, Study
from testbed.measured.measurement import Measurement
from testbed.report.document import finite
from testbed.report.verdicts import Verdict
from testbed.twin.compare import quantile_errors

#: a frozen model may be so much further from the test than the real world is from itself
RATIO_BOUND: Final = 1.2
BOUNDARY_BOUND_MS: Final = 50.0
#: coverage of the 90 % band
PICP_BOUNDS: Final = (0.87, 0.93)
#: of generated traffic beside its own calibration data: quantiles, rates and bursts relative
QUANTILE_BOUNDS: Final = {"p50": 0.03, "p95": 0.05, "p99": 0.10}
ACF_BOUND: Final = 0.05
SHARE_BOUND: Final = 0.05
LOSS_BOUND: Final = 0.10
BURST_BOUND: Final = 0.10
#: a delay between two clocks is judged only when its error is this many times the bound of their difference
CLOCK_FACTOR: Final = 3.0
#: with fewer lost probes rate and bursts are too uncertain to be judged
LEAST_LOST: Final = 20
_PER_VALUE: Final = ("w1", "ks", "quantiles")


def figures(study: Study) -> dict[str, Any]:
    """The result as plain JSON types; what cannot be told is null, the reason in `reasons`."""
    found = study.test.distances()
    verdicts = judge(study)
    # what is void says why in place of a figure
    reasons = {v.name: v.text for v in verdicts if v.holds is None}
    forecast = study.forecast
    data = study.data
    floor = study.floor
    result = {
        "model": study.model.name,
        "quantity": data.test.quantity,
        "unit": data.test.unit,
        "seeds": list(SEEDS),
        "ks": found["ks"],
        "w1": found["w1"],
        "quantile_error": _quantile_error(study.test),
        "acf_error": found["acf"],
        "slot": _slot(study),
        "loss": _loss(study.test, data.test),
        "picp90": None if forecast is None else forecast.picp90,
        "crps_skill": None if forecast is None else forecast.crps_skill,
        "forecast": None if forecast is None else forecast.as_dict(),
        "fidelity_ratio": study.ratios["w1"],
        "fidelity_ratios": study.ratios,
        "distances": found,
        "intervals90": {name: list(ends) for name, ends in study.intervals.items()},
        "baselines": _baselines(study),
        "floor": None
        if floor is None
        else {**floor.distances, "length_s": floor.length_s, "pairs": floor.pairs, "halved": floor.halved},
        "verdicts": [verdict.as_dict() for verdict in verdicts],
        "reasons": reasons,
        "calibration": _calibration(study),
        "choice": None if study.choice is None else [score.as_dict() for score in study.choice.scores],
        "parameters": study.model.parameters(),
        "remarks": list(study.remarks),
        "files": {
            "test": _file(data.test),
            "calibration": [_file(part) for part in data.calibration],
            "divided": data.divided,
        },
    }
    return dict(finite(result))


def _file(part: Measurement) -> dict[str, Any]:
    return {
        "source": part.source, "samples": len(part), "begin_s": part.begin_s, "span_s": part.span_s,
        "losses_known": part.losses_known, "found": vars(part.found),
    }  # fmt: skip


def _name(level: float) -> str:
    return f"p{level * 100:.0f}"


def _medians(played: Played) -> tuple[Any, Any, float]:
    """Quantiles, autocorrelation and slot share of the model: medians over the seeds."""
    return (
        np.median([one.quantiles for one in played.described], axis=0),
        np.median([one.acf for one in played.described], axis=0),
        float(np.median([one.slot_share for one in played.described])),
    )


def _quantile_error(played: Played) -> dict[str, dict[str, float]]:
    rows = [quantile_errors(one.ascending, played.data.ascending, LEVELS) for one in played.described]
    return {
        _name(level): {
            "absolute": float(np.median([row[level][0] for row in rows])),
            "relative": float(np.median([row[level][1] for row in rows])),
        }
        for level in LEVELS
    }


def _slot(study: Study) -> dict[str, Any]:
    grid, own = study.grid, study.test_grid
    return {
        "found": grid is not None,
        "period_s": None if grid is None else grid.period_s,
        "offset_s": None if grid is None else grid.offset_s,
        "boundary_ms": study.boundary_ms,
        "boundary_uncertainty_ms": study.boundary_uncertainty_ms,
        "share": study.test.data.slot_share,
        "share_model": _medians(study.test)[2],
        "significance": None if grid is None else grid.significance,
        "test": None if own is None else own.as_dict(),
    }


def _loss(played: Played, data: Measurement) -> dict[str, Any]:
    observed = played.data.losses
    if observed is None:
        return {
            "rate": None,
            "mean_burst": None,
            "p01": None,
            "p11": None,
            "model": None,
            "reason": NOT_KNOWN,
        }
    names = ("rate", "mean_burst", "p01", "p11")
    sides = [one.losses for one in played.described if one.losses is not None]
    model = {name: _known_median([getattr(side, name) for side in sides]) for name in names}
    return {**{name: getattr(observed, name) for name in names}, "model": model, "reason": None}


def _known_median(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.median(known)) if known else math.nan


def _baselines(study: Study) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for name, played in study.baselines.items():
        found = played.distances()
        ratios = study.floor.ratios(found) if study.floor is not None else dict.fromkeys(MEASURES, math.nan)
        rows[name] = {**found, "fidelity_ratios": ratios}
    forecast = study.forecast
    rows["persistence"] = {
        "crps": None if forecast is None else forecast.crps_persistence,
        "reason": "forecasts one second ahead only: a frozen model has no value known last",
    }
    rows["climatology"] = {"crps": None if forecast is None else forecast.crps_climatology}
    rows["propagation"] = {
        "w1": None, "reason": "the measurement does not tell where terminal and satellites were",
    }  # fmt: skip
    return rows


def _calibration(study: Study) -> dict[str, Any]:
    """The model's own traffic beside the data it was calibrated on."""
    own = study.own
    _, acf, share = _medians(own)
    return {
        "source": study.own_data.source,
        "distances": own.distances(),
        "quantile_error": _quantile_error(own),
        "acf": {f"{lag:g}_s": value for lag, value in zip(LAGS_S, own.data.acf, strict=True)},
        "acf_model": {f"{lag:g}_s": value for lag, value in zip(LAGS_S, acf, strict=True)},
        "slot_share": own.data.slot_share,
        "slot_share_model": share,
        "loss": _loss(own, study.own_data),
    }


# --- verdicts ------------------------------------------------------------------------------------------


def judge(study: Study) -> list[Verdict]:
    """Every verdict; void where the measurement cannot answer."""
    return [*_frozen(study), _boundary(study), *_forecast(study), *_own(study)]


def _frozen(study: Study) -> list[Verdict]:
    found, test = study.test.distances(), study.data.test
    verdicts = []
    for name in MEASURES:
        title, ratio = f"fidelity_{name}", study.ratios[name]
        reason = _cannot(study, name, found[name])
        if not reason and math.isnan(ratio):
            reason = "the real world does not differ from itself by this measure, no ratio can be told"
        if study.floor is not None and math.isnan(found[name]) and _varies(study.test.data, name):
            reason = "the model's traffic does not vary, the test does"
            verdicts.append(Verdict(title, False, None, RATIO_BOUND, reason))
            continue
        if reason:
            verdicts.append(Verdict(title, None, None, RATIO_BOUND, reason))
            continue
        assert study.floor is not None
        unit = f" {test.unit}" if name == "w1" else ""
        text = (
            f"R {ratio:.2f}: {found[name]:.3g}{unit} from the test, the real world "
            f"{study.floor.distances[name]:.3g}{unit} from itself, bound {RATIO_BOUND:g}"
        )
        verdicts.append(Verdict(title, ratio <= RATIO_BOUND, ratio, RATIO_BOUND, text))
    return verdicts


def _varies(test: Description, name: str) -> bool:
    """Whether the test has this figure, which a model without any variation lacks."""
    if name == "acf":
        return bool(np.isfinite(test.acf).any())
    return name == "slot_share" and math.isfinite(test.slot_share)


def _cannot(study: Study, name: str, distance: float) -> str:
    """Why the measurement cannot answer; empty when it can."""
    test, bound_ms = study.data.test, study.data.test.clock_bound_ms
    if study.floor is None:
        return "the data are too short for a floor"
    if name in ("loss", "bursts") and not all(p.losses_known for p in (*study.data.calibration, test)):
        return NOT_KNOWN
    if name in _PER_VALUE and test.quantity == "delay" and bound_ms is not None:
        error_ms = study.test.distances()["w1"]
        if error_ms < CLOCK_FACTOR * bound_ms:
            return (
                f"the error of {error_ms:.3g} ms is below {CLOCK_FACTOR:g} times the clocks' bound of "
                f"{bound_ms:.3g} ms: too loose for a one-way delay"
            )
    return "the recording is too short or too coarse to tell" if math.isnan(distance) else ""


def _boundary(study: Study) -> Verdict:
    name = "slot_boundary"
    if study.grid is None:
        return Verdict(name, None, None, BOUNDARY_BOUND_MS, "the calibration data show no grid")
    if study.test_grid is None:
        text = "the test data on their own show no grid to hold the calibration's against"
        return Verdict(name, None, None, BOUNDARY_BOUND_MS, text)
    away_ms = abs(study.boundary_ms)
    alike = abs(study.test_grid.period_s - study.grid.period_s) < 0.01 * study.grid.period_s
    text = (
        f"period {study.grid.period_s:g} s, in the test {study.test_grid.period_s:g} s; boundaries "
        f"{study.boundary_ms:+.0f} ms apart, bound {BOUNDARY_BOUND_MS:g}"
    )
    told_ms = study.boundary_uncertainty_ms
    if alike and BOUNDARY_BOUND_MS < away_ms <= told_ms:
        text = (
            f"boundaries {study.boundary_ms:+.0f} ms apart, which is within the +-{told_ms:.0f} ms that the "
        )
        return Verdict(name, None, None, BOUNDARY_BOUND_MS, text + "recordings can tell")
    return Verdict(name, alike and away_ms <= BOUNDARY_BOUND_MS, away_ms, BOUNDARY_BOUND_MS, text)


def _forecast(study: Study) -> list[Verdict]:
    score = study.forecast
    if score is None:
        text = "there is no forecast, see the remarks"
        return [
            Verdict("forecast_coverage", None, None, PICP_BOUNDS[0], text),
            Verdict("forecast_skill", None, None, 0.0, text),
        ]
    low, high = score.crps_skill_interval
    skill = (
        Verdict("forecast_skill", None, None, 0.0, "climatology is perfect, there is nothing to forecast")
        if math.isnan(score.crps_skill)
        else Verdict(
            "forecast_skill", score.crps_skill > 0.0, score.crps_skill, 0.0,
            f"CRPS skill over climatology {score.crps_skill:.2f} ({low:.2f} to {high:.2f}), must be above 0",
        )
    )  # fmt: skip
    return [
        Verdict(
            "forecast_coverage", PICP_BOUNDS[0] <= score.picp90 <= PICP_BOUNDS[1], score.picp90,
            PICP_BOUNDS[0], f"{score.picp90:.1%} of {score.samples:,} samples in the 90 % band one second "
            f"ahead, allowed {PICP_BOUNDS[0]:.0%} to {PICP_BOUNDS[1]:.0%}",
        ),
        skill,
    ]  # fmt: skip


def _own(study: Study) -> list[Verdict]:
    """The model's traffic beside its own calibration data."""
    own: Played = study.own
    data: Description = own.data
    _, acf, share = _medians(own)
    verdicts = []
    for name, error in _quantile_error(own).items():
        away, bound = abs(error["relative"]), QUANTILE_BOUNDS[name]
        text = f"{error['relative']:+.1%} beside its calibration data, bound {bound:.0%}"
        verdicts.append(_bounded(f"calibration_{name}", away, bound, text))
    # traffic that does not vary has no memory and no levels
    apart, share = np.abs(np.nan_to_num(acf) - data.acf), float(np.nan_to_num(share))
    worst = float(np.nanmax(apart)) if np.isfinite(apart).any() else math.nan
    verdicts += [
        _bounded("calibration_acf", worst, ACF_BOUND, f"{worst:.3f} off at worst, bound {ACF_BOUND:g}"),
        _bounded(
            "calibration_slot_share", abs(share - data.slot_share), SHARE_BOUND,
            f"{share:.2f} of the variance by slots, in the data {data.slot_share:.2f}, bound {SHARE_BOUND:g}",
        ),
    ]  # fmt: skip
    return [*verdicts, *_own_losses(study)]


def _own_losses(study: Study) -> list[Verdict]:
    loss = _loss(study.own, study.own_data)
    verdicts = []
    for name, key, bound in (("loss", "rate", LOSS_BOUND), ("bursts", "mean_burst", BURST_BOUND)):
        title = f"calibration_{name}"
        if loss["reason"]:
            verdicts.append(Verdict(title, None, None, bound, loss["reason"]))
            continue
        lost = round(loss["rate"] * len(study.own_data))
        if lost < LEAST_LOST:
            text = f"{lost} lost probes are too few to judge by, {LEAST_LOST} are needed"
            verdicts.append(Verdict(title, None, None, bound, text))
            continue
        model, data = float(np.nan_to_num(loss["model"][key])), loss[key]
        text = f"{model:.4g}, in its calibration data {data:.4g}, bound {bound:.0%}"
        verdicts.append(_bounded(title, abs(model - data) / data, bound, text))
    return verdicts


def _bounded(name: str, figure: float, bound: float, text: str) -> Verdict:
    if math.isnan(figure):
        return Verdict(name, None, None, bound, "the recording cannot tell")
    return Verdict(name, figure <= bound, figure, bound, text)
