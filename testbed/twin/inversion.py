"""Calibrates what has no filter of its own: several parameters of a link at once, by running the network.

The black box is a function of named parameters that gives the statistics which were observed too; usually it
is the virtual-time emulator on public knowledge (`AheadBox`). The ensemble that explains the statistics is
sought by ensemble Kalman inversion (`ensemble`). What is found is handed back; nothing is adopted here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nodes.wire import Record
from testbed.errors import BadInput
from testbed.twin.belief import Estimate
from testbed.twin.ensemble import EnsembleError, invert
from testbed.twin.kalman import Floats
from testbed.twin.observations import numbers

if TYPE_CHECKING:
    from testbed.planned import Planned

#: levels of the hop delay that are compared. Few: one that falls between small and large packets jumps
LEVELS: Final = (0.05, 0.5, 0.95)
#: stretches into which observations are divided to see how much their statistics scatter
_STRETCHES: Final = 6
#: what a model of a network cannot be expected to be better than: ms, share of a delay, share lost
_LEAST_MS, _LEAST_OF_DELAY, _LEAST_SHARE = 0.05, 0.005, 0.002
#: parameters of a link that `AheadBox` knows
DELAY_MS, CAPACITY_FACTOR, LOSS = "delay_ms", "capacity_factor", "loss"


@dataclass(frozen=True)
class Parameter:
    """A number that is to be found: what is believed of it before, and between which bounds it lies."""

    name: str
    mean: float
    sd: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (self.low < self.mean < self.high and self.sd > 0.0):
            raise BadInput(
                f"{self.name}: {self.mean:g} with sd {self.sd:g} between {self.low:g} and {self.high:g}, "
                f"allowed: a mean inside its bounds and an sd above 0"
            )

    def value(self, free: Floats) -> Floats:
        """The parameter from a number without bounds (a stretched logistic curve)."""
        inside: Floats = self.low + (self.high - self.low) / (1.0 + np.exp(-free))
        return inside

    def prior(self) -> tuple[float, float]:
        """Mean and standard deviation of the number without bounds."""
        share = (self.mean - self.low) / (self.high - self.low)
        slope = share * (1.0 - share) * (self.high - self.low)
        return math.log(share / (1.0 - share)), self.sd / slope


#: gives the statistics [m] that a network with these parameters would show
Box = Callable[[Mapping[str, float]], Sequence[float] | Floats]


def calibrate(
    parameters: Sequence[Parameter],
    box: Box,
    observed: Floats,
    covariance: Floats,
    random: np.random.Generator,
    *,
    members: int = 40,
    steps: int = 4,
) -> dict[str, Estimate]:
    """Mean and standard deviation of every parameter, given the statistics `observed` [m].

    `covariance` [m, m]: of their errors; `box` is run members * steps times. Raises BadInput when there is
    nothing to find or too few members, EnsembleError when the runs give no numbers.
    """
    if not parameters or members < 2 * len(parameters) + 2:
        raise BadInput(
            f"members = {members} for {len(parameters)} parameters, "
            f"allowed: one parameter or more, and at least twice as many members and two"
        )
    priors = [parameter.prior() for parameter in parameters]
    draws = random.normal(size=(members, len(parameters)))
    free = np.array([mean for mean, _ in priors]) + draws * np.array([sd for _, sd in priors])

    def values(ensemble: Floats) -> Floats:
        return np.stack([p.value(column) for p, column in zip(parameters, ensemble.T, strict=True)], axis=1)

    def run(ensemble: Floats) -> Floats:
        names = [parameter.name for parameter in parameters]
        return np.array(
            [box(dict(zip(names, row, strict=True))) for row in values(ensemble).tolist()], dtype=np.float64
        )

    found = values(invert(free, run, observed, covariance, random, steps))
    return {
        parameter.name: Estimate(float(column.mean()), float(column.std(ddof=1)))
        for parameter, column in zip(parameters, found.T, strict=True)
    }


def statistics(delays_ms: Floats, sent: float, lost: float) -> Floats:
    """What is compared: hop delays at `LEVELS` and their mean, ms, and the share lost, [5]."""
    if not len(delays_ms) or sent <= 0.0:
        return np.full(len(LEVELS) + 2, np.nan)
    return np.array([*np.quantile(delays_ms, LEVELS), delays_ms.mean(), lost / sent])


def observed_statistics(reports: Sequence[Record], run_share: float = 1.0) -> tuple[Floats, Floats]:
    """The statistics [5] of a link's reports, and the covariance [5, 5] of their errors.

    The covariance is that of stretches of the reports (batch means), so that the autocorrelation of traffic
    is in it, and no smaller than what a model can be expected to reach. A run of the box scatters too:
    `run_share` is its length over that of the reports. Raises EnsembleError when there are
    too few reports.
    """
    if len(reports) < 2 * _STRETCHES:
        raise EnsembleError(f"{len(reports)} reports, at least {2 * _STRETCHES} are needed")
    whole = _of_reports(reports)
    edges = np.linspace(0, len(reports), _STRETCHES + 1).astype(int)
    parts = np.array(
        [_of_reports(reports[a:b]) for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
    )
    parts = parts[np.isfinite(parts).all(axis=1)]
    if len(parts) < 3 or not np.isfinite(whole).all():
        raise EnsembleError("the reports hold too few packets")
    scatter = np.diag(parts.var(axis=0, ddof=1)) / len(parts) * (1.0 + 1.0 / run_share)
    least = np.diag([*np.hypot(_LEAST_MS, _LEAST_OF_DELAY * whole[:-1]), _LEAST_SHARE]) ** 2
    return whole, scatter + least


def _of_reports(reports: Sequence[Record]) -> Floats:
    counted = [numbers(report) for report in reports]
    lost = sum(number.get("lost", 0.0) for number in counted)
    out = sum(number.get("packets_out", 0.0) for number in counted)
    return statistics(np.array([x for report in reports for x in report.samples]), out + lost, lost)


class AheadBox:
    """The virtual-time emulator as the black box: statistics of one link for parameters of that link.

    `scenario`: public knowledge (`public.Public`) or a scenario; `link`: `a>b`; the run goes from `start_s`
    for `duration_s`. Every run has the same traffic, so that runs differ by their parameters alone.
    Parameters: `DELAY_MS`, `CAPACITY_FACTOR`, `LOSS`; further ones by `change`, which gets them and gives
    the scenario to be run, such as one with another grant delay of a radio's frames.
    """

    def __init__(
        self,
        scenario: Planned,
        link: str,
        duration_s: float,
        start_s: float = 0.0,
        change: Callable[[Planned, Mapping[str, float]], Planned] | None = None,
    ) -> None:
        self._scenario = scenario
        self._link = link
        self._duration_s, self._start_s = duration_s, start_s
        self._change = change

    def __call__(self, parameters: Mapping[str, float]) -> Floats:
        from emulator.errors import WorldError
        from emulator.table import Adjustments
        from testbed.ahead import Ahead

        source, _, sink = self._link.partition(">")
        pair = (source, sink)
        adjustments = Adjustments(
            extra_delay_ms={pair: max(parameters.get(DELAY_MS, 0.0), 0.0)},
            rate_factor={pair: parameters.get(CAPACITY_FACTOR, 1.0)},
            extra_loss={pair: parameters.get(LOSS, 0.0)},
        )
        scenario = self._scenario if self._change is None else self._change(self._scenario, parameters)
        try:
            ahead = Ahead(scenario, adjustments=adjustments, start_s=self._start_s)
        except WorldError as error:
            raise BadInput(f"link {self._link!r}: {error}, allowed: one between two places") from None
        places = {name: index for index, name in enumerate(ahead.world.places)}
        return _of_hops(ahead.simulate(self._duration_s).hops, places[source], places[sink])


def _of_hops(hops: Any, source: int, sink: int) -> Floats:
    from emulator.accounting import COLLISION, DELIVERED, FORWARDED, PEER_FULL, PEER_GONE, RADIO_LOSS

    here = hops[(hops["link"] >= 0) & (hops["from_place"] == source) & (hops["to_place"] == sink)]
    out = here[np.isin(here["fate"], (FORWARDED, DELIVERED, PEER_GONE, PEER_FULL))]
    lost = int(np.isin(here["fate"], (RADIO_LOSS, COLLISION)).sum())
    return statistics((out["due_ns"] - out["in_ns"]) / 1e6, len(out) + lost, lost)
