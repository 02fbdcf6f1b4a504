"""How long rain fades last and how fast they move: microwave links against synthetic rain on the same paths.

Measured: rain attenuation by minute on terrestrial links (`microwave_links`). Beside it, years of ITU-R
P.1853 rain with the links' own lengths, frequencies and climate (P.530), sampled alike; the spread of the
slope by ITU-R P.1623, which is made for Earth-space paths; and how two channels of one link compare, by
P.838. Compared and shown, not judged: two days of a few storms are not a climate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emulator.spec import Place
from testbed.measured.comparison import Comparison, Table
from testbed.measured.microwave_links import STEP_S, Fades, Link, read
from testbed.measured.ranges import require

Floats = NDArray[np.float64]

THRESHOLDS_DB: Final = (3.0, 5.0, 10.0)
#: slopes are sorted by the attenuation they start from
_LEVELS_DB = np.array([1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 11.0, 15.0, 20.0])
#: a slope spans this much, from the sample before to the one after
_SPAN_S = 2.0 * STEP_S
#: fewer slopes tell nothing of their spread
_LEAST_SLOPES = 30
#: two channels are compared where the first fades by more
_SCALED_DB = 5.0
_LEAST_MINUTES = 10
_PERCENTS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
#: ITU-R P.1623-1 section 3.2: dependence on climate, filter Hz, exponent
_SLOPE_S, _FILTER_HZ, _SLOPE_B = 0.01, 0.02, 2.3


@dataclass(frozen=True)
class Parameters:
    """When it counts as raining, and how much synthetic rain is made."""

    #: standard deviation of an hour's loss, dB (Schleiss and Berne 2010)
    wet_threshold_db: float = 0.8
    #: of synthetic rain for each link, and its seed
    years: float = 5.0
    seed: int = 1


@dataclass(frozen=True)
class _Statistics:
    """Of many series together: durations [k] in s by threshold, slopes [k] in dB/s by level."""

    duration_s: dict[float, Floats]
    slope_db_s: list[Floats]

    def slope_sd(self) -> Floats:
        """Standard deviation of the slope in dB/s [levels]; nan where slopes are few."""
        return np.array([x.std() if len(x) >= _LEAST_SLOPES else math.nan for x in self.slope_db_s])


def compare(files: Sequence[Path], parameters: Parameters) -> Comparison:
    """Fade durations, slopes and two-frequency ratios beside the models'. Raises `BadInput`, `WorldError`."""
    allowed = {"wet_threshold_db": (0.05, 10.0), "years": (0.1, 100.0), "seed": (0, 2**63 - 1)}
    require("fade-statistics", parameters, allowed)
    fades = read(files, parameters.wet_threshold_db)
    # one channel a link: the two fade alike, and would count everything twice
    recorded = [
        next(channel for channel in link.attenuation_db if np.isfinite(channel).any()) for link in fades
    ]
    measured = statistics(recorded)
    synthetic = statistics([_series(link.link, parameters) for link in fades])
    ratios = [found for link in fades if (found := _two_channels(link)) is not None]
    figures: dict[str, float] = {}
    rows = []
    for threshold in THRESHOLDS_DB:
        ours, theirs = synthetic.duration_s[threshold], measured.duration_s[threshold]
        key = f"at_{threshold:g}_db"
        figures[f"fades_measured_{key}"] = float(len(theirs))
        figures[f"median_duration_ratio_{key}"] = _ratio(np.median, ours, theirs)
        figures[f"mean_duration_ratio_{key}"] = _ratio(np.mean, ours, theirs)
        rows.append((threshold, len(theirs), *_durations(theirs), *_durations(ours)))
    sd = {"measured": measured.slope_sd(), "P.1853": synthetic.slope_sd(), "P.1623": slope_sd(_middles())}
    for low in (3.0, 6.0, 11.0):
        at = int(np.searchsorted(_LEVELS_DB, low))
        for model in ("P.1853", "P.1623"):
            name = f"slope_sd_ratio_{model.replace('.', '').lower()}_from_{low:g}_db"
            figures[name] = float(sd[model][at] / sd["measured"][at])
    if ratios:
        pairs = np.array(ratios)
        figures["two_frequency_links"] = float(len(pairs))
        figures["two_frequency_ratio_rms_error_percent"] = 100.0 * _rms(pairs[:, 1] / pairs[:, 0] - 1.0)
        figures["two_frequency_ratio_of_one_rms_error_percent"] = 100.0 * _rms(1.0 / pairs[:, 0] - 1.0)
    titles = ("measured median, s", "mean, s", "P.1853 median, s", "mean, s")
    return Comparison(
        model="fade-statistics",
        summary=f"Rain fades of {len(fades)} microwave links, beside synthetic rain on the same paths",
        figures=figures,
        tables=(
            Table("duration of fades", ("beyond, dB", "fades", *titles), tuple(rows)),
            Table(
                "standard deviation of the slope, dB/s",
                ("from, dB", "to, dB", *sd),
                tuple(
                    (float(low), float(high), *(float(values[n]) for values in sd.values()))
                    for n, (low, high) in enumerate(itertools.pairwise(_LEVELS_DB))
                ),
            ),
        ),
        remarks=(
            "A ratio above 1: the model's is longer, or faster.",
            "Links of one region see the same few storms, so their fades are not independent.",
            "Levels are rounded to some tenths of a dB and sampled once a minute: shorter fades are missed.",
            "P.1853's rain has no smallest scale: near a threshold it makes many short fades.",
            "P.1623 is stated for Earth-space paths at 10 to 50 degrees of elevation.",
        ),
        draw=lambda figure: _draw(figure, measured, synthetic, sd, ratios),
    )


def statistics(series: Sequence[Floats]) -> _Statistics:
    """Of attenuations in dB by minute: durations of fades and slopes, of all series together."""
    durations: dict[float, list[Floats]] = {threshold: [] for threshold in THRESHOLDS_DB}
    slopes: list[list[Floats]] = [[] for _ in _LEVELS_DB[1:]]
    for attenuation in series:
        for threshold, found in durations.items():
            found.append(fade_durations_s(attenuation, threshold))
        slope = (attenuation[2:] - attenuation[:-2]) / _SPAN_S
        level = np.digitize(attenuation[1:-1], _LEVELS_DB) - 1
        for n, kept in enumerate(slopes):
            kept.append(slope[(level == n) & np.isfinite(slope)])
    return _Statistics(
        {threshold: np.concatenate(found) for threshold, found in durations.items()},
        [np.concatenate(kept) for kept in slopes],
    )


def fade_durations_s(attenuation_db: Floats, threshold_db: float) -> Floats:
    """Durations in s of the stretches at or beyond a threshold, whole ones: not cut by a gap or an end."""
    beyond = attenuation_db >= threshold_db
    edges = np.flatnonzero(np.diff(np.concatenate(([0], beyond.astype(np.int8), [0]))))
    first, after = edges[::2], edges[1::2]
    around = np.concatenate(([math.nan], attenuation_db, [math.nan]))
    whole = np.isfinite(around[first]) & np.isfinite(around[after + 1])
    return np.asarray(STEP_S * (after - first)[whole], dtype=float)


def slope_sd(attenuation_db: Floats) -> Floats:
    """Standard deviation of the fade slope in dB/s at attenuations [n], ITU-R P.1623-1 eq. 18 and 19."""
    width = ((1.0 / _FILTER_HZ) ** _SLOPE_B + (2.0 * _SPAN_S) ** _SLOPE_B) ** (1.0 / _SLOPE_B)
    return np.asarray(_SLOPE_S * math.sqrt((2.0 * math.pi) ** 2 / width) * attenuation_db)


def _middles() -> Floats:
    return np.asarray((_LEVELS_DB[:-1] + _LEVELS_DB[1:]) / 2.0)


def _series(link: Link, parameters: Parameters) -> Floats:
    """Synthetic rain attenuation by minute of a link's first channel."""
    from emulator.radio.rain import terrestrial_attenuation_db
    from emulator.radio.rain_series import fit_log_normal, rain_climate
    from emulator.radio.rain_state import fill_states, place_key

    climate = rain_climate(Place(link.name, "ground", link.latitude_deg, link.longitude_deg))
    frequency_ghz, tilt_deg = link.channels[0]
    percents = [p for p in _PERCENTS if p < climate.rain_probability_percent]
    exceeded = [
        terrestrial_attenuation_db(climate.rain_rate_001_mm_h, frequency_ghz, link.length_km, p, tilt_deg)
        for p in percents
    ]
    fit = fit_log_normal(percents, exceeded, climate.rain_probability_percent)
    states = np.empty(round(parameters.years * 365.25 * 86_400.0 / STEP_S))
    fill_states(np.uint64(place_key(parameters.seed, link.name)), 0.0, STEP_S, states)
    return fit.attenuations_db(states)


def _two_channels(fades: Fades) -> tuple[float, float] | None:
    """Attenuation of the second channel over the first in deep fades: measured, and by P.838."""
    from emulator.radio.rain import specific_attenuation_db_km

    one, two = fades.attenuation_db
    deep = (one > _SCALED_DB) & np.isfinite(two)
    if deep.sum() < _LEAST_MINUTES:
        return None
    measured = float((one[deep] * two[deep]).sum() / (one[deep] ** 2).sum())
    (first_ghz, first_deg), (second_ghz, second_deg) = fades.link.channels
    per_km = float(np.median(one[deep])) / fades.link.length_km
    # the rate that makes the first channel's attenuation; it rises with the rate
    low, high = 0.0, 500.0
    for _ in range(60):
        rate = (low + high) / 2.0
        if specific_attenuation_db_km(rate, first_ghz, 0.0, first_deg) < per_km:
            low = rate
        else:
            high = rate
    expected = specific_attenuation_db_km(high, second_ghz, 0.0, second_deg) / per_km
    return measured, expected


def _durations(values: Floats) -> tuple[float, float]:
    return (float(np.median(values)), float(values.mean())) if len(values) else (math.nan, math.nan)


def _ratio(measure: Any, ours: Floats, theirs: Floats) -> float:
    return float(measure(ours) / measure(theirs)) if len(ours) and len(theirs) else math.nan


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _draw(
    figure: Any,
    measured: _Statistics,
    synthetic: _Statistics,
    sd: dict[str, Floats],
    ratios: Sequence[tuple[float, float]],
) -> None:
    from testbed.report import style

    lasting, moving, scaling = figure.subplots(1, 3, width_ratios=(1.3, 1.2, 1.0))
    for threshold, colour in zip(THRESHOLDS_DB, style.SERIES, strict=False):
        for found, line in ((measured, "-"), (synthetic, ":")):
            values = np.sort(found.duration_s[threshold])
            if len(values):
                share = 1.0 - np.arange(len(values)) / len(values)
                label = f"{threshold:g} dB" if found is measured else None
                lasting.plot(values / 60.0, share, line, color=colour, label=label, drawstyle="steps-post")
    lasting.plot([], [], ":", color=style.MUTED, label="P.1853")
    lasting.set(xscale="log", yscale="log", ylim=(0.01, 1.0), xlabel="duration of fade, minutes")
    lasting.set_ylabel("share of fades that last longer")
    lasting.legend()
    for (name, values), line in zip(sd.items(), ("o-", ":", "--"), strict=True):
        moving.plot(_middles(), values, line, ms=3, label=name)
    moving.set(xlabel="attenuation, dB", ylabel="standard deviation of slope, dB/s")
    moving.legend()
    if ratios:
        pairs = np.array(ratios)
        scaling.plot(pairs[:, 1], pairs[:, 0], "o", ms=4, color=style.ORANGE)
        ends = [float(pairs.min()) - 0.02, float(pairs.max()) + 0.02]
        scaling.plot(ends, ends, color=style.MUTED, lw=0.8)
    scaling.set(xlabel="second over first channel, P.838", ylabel="measured")
