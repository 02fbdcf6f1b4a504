"""Which satellite served a dish, slot by slot: published sky directions and names against our own geometry.

Measured: for every second the direction in which the dish painted its map, in the dish's own frame, and the
satellite that the authors of the measurement inferred from its track. Compared: the direction of that
satellite by SGP4 from the stated site (after one rotation per dish, fitted on the first part of the slots
and judged on the rest), whether it is among our candidates, and how often each access policy picks it.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbed.errors import BadInput
from testbed.measured.comparison import Comparison, Table
from testbed.measured.dish_rotation import angle_deg, fit_rotation, yaw_and_tilt_deg
from testbed.measured.serving_record import Observed, Parameters, check, read
from testbed.measured.serving_sky import Sky
from testbed.report.verdicts import Verdict

Floats = NDArray[np.float64]

#: documented agreement of the published directions: the median may be this far off, degrees
DIRECTION_BOUND_DEG = 2.0
#: share of slots in which the serving satellite must be among the candidates
CANDIDATE_BOUND = 0.99
#: with fewer slots there is nothing to fit on or to judge by
_LEAST_SLOTS = 6
#: choices that are no policies of ours
_BASELINES = ("random candidate", "the one before")


def compare(files: Sequence[Path], parameters: Parameters) -> Comparison:
    """Judge one dish's record; see the module's first paragraph. Raises `BadInput` and `WorldError`."""
    if len(files) != 1:
        raise BadInput(f"serving-satellite: got {len(files)} files, one dish at a time has one rotation")
    check(parameters)
    observed = read(files[0])
    sky = Sky(parameters, observed.time_s, str(files[0]))
    known = np.isin(observed.satellite, list(sky.index))
    if not known.any():
        raise BadInput(f"{files[0]}: none of its satellites is in {parameters.elements}")
    missing = sorted(set(observed.satellite[~known]))
    left_out = float(1.0 - known.mean())
    observed = Observed(observed.time_s[known], observed.direction[known], observed.satellite[known])

    slot = np.floor((observed.time_s - parameters.slot_offset_s) / parameters.slot_s).astype(np.int64)
    slots = np.unique(slot)
    if len(slots) < _LEAST_SLOTS:
        raise BadInput(f"{files[0]}: spans {len(slots)} slots, at least {_LEAST_SLOTS} are needed")
    last = slots[max(int(len(slots) * parameters.calibration_share), 2) - 1]
    expected = sky.directions(observed.time_s, observed.satellite)
    painted = np.isfinite(observed.direction).all(axis=1) & np.isfinite(expected).all(axis=1)
    fitted, judged = painted & (slot <= last), painted & (slot > last)
    if fitted.sum() < 3 or not judged.any():
        raise BadInput(f"{files[0]}: too few directions, {fitted.sum()} to fit on, {judged.sum()} to judge")
    rotation = fit_rotation(observed.direction[fitted], expected[fitted])
    away_deg = angle_deg(observed.direction[judged] @ rotation.T, expected[judged])

    serving = [_most(observed.satellite[slot == number]) for number in slots]
    starts_s = np.asarray(slots * parameters.slot_s + parameters.slot_offset_s, dtype=np.float64)
    seen = [sky.candidates(float(start)) for start in starts_s]
    among = np.array([sky.index[name] in candidates for name, candidates in zip(serving, seen, strict=True)])
    hits = _policy_hits(sky, starts_s, serving)
    hits["random candidate"] = float(
        np.mean([inside / max(len(candidates), 1) for inside, candidates in zip(among, seen, strict=True)])
    )
    # only of slots that follow each other: over a gap it is not told what served last
    after = [n for n, (a, b) in enumerate(itertools.pairwise(slots.tolist())) if b - a == 1]
    stayed = [serving[n] == serving[n + 1] for n in after]
    hits["the one before"] = float(np.mean(stayed)) if stayed else math.nan
    return _result(
        parameters, sky, observed, rotation, away_deg, among, hits, missing, left_out, [len(c) for c in seen]
    )


def _most(names: NDArray[np.str_]) -> str:
    return str(Counter(names.tolist()).most_common(1)[0][0])


def _policy_hits(sky: Sky, starts_s: Floats, serving: list[str]) -> dict[str, float]:
    from emulator.topology.policies import POLICIES

    hits = {}
    for policy in POLICIES:
        chosen = sky.chosen(policy, starts_s)
        hits[policy] = float(np.mean([a == b for a, b in zip(chosen, serving, strict=True)]))
    return hits


# --- result --------------------------------------------------------------------------------------------


def _result(
    parameters: Parameters,
    sky: Sky,
    observed: Observed,
    rotation: Floats,
    away_deg: Floats,
    among: NDArray[np.bool_],
    hits: dict[str, float],
    missing: list[str],
    left_out: float,
    seen: list[int],
) -> Comparison:
    p25, p50, p75, p90 = (float(q) for q in np.quantile(away_deg, (0.25, 0.5, 0.75, 0.9)))
    yaw_deg, tilt_deg = yaw_and_tilt_deg(rotation)
    share = float(among.mean())
    figures = {
        "direction_error_deg_p25": p25,
        "direction_error_deg_p50": p50,
        "direction_error_deg_p75": p75,
        "direction_error_deg_p90": p90,
        "directions_judged": float(len(away_deg)),
        "yaw_deg": yaw_deg,
        "tilt_deg": tilt_deg,
        "slots": float(len(among)),
        "in_candidates_share": share,
        "candidates_mean": float(np.mean(seen)),
        "elements_age_days": sky.age_days,
        "left_out_share": left_out,
        **{f"picked_by_{name.replace('-', '_').replace(' ', '_')}_share": hits[name] for name in hits},
    }
    bound = parameters.min_elevation_deg
    verdicts = (
        Verdict(
            "direction_agreement", p50 <= DIRECTION_BOUND_DEG, p50, DIRECTION_BOUND_DEG,
            f"median {p50:.2f} degrees from the SGP4 direction over {len(away_deg)} seconds, bound "
            f"{DIRECTION_BOUND_DEG:g}",
        ),
        Verdict(
            "serving_among_candidates", share >= CANDIDATE_BOUND, share, CANDIDATE_BOUND,
            f"above {bound:g} degrees in {share:.1%} of {len(among)} slots, bound {CANDIDATE_BOUND:.0%}",
        ),
    )  # fmt: skip
    remarks = [
        "The satellites' names are inferred by the measurement's authors from the painted track, not "
        "signalled: agreement in direction is partly by construction.",
        f"The elements are {abs(sky.age_days):.1f} days {'older' if sky.age_days >= 0.0 else 'younger'} "
        "(median) than the middle of the measurement; Starlink elements of a day are typically 8 to 9 km off "
        "along the track, about a degree at 550 km.",
        "The policies choose for this one terminal, without gateways, other users or the operator's load; "
        "`random candidate` and `the one before` are baselines, the latter being told what served last.",
        "With one terminal, load-aware has nobody to share with and looks at the rate alone.",
    ]
    if missing:
        remarks.append(
            f"{len(missing)} satellites are not in the elements and are left out with {left_out:.1%} of the "
            f"rows, so neither is judged: {missing[0]}{', ...' if len(missing) > 1 else ''}"
        )
    rows = tuple(sorted(hits.items(), key=lambda item: -item[1]))
    return Comparison(
        "serving-satellite",
        f"{len(among)} slots of {parameters.slot_s:g} s seen from {parameters.latitude_deg:g} N "
        f"{parameters.longitude_deg:g} E: {len(set(observed.satellite))} satellites",
        figures,
        verdicts,
        (Table("How often the choice is the serving satellite", ("choice", "share of slots"), rows),),
        tuple(remarks),
        lambda figure: _draw(figure, away_deg, rows),
    )


def _draw(figure: Any, away_deg: Floats, rows: tuple[tuple[str, float], ...]) -> None:
    from testbed.report.style import AMBER, BLUE, MUTED, ORANGE

    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
    left.hist(np.minimum(away_deg, 10.0), bins=np.arange(0.0, 10.25, 0.25), color=BLUE)
    left.axvline(
        DIRECTION_BOUND_DEG, color=ORANGE, ls="--", label=f"bound of the median, {DIRECTION_BOUND_DEG:g}°"
    )
    left.axvline(float(np.median(away_deg)), color=AMBER, label=f"median, {np.median(away_deg):.2f}°")
    left.set(xlabel="angle to the SGP4 direction, degrees (10: and more)", ylabel="seconds")
    left.set_title("Published direction of the serving satellite")
    left.legend()
    names, shares = [name for name, _ in rows[::-1]], [share for _, share in rows[::-1]]
    own = [MUTED if name in _BASELINES else BLUE for name in names]
    bars = right.barh(names, np.array(shares) * 100.0, color=own)
    right.bar_label(bars, fmt="%.0f %%", padding=3)
    right.set(xlabel="slots in which it picks the serving one, %", xlim=(0.0, 100.0))
    right.set_title("Access policies (baselines grey)")
    right.grid(axis="y", visible=False)
