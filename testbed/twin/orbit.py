"""Where satellites really are: along-track offsets from what the modems' ranging says of the distance.

One Kalman filter over all offsets that are in sight (km by which a satellite runs ahead of its published
elements) and all ranging biases (km, one a place). Extra delay, clocks and queues do not enter a ranging, so
they cannot be mistaken for an orbit. The believed offsets of satellites that were named go back into the
nominal network: delay, elevation and SNR follow from them there. Cross-track errors are not estimated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from emulator.units import SPEED_OF_LIGHT_M_S
from nodes.wire import Record
from testbed.twin.attribution import ORBIT_ERROR, Event, gaussian_size
from testbed.twin.belief import Belief, Estimate
from testbed.twin.detect import Cusum, Whitener
from testbed.twin.events import Events
from testbed.twin.filters import ForgettingMean
from testbed.twin.kalman import Floats, Kalman
from testbed.twin.nominal import Sighting
from testbed.twin.parts import State, Window

_KM_PER_US = SPEED_OF_LIGHT_M_S * 1e-9

#: an offset below this is no deviation: elements of the day are no better
SMALLEST_KM = 1.0
#: an offset before it was measured, km, and what every day of the elements' age adds: low orbits drift by
#: kilometres a day, and by more when the satellite manoeuvres
_PRIOR_KM, _PRIOR_KM_PER_DAY = 20.0, 15.0
#: ranging bias of a modem before it was measured, and noise of a report as a modem's data sheet has them, us
_BIAS_US, _NOISE_US = 1.2, 0.5
#: least noise that is ever believed
_LEAST_NOISE_US = 0.05
#: drift over one second: offset km (as much over a minute as tens of km a day are in one), bias km
_OFFSET_DRIFT_KM, _BIAS_DRIFT_KM = 4e-4, 1e-4
#: an innovation counts up to so many standard deviations
_CLIP = 4.0
#: innovations that teach the noise are cut off there; mean of min(z^2, 2.5^2) for a standard normal z
_SPREAD_CLIP, _CLIPPED_SECOND_MOMENT = 2.5, 0.9776
#: windows with reports before anything is said of a satellite, or taken back
_LEAST_WINDOWS = 3
#: offsets kept; those seen longest ago are forgotten
_MOST_SATELLITES = 256
#: share of the noise that bending may add before a range is weighed down for it
_BENT = 0.3


class _Range(NamedTuple):
    """What a pair of place and satellite said in a window, both directions together."""

    satellite: str
    place: str
    cosine: float  # km a km
    excess_km: float  # beyond what the believed offset makes it
    reports: int
    range_km: float
    ahead_km: float  # the offset that was predicted with


class _Satellite:
    """What is watched of one satellite."""

    def __init__(self, sighting: Sighting, threshold: float, now_s: float) -> None:
        days = abs(sighting.elements_age_s) / 86_400.0
        self.prior_km = _PRIOR_KM + _PRIOR_KM_PER_DAY * days
        self.cusum = Cusum(threshold, clip=_CLIP)
        # Innovations have unit variance by construction: what is learned is their correlation.
        self.noise = Whitener(prior_sd=1.0, floor_sd=1.0, prior_weight=100.0)
        self.speed_km_s = sighting.speed_km_s
        self.suspected_s = self.last_s = now_s
        self.windows = 0
        self.links: set[str] = set()
        self.event: Event | None = None

    def open(self, onset_s: float) -> None:
        """The offset may be any again from `onset_s` on."""
        self.suspected_s, self.windows = onset_s, 0
        self.cusum.reset()
        self.noise.skip()


class Orbits:
    """Along-track offsets of the satellites in sight; `threshold` is that of every CUSUM of the twin.

    An offset is told when it is surely above `SMALLEST_KM` and the evidence for it passes what the threshold
    stands for. The evidence is the Savage-Dickey ratio, density of an offset of zero before and after the
    ranges (Dickey 1971, Ann. Math. Stat. 42); the chance that it ever passes x without an offset is below 1/x
    (Ville 1939), so it can be looked at every window. An offset that comes later is noticed by a CUSUM over
    the whitened innovations, which lets the filter begin with this satellite anew.
    """

    measurements: frozenset[str] = frozenset()

    def __init__(self, events: Events, threshold: float) -> None:
        self._events = events
        self._threshold = threshold
        # The CUSUM's sum has half a log likelihood ratio a unit: z - 1 for a shift of two sigma.
        self._enough = 2.0 * threshold
        self._filter = Kalman(np.zeros(0), np.zeros((0, 0)))
        self._index: dict[tuple[str, str], int] = {}  # ("satellite" | "place", name) -> component
        self._satellites: dict[str, _Satellite] = {}
        self._spread = ForgettingMean(400, 1.0)
        self._spread.count = 100
        self._last_s: float | None = None

    # --- what is believed ---------------------------------------------------------------------

    def offset_km(self, satellite: str) -> tuple[float, float]:
        """The offset of a satellite and its standard deviation, km; (0, inf) for one never seen."""
        index = self._index.get(("satellite", satellite))
        if index is None:
            return 0.0, math.inf
        return float(self._filter.mean[index]), self._filter.sd(index)

    def states(self) -> Iterator[State]:
        for name, satellite in self._satellites.items():
            mean, sd = self.offset_km(name)
            yield State(name, "along_track_km", mean, sd**2)
            speed = satellite.speed_km_s
            yield State(name, "along_track_s", mean / speed, (sd / speed) ** 2)
        for (kind, name), index in self._index.items():
            if kind == "place":
                mean, sd = float(self._filter.mean[index]), self._filter.sd(index)
                yield State(name, "range_bias_us", mean / _KM_PER_US, (sd / _KM_PER_US) ** 2)

    def tell(self, belief: Belief) -> None:
        for name, satellite in self._satellites.items():
            if satellite.event is not None:
                belief.along_track_km[name] = Estimate(*self.offset_km(name))

    # --- what is observed ---------------------------------------------------------------------

    def close(self, window: Window, records: list[Record]) -> list[Record]:
        ranges = self._ranges(window)
        elapsed_s = 0.0 if self._last_s is None else max(window.begins_s - self._last_s, 0.0)
        self._last_s = window.begins_s
        if not ranges:
            self._drift(elapsed_s)
            return []
        self._make_room(ranges)
        self._drift(elapsed_s)
        self._take(ranges, window)
        out: list[Record] = []
        for name in sorted({one.satellite for one in ranges}):
            out += self._judge(name, window)
        return out

    def _ranges(self, window: Window) -> list[_Range]:
        """The ranges of a window, in km beyond the predicted ones, one a pair."""
        found: dict[tuple[str, str], list[float]] = {}
        about: dict[tuple[str, str], tuple[Sighting, float]] = {}
        for name, report in window.reports.items():
            range_us, link = report.fields.get("range_us"), window.links.get(name)
            if link is None or link.sighting is None or not isinstance(range_us, int | float):
                continue
            if not math.isfinite(range_us):
                continue
            pair = (link.sighting.satellite, link.place)
            about[pair] = (link.sighting, link.propagation_ms * 1e3 * _KM_PER_US)
            found.setdefault(pair, []).append((float(range_us) - link.propagation_ms * 1e3) * _KM_PER_US)
            satellite = self._satellites.get(pair[0])
            if satellite is None:
                satellite = _Satellite(link.sighting, self._threshold, window.begins_s)
                self._satellites[pair[0]] = satellite
            satellite.links.add(name)
        ranges = []
        for pair, excesses in found.items():
            sighting, range_km = about[pair]
            # The prediction has the believed offset in it already: what is left belongs to the whole one.
            excess = sum(excesses) / len(excesses) + sighting.range_per_km * sighting.ahead_km
            ranges.append(
                _Range(*pair, sighting.range_per_km, excess, len(excesses), range_km, sighting.ahead_km)
            )
        return ranges

    def _make_room(self, ranges: list[_Range]) -> None:
        """A component for every satellite and place that is new; those seen longest ago go."""
        wanted: dict[tuple[str, str], float] = {}
        for one in ranges:
            wanted[("satellite", one.satellite)] = self._satellites[one.satellite].prior_km
            wanted[("place", one.place)] = _BIAS_US * _KM_PER_US
        fresh = {key: sd for key, sd in wanted.items() if key not in self._index}
        if fresh:
            before = len(self._filter.mean)
            for number, key in enumerate(fresh):
                self._index[key] = before + number
            covariance = np.zeros((before + len(fresh), before + len(fresh)))
            covariance[:before, :before] = self._filter.covariance
            covariance[range(before, len(covariance)), range(before, len(covariance))] = [
                sd**2 for sd in fresh.values()
            ]
            mean = np.concatenate((self._filter.mean, np.zeros(len(fresh))))
            self._filter = Kalman(mean, covariance)
        if len(self._satellites) > _MOST_SATELLITES:
            present = {one.satellite for one in ranges}
            gone = sorted(
                (s.last_s, name)
                for name, s in self._satellites.items()
                if name not in present and s.event is None
            )
            self._forget([name for _, name in gone[: len(self._satellites) - _MOST_SATELLITES]])

    def _forget(self, names: list[str]) -> None:
        for name in names:
            del self._satellites[name]
            self._index.pop(("satellite", name), None)
        kept = list(self._index.values())
        self._filter = Kalman(self._filter.mean[kept], self._filter.covariance[np.ix_(kept, kept)])
        self._index = {key: number for number, key in enumerate(self._index)}

    def _drift(self, elapsed_s: float) -> None:
        if elapsed_s > 0.0 and self._index:
            each = [_OFFSET_DRIFT_KM if kind == "satellite" else _BIAS_DRIFT_KM for kind, _ in self._index]
            self._filter.advance(None, np.diag(np.square(each) * elapsed_s))

    def _take(self, ranges: list[_Range], window: Window) -> None:
        """All ranges of a window into the filter, and their innovations into the CUSUMs."""
        observed = np.array([one.excess_km for one in ranges])
        design = np.zeros((len(ranges), len(self._filter.mean)))
        for row, one in enumerate(ranges):
            design[row, self._index["satellite", one.satellite]] = one.cosine
            design[row, self._index["place", one.place]] = 1.0
        noise_km = max(_NOISE_US * math.sqrt(self._spread.value), _LEAST_NOISE_US) * _KM_PER_US
        variance = np.array([noise_km**2 / one.reports for one in ranges])
        found = self._filter.foresee(observed, design, variance)
        sd = np.sqrt(np.diag(found.covariance))
        z = found.residual / sd
        self._learn_noise(z, sd, variance)
        for name in {one.satellite for one in ranges}:
            rows = [row for row, one in enumerate(ranges) if one.satellite == name]
            self._watch(name, [(ranges[row].cosine / sd[row], z[row]) for row in rows], window)
        # A single absurd report moves nothing by more than a bounded step.
        variance *= np.maximum(np.abs(z) / _CLIP, 1.0) ** 2
        before = self._filter.mean, self._filter.covariance
        for _ in range(2):
            self._filter.mean, self._filter.covariance = before
            self._filter.update(observed, design, variance)
            # An offset far from the one that was predicted with bends the range away from the straight line.
            away_km = [self.offset_km(one.satellite)[0] - one.ahead_km for one in ranges]
            bent = 0.5 * np.square(away_km) / [one.range_km for one in ranges]
            if not np.any(bent > _BENT * noise_km):
                return
            variance = variance + bent**2

    def _learn_noise(self, z: Floats, sd: Floats, variance: Floats) -> None:
        """How much more or less than by the data sheet reports scatter, where nothing else blurs them."""
        for value, total, noise in zip(z.tolist(), sd.tolist(), variance.tolist(), strict=True):
            if noise > 0.5 * total**2:
                square = min(value * value, _SPREAD_CLIP**2) / _CLIPPED_SECOND_MOMENT
                self._spread.add(self._spread.value * square)

    def _watch(self, name: str, values: list[tuple[float, float]], window: Window) -> None:
        """The part of a window's innovations that an offset of this satellite would make."""
        satellite = self._satellites[name]
        satellite.last_s = window.now_s
        satellite.windows += 1
        weight = math.sqrt(sum(share * share for share, _ in values))
        if weight == 0.0 or satellite.windows <= _LEAST_WINDOWS:
            return
        score = sum(share * z for share, z in values) / weight
        alarm = satellite.cusum.add(satellite.noise.innovation(score), window.begins_s)
        if satellite.cusum.level() < 0.3:
            satellite.noise.learn(score)
        else:
            satellite.noise.skip(score)
        if alarm is not None:
            index = self._index["satellite", name]
            self._filter.covariance[index, index] += satellite.prior_km**2
            satellite.open(alarm.onset_s)

    def _evidence(self, name: str) -> float:
        """Log of the Savage-Dickey ratio for an offset against none."""
        mean, sd = self.offset_km(name)
        prior = self._satellites[name].prior_km
        return math.log(sd / prior) + 0.5 * (mean / sd) ** 2

    def _judge(self, name: str, window: Window) -> list[Record]:
        satellite = self._satellites[name]
        if satellite.windows < _LEAST_WINDOWS:
            return []
        mean, sd = self.offset_km(name)
        surely = abs(mean) - 1.96 * sd > SMALLEST_KM
        event = satellite.event
        if event is not None:
            event.resize(gaussian_size(mean, sd))
            event.links = sorted(link for link in satellite.links if link in window.links)
            if surely or self._evidence(name) > 0.0:
                return []
            satellite.event = None
            self._events.active.remove(event)
            event.settle()
            ended_s = satellite.suspected_s
            return [event.record("recovery", window.now_ns, ended_s=ended_s, recovered_s=window.now_s)]
        if not surely or self._evidence(name) < self._enough:
            return []
        event = Event(
            ORBIT_ERROR, name, name, satellite.suspected_s, window.now_s, mean, sd, "km",
            self._evidence(name), self._enough, sorted(satellite.links),
        )  # fmt: skip
        satellite.event = event
        self._events.active.append(event)
        return [event.record("detection", window.now_ns)]
