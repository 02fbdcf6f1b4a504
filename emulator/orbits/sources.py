"""The satellites of a constellation, from all that it names together, as they count at the start of a run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.orbits.elements import Element, parse_elements
from emulator.orbits.frames import RunClock
from emulator.orbits.history import select
from emulator.orbits.shells import generate
from emulator.spec import ConstellationSpec


def satellites_of(spec: ConstellationSpec, clock: RunClock) -> tuple[list[Element], NDArray[np.float64]]:
    """Elements, shells, geostationary satellites and those over a region, one set each, in this order.

    Returns the sets, before it is known whether they can be propagated, and their ages [n] at the start
    in s (generated ones: 0). Raises `WorldError` when two satellites have one name.
    """
    given: list[Element] = []
    ages_s = np.zeros(0)
    if spec.elements:
        sets = parse_elements(spec.elements, spec.elements_format, source="constellation.elements")
        given, ages_s = select(sets, clock.julian(0.0), spec.elements_choice)
    made = generate(spec, clock, {record.satnum for _, record in given})
    unique_names([*given, *made])
    return [*given, *made], np.concatenate([ages_s, np.zeros(len(made))])


def unique_names(elements: list[Element]) -> None:
    """Raises `WorldError` naming the first name that two satellites have."""
    seen: set[str] = set()
    for name, _ in elements:
        if name in seen:
            raise WorldError(
                f"constellation: two satellites are named {name!r}, give shells and satellites other names"
            )
        seen.add(name)
