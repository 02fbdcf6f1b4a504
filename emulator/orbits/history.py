"""Element sets of several days: which one counts at a moment, how old it is, and when it stopped being true.

A satellite's sets are those that carry its name (see `emulator.orbits.elements`). Nothing is blended: at
a moment one published set counts, as for an operator. Ages and jumps are what tells how far to trust it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.errors import ElementsError, WorldError
from emulator.orbits.elements import Element
from emulator.units import SECONDS_PER_DAY

#: "published": the newest set with an epoch not after the moment (the earliest when there is none);
#: "nearest": the set whose epoch is nearest in time
CHOICES = ("published", "nearest")

#: a jump stands out when it exceeds the median by this many robust standard deviations (1.4826 times the
#: median absolute deviation) of the same satellite
JUMP_SIGMAS = 10.0
#: fewer sets than this do not tell a satellite's spread
LEAST_SETS = 10
#: jumps of sets this close belong to one manoeuvre: a set fitted across it is wrong as well, days
_ONE_MANOEUVRE_DAYS = 2.0

_UNIX_ZERO = 2_440_587.5  # Julian day
_SECONDS_PER_HOUR = 3600.0

MANOEUVRE = np.dtype(
    [
        ("from_julian_day", "f8"),
        ("to_julian_day", "f8"),
        ("jump_m", "f8"),
        ("threshold_m", "f8"),
        ("sets", "i4"),
    ]
)


def histories(elements: Sequence[Element]) -> dict[str, list[Any]]:
    """The records of each satellite by name, in order of epoch; satellites in the order given.

    Of several sets of the same epoch the last given counts, being the later publication.
    """
    found: dict[str, list[Any]] = {}
    for name, record in elements:
        found.setdefault(name, []).append(record)
    for name, records in found.items():
        if len(records) > 1:
            by_epoch = {(record.jdsatepoch, record.jdsatepochF): record for record in records}
            found[name] = [by_epoch[epoch] for epoch in sorted(by_epoch, key=sum)]
    return found


def select(
    elements: Sequence[Element], moment: tuple[float, float], choice: str = "published"
) -> tuple[list[Element], NDArray[np.float64]]:
    """The one set of each satellite that counts at a moment, and its age.

    `elements`: any number of sets a satellite; `moment`: (Julian day, fraction) in UTC; `choice`: one of
    `CHOICES`. Returns the chosen sets, satellites in the order given, and their ages [n] in s: how long
    before the moment the epoch is (negative: after it). Raises `WorldError` for another choice.
    """
    if choice not in CHOICES:
        raise WorldError(f"constellation.elements_choice is {choice!r}, allowed: {', '.join(CHOICES)}")
    day, fraction = moment
    chosen: list[Element] = []
    ages_s = []
    for name, records in histories(elements).items():
        ages = [((day - r.jdsatepoch) + (fraction - r.jdsatepochF)) * SECONDS_PER_DAY for r in records]
        at = 0
        if choice == "nearest":
            at = min(range(len(ages)), key=lambda k: abs(ages[k]))
        elif len(ages) > 1:
            at = max((k for k, age in enumerate(ages) if age >= 0.0), default=0)
        chosen.append((name, records[at]))
        ages_s.append(ages[at])
    return chosen, np.array(ages_s, dtype=np.float64)


def middle_epoch(sets: Sequence[Element]) -> str:
    """Median epoch of element sets to the full hour, ISO 8601 with Z."""
    days = sorted(record.jdsatepoch + record.jdsatepochF for _, record in sets)
    hours = round((days[len(days) // 2] - _UNIX_ZERO) * SECONDS_PER_DAY / _SECONDS_PER_HOUR)
    return datetime.fromtimestamp(hours * _SECONDS_PER_HOUR, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def jumps_m(history: Sequence[Any]) -> NDArray[np.float64]:
    """How far each set is from the prediction of the one before, at its own epoch, [n - 1, 3] m.

    `history`: records of one satellite in order of epoch. Columns are radial, along-track, cross-track;
    not numbers where SGP4 fails.
    """
    found = np.full((max(len(history) - 1, 0), 3), np.nan)
    for k in range(len(found)):
        here = (history[k + 1].jdsatepoch, history[k + 1].jdsatepochF)
        error, predicted, _ = history[k].sgp4(*here)
        failed, position, velocity = history[k + 1].sgp4(*here)
        if error or failed:
            continue
        radial = np.asarray(position) / np.linalg.norm(position)
        across = np.cross(position, velocity)
        across /= np.linalg.norm(across)
        off = (np.asarray(position) - np.asarray(predicted)) * 1e3
        found[k] = off @ radial, off @ np.cross(across, radial), off @ across
    return found


def manoeuvres(history: Sequence[Any]) -> NDArray[Any]:
    """Where consecutive sets of one satellite do not continue each other: its likely manoeuvres.

    `history`: records in order of epoch, at least `LEAST_SETS`. The distance between the prediction of a
    set and the next set is compared with median + `JUMP_SIGMAS` robust standard deviations of that
    satellite's own distances; sets within two days of each other are one manoeuvre. Returns an array of
    `MANOEUVRE`: epochs of the last set before and the last that jumped, the largest jump, the threshold, and
    how many sets jumped. Published epochs lie up to a day before the observations they were fitted to,
    so the manoeuvre itself may be up to a day after `to_julian_day`.
    Raises `ElementsError` for a history that is too short.
    """
    if len(history) < LEAST_SETS:
        raise ElementsError(
            f"a history of {len(history)} sets does not tell a jump from its own spread, "
            f"at least {LEAST_SETS} are needed"
        )
    epoch = np.array([record.jdsatepoch + record.jdsatepochF for record in history])
    jump = np.linalg.norm(jumps_m(history), axis=1)
    known = jump[np.isfinite(jump)]
    if not len(known):
        return np.zeros(0, dtype=MANOEUVRE)
    middle = float(np.median(known))
    threshold = middle + JUMP_SIGMAS * 1.4826 * float(np.median(np.abs(known - middle)))
    events: list[tuple[float, float, float, float, int]] = []
    for k in np.flatnonzero(jump > threshold):
        if events and epoch[k + 1] - events[-1][1] <= _ONE_MANOEUVRE_DAYS:
            begin, _, largest, _, count = events.pop()
            events.append((begin, epoch[k + 1], max(largest, jump[k]), threshold, count + 1))
        else:
            events.append((epoch[k], epoch[k + 1], jump[k], threshold, 1))
    return np.array(events, dtype=MANOEUVRE)
