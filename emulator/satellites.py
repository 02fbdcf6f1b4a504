"""The satellites of a world: from the sources that a constellation names to one element set each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.orbits.elements import Element, elements_to_text, parse_elements, usable
from emulator.orbits.frames import RunClock
from emulator.orbits.history import select
from emulator.orbits.shells import generate
from emulator.spec import ConstellationSpec, WorldSpec


@dataclass(frozen=True)
class Satellites:
    """The satellites that can be propagated through a run, n of them, and why others cannot."""

    elements: list[Element]
    #: how long before the run's start the epoch of each set is, s [n]; below 0: after it
    ages_s: NDArray[np.float64]
    #: name -> reason, of those that were left out
    skipped: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.elements)


def satellites_of(spec: ConstellationSpec, clock: RunClock) -> tuple[list[Element], NDArray[np.float64]]:
    """The satellites that a constellation names and the ages in s of their sets [n] at the run's start.

    Whether they can be propagated is not looked at. Raises `WorldError`.
    """
    found: list[Element] = []
    ages_s = np.zeros(0)
    if spec.elements:
        parsed = parse_elements(spec.elements, spec.elements_format, source="constellation.elements")
        found, ages_s = select(parsed, clock.julian(0.0), spec.elements_choice)
    if spec.shells or spec.geostationary or spec.over_region is not None:
        made = generate(spec, clock, taken={record.satnum for _, record in found})
        found, ages_s = found + made, np.concatenate([ages_s, np.zeros(len(made))])
    count = Counter(name for name, _ in found)
    twice = [name for name, number in count.items() if number > 1]
    if twice:
        raise WorldError(f"constellation: two satellites are called {twice[0]!r}, each needs its own name")
    return found, ages_s


def usable_satellites(spec: WorldSpec, clock: RunClock) -> Satellites:
    """The satellites of a world that SGP4 propagates from its start to its end. Raises `WorldError`."""
    found, ages_s = satellites_of(spec.constellation, clock)
    if not found:
        return Satellites([], ages_s, {})
    kept, skipped = usable(found, [clock.julian(0.0), clock.julian(spec.duration_s)])
    stays = np.array([name not in skipped for name, _ in found], dtype=np.bool_)
    return Satellites(kept, ages_s[stays], skipped)


def published_elements(spec: WorldSpec) -> str:
    """The constellation as three-line elements: what an operator would publish, for whatever source."""
    return elements_to_text(satellites_of(spec.constellation, RunClock(spec.start_utc))[0])
