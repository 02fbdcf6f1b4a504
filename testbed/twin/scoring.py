"""How good the twin was: fidelity by quantity and target, detections, calibration, from telemetry alone.

`score` needs the records of a run (the twin's own and the observations) and nothing else. What the plant
truly did is not used; see `matching` for that. Windows of the calibration part, from which the constant
baseline is taken, are not scored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from nodes.wire import Record
from testbed.twin import compare
from testbed.twin.matching import match_detections
from testbed.twin.observations import flow_name, numbers, window_index
from testbed.twin.predict import DELAY
from testbed.twin.running import LAGS, Losses

__all__ = ["match_detections", "score"]

#: packets of one window that enter the CRPS
_CRPS_PACKETS = 40
#: points of a calibration curve that are kept
_CURVE_POINTS = 60

Row = dict[str, Any]
Key = tuple[str, str]


def score(records: Iterable[Record], start_ns: int, calibration_share: float = 0.25) -> dict[str, Any]:
    """Scores of a run that began at `start_ns` (CLOCK_MONOTONIC ns).

    Result: `fidelity` {quantity: {target: scores}} with the pooled scores of every quantity under
    "overall", `detections`, `calibration` {state: {target: mean and sd over time}}, `scored_from_s`.
    Scores: n, mae and crps in the quantity's unit, nrmse, r, bias, picp90, interval_score, acf_error,
    skill_constant, skill_propagation, skill_persistence, crps_skill_climatology; for delays, of single
    packets, ks, w1, packet_picp90, packet_crps, quantile errors p50, p95, p99. Absolute errors (mae,
    skills) are those of the predicted median, as the constant baseline is a median; squared ones (nrmse)
    those of the mean; the CRPS is that of median and band. The climatology is the distribution of the
    calibration part, of the same terminal and direction or server. Undefined scores are None.

    `losses` {link or flow: loss_rate, p01, p11, mean_burst}: as `running.Losses` tells them from counts.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.measurement, []).append(record)
    predictions: dict[Key, dict[int, Record]] = {}
    for record in groups.get("prediction", []):
        predictions.setdefault(_key(record), {})[record.t_ns] = record
    residuals: dict[Key, list[Record]] = {}
    for record in groups.get("residual", []):
        if record.t_ns in predictions.get(_key(record), {}):
            residuals.setdefault(_key(record), []).append(record)
    times = [record.t_ns for rows in residuals.values() for record in rows]
    end_ns = max(times, default=start_ns)
    first_ns = start_ns + int(calibration_share * (end_ns - start_ns))
    packets = _packets(groups.get("link", []), predictions, start_ns)

    fidelity: dict[str, dict[str, Row]] = {}
    pooled: dict[str, list[_Sums]] = {}
    for (target, quantity), rows in sorted(residuals.items()):
        chosen = [row for row in rows if row.t_ns >= first_ns]
        if not chosen:
            continue
        made = [predictions[(target, quantity)][row.t_ns] for row in chosen]
        sums = _Sums(chosen, made)
        scores = sums.scores()
        if quantity == DELAY:
            scores |= _packet_scores(packets.get(target, []), first_ns)
        fidelity.setdefault(quantity, {})[target] = scores
        pooled.setdefault(quantity, []).append(sums)
    if pooled:
        fidelity["overall"] = {name: _overall(parts, fidelity[name]) for name, parts in pooled.items()}
    return {
        "fidelity": fidelity,
        "losses": _losses(groups, first_ns),
        "detections": _detections(groups, start_ns),
        "calibration": _calibration(groups.get("belief", []), start_ns),
        "scored_from_s": (first_ns - start_ns) / 1e9,
    }


def _key(record: Record) -> Key:
    return record.tags.get("target", ""), record.tags.get("quantity", "")


def _column(records: list[Record], name: str) -> compare.Array:
    return np.array([float(r.fields.get(name, math.nan)) for r in records])


class _Sums:
    """The windows of one quantity and target, as columns."""

    def __init__(self, residuals: list[Record], predictions: list[Record]) -> None:
        self.t_ns = np.array([record.t_ns for record in residuals], dtype=np.int64)
        self.observed = _column(residuals, "observed")
        self.mean = _column(predictions, "mean")
        self.point = _column(predictions, "median")
        self.low, self.high = _column(predictions, "lo90"), _column(predictions, "hi90")
        self.constant = _column(predictions, "baseline_constant")
        self.propagation = _column(predictions, "baseline_propagation")
        self.last = np.concatenate(([math.nan], self.observed[:-1]))
        self.crps = np.array(
            [compare.crps_banded([o], *band) for o, *band in zip(
                self.observed, self.point, self.low, self.high, strict=True
            )]
        )  # fmt: skip
        self.crps_climatology = _column(residuals, "crps_climatology")

    def baseline_errors(self, baseline: compare.Array) -> tuple[float, float]:
        """Summed absolute errors of the twin and of a baseline, over the windows that have it."""
        known = np.isfinite(baseline)
        own = np.abs(self.point - self.observed)[known].sum()
        return float(own), float(np.abs(baseline - self.observed)[known].sum())

    def climatology_errors(self) -> tuple[float, float]:
        """Summed CRPS of the twin and of the climatology, over the windows that have the latter."""
        known = np.isfinite(self.crps_climatology)
        return float(self.crps[known].sum()), float(self.crps_climatology[known].sum())

    def scores(self) -> Row:
        o, m = self.observed, self.mean
        return _finite(
            {
                "n": len(o),
                "observed_mean": float(o.mean()),
                "mae": compare.mae(self.point, o),
                "nrmse": compare.nrmse(m, o),
                "bias": float(np.mean(m - o)),
                "r": compare.correlation(m, o),
                "crps": float(self.crps.mean()),
                "picp90": compare.picp(o, self.low, self.high),
                "interval_score": compare.interval_score(o, self.low, self.high),
                "skill_constant": compare.skill(*self.baseline_errors(self.constant)),
                "skill_propagation": compare.skill(*self.baseline_errors(self.propagation)),
                "skill_persistence": compare.skill(*self.baseline_errors(self.last)),
                "crps_skill_climatology": compare.skill(*self.climatology_errors()),
                "acf_error": compare.acf_error(m, o, LAGS),
                "ks": None,
                "w1": None,
            }
        )


Window = tuple[int, list[float], Record]


def _packets(
    reports: list[Record], predictions: dict[Key, dict[int, Record]], start_ns: int
) -> dict[str, list[Window]]:
    """Hop delays of each link beside the prediction of their window."""
    found: dict[str, list[Window]] = {}
    for report in reports:
        link = report.tags.get("link", "")
        made = predictions.get((link, DELAY))
        if not made or not report.samples:
            continue
        window_ns = round(float(next(iter(made.values())).fields.get("window_s", 0.5)) * 1e9)
        t_ns = start_ns + window_index(report.t_ns, start_ns, window_ns) * window_ns
        prediction = made.get(t_ns)
        if prediction is not None and prediction.samples:
            found.setdefault(link, []).append((t_ns, report.samples, prediction))
    return found


def _packet_scores(windows: list[Window], first_ns: int) -> Row:
    """Scores of single packets' delays: predicted distributions pooled like the packets they are for."""
    chosen = [window for window in windows if window[0] >= first_ns]
    if not chosen:
        return {}
    observed = np.concatenate([samples for _, samples, _ in chosen])
    model = np.concatenate([made.samples for _, _, made in chosen])
    weights = np.concatenate(
        [np.full(len(made.samples), len(samples) / len(made.samples)) for _, samples, made in chosen]
    )
    crps = inside = total = 0.0
    for _, samples, made in chosen:
        values = np.array(samples)
        crps += compare.crps_samples(values[:_CRPS_PACKETS], made.samples) * len(values)
        low, high = float(made.fields["packet_lo90"]), float(made.fields["packet_hi90"])
        inside += float(np.sum((values >= low) & (values <= high)))
        total += len(values)
    errors = {}
    for level in (0.5, 0.95, 0.99):
        predicted = _weighted_quantile(model, weights, level)
        errors[f"p{level * 100:.0f}_error"] = predicted - float(np.quantile(observed, level))
    return _finite(
        {
            "packets": int(total),
            "ks": compare.ks(model, observed, weights, None),
            "w1": compare.w1(model, observed, weights, None),
            "packet_crps": crps / total,
            "packet_picp90": inside / total,
            **errors,
        }
    )


def _weighted_quantile(values: compare.Array, weights: compare.Array, level: float) -> float:
    order = np.argsort(values)
    share = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(share, level * share[-1])), len(values) - 1)])


def _overall(parts: list[_Sums], rows: dict[str, Row]) -> Row:
    """All targets of a quantity together: every window counts once, skills compare summed errors."""
    observed = np.concatenate([part.observed for part in parts])
    low, high = np.concatenate([p.low for p in parts]), np.concatenate([p.high for p in parts])
    pooled: Row = {"n": len(observed), "picp90": compare.picp(observed, low, high)}
    for name in ("constant", "propagation"):
        errors = [part.baseline_errors(getattr(part, name)) for part in parts]
        pooled[f"skill_{name}"] = compare.skill(sum(e[0] for e in errors), sum(e[1] for e in errors))
        pooled[f"skill_{name}_interval"] = _interval(parts, name)
    errors = [part.baseline_errors(part.last) for part in parts]
    pooled["skill_persistence"] = compare.skill(sum(e[0] for e in errors), sum(e[1] for e in errors))
    errors = [part.climatology_errors() for part in parts]
    pooled["crps_skill_climatology"] = compare.skill(sum(e[0] for e in errors), sum(e[1] for e in errors))
    for name in ("mae", "nrmse", "acf_error", "crps", "ks", "w1", "packet_picp90"):
        known = [(row["n"], row[name]) for row in rows.values() if row.get(name) is not None]
        total = sum(n for n, _ in known)
        pooled[name] = sum(n * value for n, value in known) / total if total else None
    return _finite(pooled)


def _interval(parts: list[_Sums], baseline: str) -> list[float] | None:
    """90 % interval of a pooled skill: windows are resampled whole, with all their targets."""
    columns = []
    for part in parts:
        other = getattr(part, baseline)
        known = np.isfinite(other)
        errors = (np.abs(part.point - part.observed)[known], np.abs(other - part.observed)[known])
        columns.append((part.t_ns[known], *errors))
    times, own, base = (np.concatenate(column) for column in zip(*columns, strict=True))
    windows, index = np.unique(times, return_inverse=True)
    if not len(windows):
        return None
    own_sums, base_sums = (
        np.asarray(np.bincount(index, weights=errors), dtype=np.float64) for errors in (own, base)
    )
    low, high = compare.skill_interval(own_sums, base_sums)
    return [low, high] if math.isfinite(low) and math.isfinite(high) else None


def _losses(groups: dict[str, list[Record]], first_ns: int) -> dict[str, Row]:
    """What was lost on links and of flows after `first_ns`."""
    found: dict[str, Losses] = {}
    for record in groups.get("link", []):
        if record.t_ns >= first_ns:
            number = numbers(record)
            lost = number.get("lost", 0.0)
            name = record.tags.get("link", "")
            found.setdefault(name, Losses()).add(lost, lost + number.get("packets_out", 0.0))
    for record in groups.get("flow", []):
        if record.t_ns >= first_ns:
            number = numbers(record)
            lost, name = number.get("lost", 0.0), flow_name(record)
            found.setdefault(name, Losses()).add(lost, lost + number.get("packets", 0.0))
    return {name: _finite(losses.figures()) for name, losses in sorted(found.items()) if losses.sent}


def _detections(groups: dict[str, list[Record]], start_ns: int) -> list[Row]:
    rows = []
    for record in groups.get("detection", []):
        recovered = [
            (other.t_ns - start_ns) / 1e9
            for other in groups.get("recovery", [])
            if other.tags == record.tags and other.t_ns > record.t_ns
        ]
        row = {**record.tags, **record.fields, "recovered_s": min(recovered, default=None)}
        rows.append(_finite(row))
    return rows


def _calibration(beliefs: list[Record], start_ns: int) -> dict[str, dict[str, Row]]:
    """Learned parameters over time: t_s, mean, sd as lists, and the last value."""
    series: dict[Key, list[tuple[float, float, float]]] = {}
    for record in beliefs:
        key = (record.tags.get("state", ""), record.tags.get("target", ""))
        sd = math.sqrt(max(float(record.fields.get("variance", 0.0)), 0.0))
        mean = float(record.fields.get("mean", math.nan))
        series.setdefault(key, []).append(((record.t_ns - start_ns) / 1e9, mean, sd))
    result: dict[str, dict[str, Row]] = {}
    for (state, target), rows in sorted(series.items()):
        kept = rows[:: max(len(rows) // _CURVE_POINTS, 1)]
        times, means, sds = (list(column) for column in zip(*kept, strict=True))
        result.setdefault(state, {})[target] = {
            "mean": rows[-1][1], "sd": rows[-1][2], "curve": {"t_s": times, "mean": means, "sd": sds},
        }  # fmt: skip
    return result


def _finite(row: Row) -> Row:
    """The row with None for what is not a finite number."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
