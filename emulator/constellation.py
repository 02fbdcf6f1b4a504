"""Satellites for users of the library: where they are, what a place sees of them, and when.

    sky = Constellation.walker(550.0, 53.0, 1584, 72, 17, start_utc="2025-10-01T12:00:00Z")
    seen = sky.look(Site(48.1, 11.6, 520.0), 60.0)
    print(sky.names[seen["satellite"][0]], seen["elevation_deg"][0], seen["slant_range_m"][0])

Times are seconds after `start_utc`; positions and velocities are Earth-fixed (ECEF). Links, radio and
networks are `emulator.World`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.errors import WorldError
from emulator.geometry import geodetic_from_ecef
from emulator.observer import LOOK, Observer, Site, checked
from emulator.orbits.elements import Element, load_elements, parse_elements, usable
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.frames import FARTHEST_S, RunClock
from emulator.orbits.history import middle_epoch, select
from emulator.satellites import satellites_of
from emulator.spec import CircularShell, ConstellationSpec, Geostationary, Place
from emulator.topology.windows import contact_windows
from emulator.units import SECONDS_PER_DAY

__all__ = ["LOOK", "Constellation", "Site"]

Floats = NDArray[np.float64]


class Constellation:
    """Satellites in run time.

    `elements`: (name, sgp4 record) of each satellite, names unique; `start_utc`: ISO 8601 with Z, the zero
    of run time; `ages_s` [n]: how old the elements are then; `duration_s`: satellites that SGP4 cannot
    propagate to the start or to so long after it are left out, and are in `skipped`. Raises `WorldError`
    with one sentence.
    """

    def __init__(
        self,
        elements: Sequence[Element],
        start_utc: str,
        *,
        ages_s: ArrayLike | None = None,
        duration_s: float = SECONDS_PER_DAY,
    ) -> None:
        if not elements:
            raise WorldError("constellation: names no satellite")
        if not 0.0 <= duration_s <= FARTHEST_S:
            raise WorldError(f"constellation: duration_s is {duration_s:g}, allowed: 0 to {FARTHEST_S:g}")
        count = Counter(name for name, _ in elements)
        twice = [name for name, number in count.items() if number > 1]
        if twice:
            raise WorldError(
                f"constellation: two satellites are called {twice[0]!r}, each needs its own name"
            )
        self.start_utc = start_utc
        self.duration_s = duration_s
        self._clock = RunClock(start_utc)
        start = self._clock.julian(0.0)
        if ages_s is None:
            _, ages_s = select(elements, start)
        ages_s = np.asarray(ages_s, dtype=np.float64)
        if ages_s.shape != (len(elements),):
            raise WorldError(
                f"constellation: ages_s has shape {ages_s.shape}, should have one for each of {len(elements)}"
            )
        #: (name, sgp4 record) of every satellite that is propagated
        self.elements, self.skipped = usable(list(elements), [start, self._clock.julian(duration_s)])
        #: [n] names, in the order of all arrays
        self.names = tuple(name for name, _ in self.elements)
        self.index = {name: index for index, name in enumerate(self.names)}
        kept = np.array([name not in self.skipped for name, _ in elements])
        #: [n] seconds from the epoch of the elements to the start (below 0: the epoch is after the start)
        self.ages_s: Floats = ages_s[kept]
        self._ephemeris = Ephemeris([record for _, record in self.elements], self._clock)

    def __repr__(self) -> str:
        left_out = f", {len(self.skipped)} left out" if self.skipped else ""
        return f"<Constellation of {len(self)} from {self.start_utc}{left_out}>"

    # --- where from -----------------------------------------------------------------------------

    @classmethod
    def of(
        cls, spec: ConstellationSpec, start_utc: str, duration_s: float = SECONDS_PER_DAY
    ) -> Constellation:
        """The satellites of a specification: elements, shells, geostationary ones, those over a region."""
        elements, ages_s = satellites_of(spec, RunClock(start_utc))
        return cls(elements, start_utc, ages_s=ages_s, duration_s=duration_s)

    @classmethod
    def from_text(
        cls,
        text: str,
        form: str = "",
        *,
        start_utc: str = "",
        choice: str = "published",
        duration_s: float = SECONDS_PER_DAY,
    ) -> Constellation:
        """Satellites of a TLE or OMM text.

        `form`: "tle", "omm-json", "omm-xml", "omm-csv"; empty: detected. `start_utc`: empty: the median
        epoch, to the full hour. `choice`: which of several sets of a satellite counts at the start,
        "published" (the newest before it) or "nearest".
        """
        return cls._of_sets(parse_elements(text, form), start_utc, choice, duration_s)

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *more: str | Path,
        start_utc: str = "",
        choice: str = "published",
        duration_s: float = SECONDS_PER_DAY,
    ) -> Constellation:
        """Satellites of one or several TLE or OMM files, plain or gzip; see `from_text`.

        Of a list of paths: `from_file(*paths)`.
        """
        return cls._of_sets(load_elements(path, *more), start_utc, choice, duration_s)

    @classmethod
    def _of_sets(cls, sets: list[Element], start_utc: str, choice: str, duration_s: float) -> Constellation:
        start_utc = start_utc or middle_epoch(sets)
        elements, ages_s = select(sets, RunClock(start_utc).julian(0.0), choice)
        return cls(elements, start_utc, ages_s=ages_s, duration_s=duration_s)

    @classmethod
    def walker(
        cls,
        altitude_km: float,
        inclination_deg: float,
        satellites: int,
        planes: int,
        phasing: int = 0,
        *,
        start_utc: str,
        pattern: str = "delta",
        name: str = "sat",
    ) -> Constellation:
        """A Walker shell i:T/P/F, "delta" (planes over 360 deg) or "star" (over 180 deg)."""
        shell = CircularShell(altitude_km, inclination_deg, satellites, planes, phasing, pattern, name)
        return cls.of(ConstellationSpec(shells=(shell,)), start_utc)

    @classmethod
    def geostationary(cls, *satellites: Geostationary, start_utc: str) -> Constellation:
        """Satellites that stand over the equator."""
        return cls.of(ConstellationSpec(geostationary=satellites), start_utc)

    @classmethod
    def combined(cls, *parts: Constellation) -> Constellation:
        """Several constellations as one, in the order given; they must begin at the same time."""
        if not parts:
            raise WorldError("constellation: names no satellite")
        starts = sorted({part.start_utc for part in parts})
        if len(starts) > 1:
            raise WorldError(f"constellations that are combined begin at {', '.join(starts)}, give one start")
        whole = cls(
            [element for part in parts for element in part.elements],
            parts[0].start_utc,
            ages_s=np.concatenate([part.ages_s for part in parts]),
            duration_s=min(part.duration_s for part in parts),
        )
        for part in parts:
            whole.skipped.update(part.skipped)
        return whole

    # --- where they are -------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.names)

    def positions(self, t_s: ArrayLike) -> Floats:
        """ECEF positions in m: [n, 3] at one run time, [t, n, 3] at the run times `t_s` [t].

        Not numbers where SGP4 fails.
        """
        times = _times(t_s)
        return self._ephemeris.positions_at(times) if times.ndim else self._ephemeris.positions(float(times))

    def velocities(self, t_s: ArrayLike) -> Floats:
        """Earth-fixed velocities in m/s, as `positions`: what these change by in the rotating frame."""
        times = _times(t_s)
        if times.ndim == 0:
            return self._ephemeris.velocities(float(times))
        found = np.empty((len(times), len(self), 3))
        for k in np.argsort(times, kind="stable"):  # near instants share their knots
            found[k] = self._ephemeris.velocities(float(times[k]))
        return found

    def geodetic(self, t_s: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """(latitude deg, longitude deg, altitude m) on WGS-84: [n] each, or [t, n] at run times [t]."""
        return geodetic_from_ecef(self.positions(t_s))

    def look(self, place: Place, t_s: float, min_elevation_deg: float | None = None) -> NDArray[Any]:
        """What a place sees at run time `t_s`, the highest first.

        `place`: fixed or moving; `min_elevation_deg`: None: the place's own. Returns an array of `LOOK`:
        azimuth from north over east; range rate above zero while the satellite leaves. The Doppler shift is
        `emulator.doppler_hz(seen["range_rate_m_s"], frequency_hz)`.
        """
        observer = Observer(place)
        if _times(t_s).ndim:
            raise WorldError(
                f"look: t_s has shape {np.shape(t_s)}, should be one run time (`follow` takes several)"
            )
        least = place.min_elevation_deg if min_elevation_deg is None else min_elevation_deg
        if not -90.0 <= least <= 90.0:
            raise WorldError(f"place {place.id!r}: min_elevation_deg is {least:g}, allowed: -90 to 90")
        seen = observer.look(self._ephemeris, float(t_s), least)
        return seen[np.argsort(-seen["elevation_deg"], kind="stable")]

    def follow(self, place: Place, satellite: str | int, t_s: ArrayLike) -> NDArray[Any]:
        """One satellite as a place has it at the run times `t_s` [t], above the horizon or not.

        `satellite`: name, or index of `names`. Returns an array [t] of `LOOK`, not numbers where SGP4 fails.
        """
        observer = Observer(place)
        index = self.index.get(satellite, -1) if isinstance(satellite, str) else satellite
        if not (isinstance(index, int | np.integer) and 0 <= index < len(self)):
            raise WorldError(f"no satellite {satellite!r}, there are {len(self)}: {self.names[0]}, ...")
        times = np.atleast_1d(_times(t_s))
        return observer.follow(self._ephemeris, int(index), times)

    def passes(
        self,
        place: Place | Sequence[Place],
        from_s: float,
        to_s: float,
        min_elevation_deg: float | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> NDArray[Any]:
        """When satellites rise over one or several places, culminate and set, in order of place and start.

        `from_s`, `to_s`: run times; `min_elevation_deg`: None: each place's own; `progress`: called with
        the share that is done. Returns an array of `emulator.topology.windows.WINDOW`; `place` counts the
        places as given, `satellite` is an index of `names`.
        """
        places = list(place) if isinstance(place, list | tuple) else [place]
        return contact_windows(
            [record for _, record in self.elements],
            self._clock,
            [checked(one) for one in places],
            from_s,
            to_s,
            min_elevation_deg=min_elevation_deg,
            progress=progress,
        )


def _times(t_s: ArrayLike) -> Floats:
    """One run time or a list of them."""
    try:
        times = np.asarray(t_s, dtype=np.float64)
    except (TypeError, ValueError):
        raise WorldError(
            f"run time is {t_s!r:.40}, should be a number of seconds, or a list of them"
        ) from None
    if times.ndim > 1:
        raise WorldError(f"run times have shape {times.shape}, should be a number, or a list of them")
    return times
