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
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbed.errors import BadInput
from testbed.measured.comparison import Comparison, Table
from testbed.measured.readers import read_table
from testbed.report.verdicts import Verdict

Floats = NDArray[np.float64]

#: documented agreement of the published directions: the median may be this far off, degrees
DIRECTION_BOUND_DEG = 2.0
#: share of slots in which the serving satellite must be among the candidates
CANDIDATE_BOUND = 0.99
#: directions further from the fit than this many medians do not take part in it: names are inferred, and
#: the map keeps what was painted before
_TRIM = 3.0
_FIT_ROUNDS = 20
#: with fewer slots there is nothing to fit on or to judge by
_LEAST_SLOTS = 6
#: choices that are no policies of ours
_BASELINES = ("random candidate", "the one before")


@dataclass(frozen=True)
class Parameters:
    """Where the dish stands, whose elements are used, and how slots are counted."""

    latitude_deg: float
    longitude_deg: float
    elements: str
    altitude_m: float = 0.0
    min_elevation_deg: float = 25.0
    #: slots start at these UTC seconds of the minute, and every `slot_s` after
    slot_s: float = 15.0
    slot_offset_s: float = 12.0
    #: the first part of the slots, on which the rotation is fitted
    calibration_share: float = 1.0 / 3.0
    #: how much better another satellite must be before a policy leaves the one it has
    hysteresis_deg: float = 0.0
    hysteresis_db: float = 0.0


@dataclass(frozen=True)
class Observed:
    """Rows of a measurement [n], in time order; directions are unit vectors in the dish's frame."""

    time_s: Floats
    direction: Floats
    satellite: NDArray[np.str_]


def compare(files: Sequence[Path], parameters: Parameters) -> Comparison:
    """Judge one dish's record; see the module's first paragraph. Raises `BadInput` and `WorldError`."""
    if len(files) != 1:
        raise BadInput(f"serving-satellite: got {len(files)} files, one dish at a time has one rotation")
    _check(parameters)
    observed = read(files[0])
    sky = Sky(parameters, observed.time_s)
    known = np.isin(observed.satellite, list(sky.index))
    if not known.any():
        raise BadInput(f"{files[0]}: none of its satellites is in {parameters.elements}")
    missing = sorted(set(observed.satellite[~known]))
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
    stayed = [a == b for a, b in itertools.pairwise(serving)]
    hits["the one before"] = float(np.mean(stayed))
    return _result(
        parameters, sky, observed, rotation, away_deg, among, hits, missing, [len(c) for c in seen]
    )


def _check(parameters: Parameters) -> None:
    for name, low, high in (
        ("latitude_deg", -90.0, 90.0), ("longitude_deg", -180.0, 360.0), ("min_elevation_deg", 0.0, 90.0),
        ("calibration_share", 0.05, 0.95), ("slot_s", 1.0, 3600.0),
    ):  # fmt: skip
        value = getattr(parameters, name)
        if not low <= value <= high:
            raise BadInput(f"serving-satellite: {name} is {value:g}, allowed: {low:g} to {high:g}")


def read(path: Path) -> Observed:
    """Columns utc, azimuth_deg and elevation_deg (empty where nothing was painted), satellite."""
    table = read_table(path)
    azimuth, elevation = np.radians(table.numbers("azimuth_deg")), np.radians(table.numbers("elevation_deg"))
    direction = np.stack(
        [np.cos(elevation) * np.sin(azimuth), np.cos(elevation) * np.cos(azimuth), np.sin(elevation)], axis=-1
    )
    time_s = table.times_s("utc", "time")
    satellite = np.array(table.texts("satellite", "connected_satellite"))
    kept = np.flatnonzero(satellite != "")
    order = kept[np.argsort(time_s[kept], kind="stable")]
    if not len(order):
        raise BadInput(f"{path}: names no satellite")
    return Observed(time_s[order], direction[order], satellite[order])


def _most(names: NDArray[np.str_]) -> str:
    return str(Counter(names.tolist()).most_common(1)[0][0])


# --- directions ----------------------------------------------------------------------------------------


def fit_rotation(dish: Floats, local: Floats) -> Floats:
    """The rotation [3, 3] that turns unit vectors [n, 3] of the dish's frame into the local one.

    Least squares over the sphere (Wahba's problem, by singular value decomposition: Markley 1988), repeated
    over those within some medians of the fit.
    """
    kept = np.ones(len(dish), dtype=bool)
    for _ in range(_FIT_ROUNDS):
        left, _, right = np.linalg.svd(local[kept].T @ dish[kept])
        handed = np.linalg.det(left) * np.linalg.det(right)
        rotation = left @ np.diag([1.0, 1.0, handed]) @ right
        away = angle_deg(dish @ rotation.T, local)
        now = away <= _TRIM * max(float(np.median(away)), 1e-6)
        if np.array_equal(now, kept):
            break
        kept = now
    return np.asarray(rotation)


def angle_deg(a: Floats, b: Floats) -> Floats:
    """Angles in degrees between unit vectors [n, 3]."""
    chord = np.linalg.norm(a - b, axis=1)
    return np.asarray(np.degrees(2.0 * np.arcsin(np.clip(chord / 2.0, 0.0, 1.0))))


def yaw_and_tilt_deg(rotation: Floats) -> tuple[float, float]:
    """By how much azimuths grow, and how far the dish's axis is from the zenith, degrees."""
    yaw = math.atan2(rotation[0, 1] - rotation[1, 0], rotation[0, 0] + rotation[1, 1])
    return math.degrees(yaw), math.degrees(math.acos(min(max(rotation[2, 2], -1.0), 1.0)))


# --- our side ------------------------------------------------------------------------------------------


class Sky:
    """What the emulator sees from the dish's site over the time of a measurement."""

    def __init__(self, parameters: Parameters, time_s: Floats) -> None:
        from emulator.geometry import ecef_from_geodetic, enu_axes
        from emulator.orbits.elements import load_elements, usable
        from emulator.orbits.ephemeris import Ephemeris
        from emulator.orbits.frames import RunClock

        self._parameters = parameters
        #: POSIX seconds of run time 0: before the first slot of the measurement
        self.start_s = math.floor(float(time_s[0])) - 2.0 * parameters.slot_s
        end_s = float(time_s[-1]) - self.start_s + parameters.slot_s
        self._clock = RunClock(datetime.fromtimestamp(self.start_s, UTC).isoformat())
        ends = [self._clock.julian(0.0), self._clock.julian(end_s)]
        elements, _ = usable(load_elements(parameters.elements), ends)
        #: satellite's name -> its row
        self.index = {name: row for row, (name, _) in enumerate(elements)}
        self.names = [name for name, _ in elements]
        self._ephemeris = Ephemeris([record for _, record in elements], self._clock)
        where = parameters.latitude_deg, parameters.longitude_deg
        self._place = ecef_from_geodetic(*where, parameters.altitude_m)
        self._axes = enu_axes(*where)
        self._sine = math.sin(math.radians(parameters.min_elevation_deg))
        middle = sum(self._clock.julian(0.5 * end_s))
        ages = [middle - record.jdsatepoch - record.jdsatepochF for _, record in elements]
        self.age_days = float(np.median(ages))

    def _rays(self, time_s: float, rows: NDArray[np.int32] | None = None) -> Floats:
        """Unit vectors east, north, up [satellites, 3] from the dish."""
        ray = self._ephemeris.positions(time_s - self.start_s, rows) - self._place
        return np.asarray((ray / np.linalg.norm(ray, axis=1, keepdims=True)) @ self._axes.T)

    def directions(self, time_s: Floats, names: NDArray[np.str_]) -> Floats:
        """Unit vectors east, north, up [n, 3] of the named satellites, each at its own time."""
        rows = np.array([self.index[name] for name in names], dtype=np.int32)
        seconds = zip(time_s.tolist(), rows[:, None], strict=True)
        return np.concatenate([self._rays(at_s, row) for at_s, row in seconds])

    def candidates(self, time_s: float) -> set[int]:
        """Rows of the satellites above the least elevation."""
        return set(np.flatnonzero(self._rays(time_s)[:, 2] >= self._sine).tolist())

    def chosen(self, policy: str, starts_s: Floats) -> list[str]:
        """The satellite that the policy has the dish use in each slot, "" for none."""
        from emulator.spec import AccessSpec, Place
        from emulator.topology.access import Access

        p = self._parameters
        dish = Place(
            "dish", "ground", p.latitude_deg, p.longitude_deg, p.altitude_m, access="terminal",
            min_elevation_deg=p.min_elevation_deg,
        )  # fmt: skip
        rules = AccessSpec(
            policy, p.hysteresis_deg, p.hysteresis_db, decision_interval_s=p.slot_s,
            decision_offset_s=p.slot_offset_s % p.slot_s,
        )  # fmt: skip
        access = Access(
            rules, [dish], [], self._ephemeris, self._clock.second_of_day, False, _clear_sky()
        )  # fmt: skip
        names = []
        for start_s in starts_s.tolist():
            access.advance(start_s - self.start_s)
            provider = access.choice.serving[0]
            # the dish is place 0, satellites follow
            names.append(self.names[provider - 1] if provider > 0 else "")
        return names


def _clear_sky() -> Any:
    """Nominal figures of a link down in Starlink's band, for the policies that look at them.

    Only their order matters: range alone decides the SNR, and the ModCod that it buys the rate.
    """
    from emulator.radio.budget import free_space_loss_db, snr_db
    from emulator.radio.modcod import modcod_table
    from emulator.spec import RadioSpec
    from emulator.topology.policies import Nominal

    radio, table = RadioSpec("ku", down_frequency_ghz=11.7, down_bandwidth_mhz=240.0), modcod_table("dvb-s2x")

    def snr(_place: int, _provider: NDArray[np.int32], range_m: Floats, _elevation_deg: Floats) -> Floats:
        loss = free_space_loss_db(range_m, radio.down_frequency_ghz) + radio.implementation_loss_db
        ends = np.full((3, len(loss)), [[radio.down_eirp_dbw], [radio.down_g_over_t_db_k], [240.0]])
        return snr_db(ends[0], ends[1], ends[2], loss)

    def rate(place: int, provider: NDArray[np.int32], range_m: Floats, elevation_deg: Floats) -> Floats:
        level = snr(place, provider, range_m, elevation_deg)
        new, none = np.full(len(level), -1, dtype=np.int16), np.zeros(len(level))
        chosen = table.select(level, new, np.full(len(level), radio.margin_db), none)
        return np.asarray(table.efficiency[chosen] * radio.down_bandwidth_mhz * 1e6)

    return Nominal(snr, rate)


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
        f"The elements are {sky.age_days:.1f} days old (median) in the middle of the measurement; Starlink "
        "elements of a day are typically 8 to 9 km off along the track, about a degree at 550 km.",
        "The policies choose for this one terminal, without gateways, other users or the operator's load; "
        "`random candidate` and `the one before` are baselines, the latter being told what served last.",
        "With one terminal, load-aware has nobody to share with and looks at the rate alone.",
    ]
    if missing:
        remarks.append(
            f"{len(missing)} satellites are not in the elements and are left out: {missing[0]}, ..."
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
