"""One run of the twin's campaign: carried out in virtual time, and summed up by what the twin said of it.

What is summed up is data that another process can be sent. The twin is the live one's core and sees filtered
telemetry alone; what happened really is laid beside what it said afterwards.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from nodes.wire import Record
from testbed.bench._campaign_runs import Case, scenario_of
from testbed.scenario import Scenario
from testbed.twin.matching import NOTHING, resembles
from testbed.virtual.loop import Outcome, run

#: errors in these units count as none below so much
TOLERANCE_ABS: Final = {"dB": 0.1, "ms": 0.1}
TOLERANCE: Final = 0.02
#: a size is identified when half of its stated interval is at most so many tolerances
IDENTIFIED: Final = 2.0
#: unit of a kind's size, and that of an event which names it; "" is any
UNITS: Final = {
    "rain": "dB",
    "capacity": "factor",
    "extra_loss": "loss",
    "extra_delay": "ms",
    "slow_server": "factor",
    "stale_orbit": "km",
    "clock_offset": "ms",
}
#: symptoms that have no cause of their own are told apart by their unit
_BY_UNIT: Final = ("unknown",)
#: modems report to within so much, us, and clocks are compared to within so much, ms
_RANGE_US: Final = 0.5
_CLOCK_MS: Final = 0.03
_US_PER_KM: Final = 1e9 / 299_792_458.0


@dataclass
class Told:
    """What the twin said of one run, beside what happened in it. Sizes in the unit of the kind."""

    case: Case
    #: label of the first detection after the start; NOTHING without any
    cause: str = NOTHING
    right: bool = False
    #: whether any detection named kind and target, and how long after the start the first one did, s
    detected: bool = False
    delay_s: float = math.nan
    #: shift over the standard deviation of one window's observable
    sigmas: float = math.nan
    estimate: float = math.nan
    low95: float = math.nan
    high95: float = math.nan
    #: detections where nothing had happened yet, and the time in which that was so, s
    false: list[str] = field(default_factory=list)
    quiet_s: float = 0.0
    #: further detections after the start that name something else
    others: list[str] = field(default_factory=list)
    update_ms: list[float] = field(default_factory=list)
    records: int = 0
    twin_cpu_s: float = 0.0
    #: by quantity: observations within their 90 % band, and all
    inside: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: 99th percentile of the age of information, in periods, of the measurement where it is worst
    age_periods: float = math.nan
    #: by quantity: summed CRPS of the twin and of the climatology; quiet runs only
    crps: dict[str, float] = field(default_factory=dict)

    @property
    def scale(self) -> float:
        """What the error of the size is relative to."""
        tolerance_abs = TOLERANCE_ABS.get(UNITS[self.case.kind], 0.0)
        return max(abs(self.case.size), tolerance_abs / TOLERANCE)

    @property
    def error(self) -> float:
        """Relative error of the estimate, counted as within tolerance up to `TOLERANCE`."""
        return abs(self.estimate - self.case.size) / self.scale

    @property
    def identified(self) -> bool:
        """Whether the twin says that it knows the size well."""
        return (self.high95 - self.low95) / 2.0 <= IDENTIFIED * TOLERANCE * self.scale

    @property
    def covered(self) -> bool:
        """Whether the stated interval holds the truth."""
        return self.low95 <= self.case.size <= self.high95


def ignore_interrupts() -> None:
    """For a worker: an interrupt is the parent's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def carry_out(case: Case) -> Told:
    """Run a case and sum it up."""
    scenario = scenario_of(case)
    wanted = {"detection", "recovery", "estimate", "residual", "link", "plant_link", "sync"}
    if not case.kind:
        wanted.add("prediction")
    outcome = run(scenario, keep=lambda record: record.measurement in wanted)
    return _sum_up(case, scenario, outcome)


def _sum_up(case: Case, scenario: Scenario, outcome: Outcome) -> Told:
    told = Told(
        case,
        update_ms=[1e3 * value for value in outcome.update_s],
        records=outcome.delivered,
        twin_cpu_s=outcome.twin_cpu_s,
        quiet_s=min(case.start_s, case.duration_s),
    )
    events = [r for r in outcome.said if r.measurement in ("detection", "recovery", "estimate")]
    _name(told, events, outcome.start_ns)
    if case.kind:
        told.sigmas = _sigmas(case, scenario, outcome)
    _bands(told, outcome)
    told.age_periods = _age_periods(outcome)
    return told


def _age_periods(outcome: Outcome) -> float:
    """What the twin said last of the ages of what it is told of regularly."""
    ages = {
        record.tags["of"]: float(record.fields["age_p99_periods"])
        for record in outcome.said
        if record.measurement == "sync" and "age_p99_periods" in record.fields
    }
    return max(ages.values(), default=math.nan)


def label(event: Record) -> str:
    """A cause as the confusion matrix has it."""
    kind = event.tags["kind"]
    return f"{kind}/{event.fields.get('unit', '')}" if kind in _BY_UNIT else kind


def _names(case: Case, event: Record) -> bool:
    """Whether an event names what happened, and where."""
    kind, unit = event.tags["kind"], str(event.fields.get("unit", ""))
    if kind in _BY_UNIT and unit != UNITS[case.kind]:
        return False
    return resembles({"links": "", **event.fields, **event.tags}, case.kind, case.target)


def _name(told: Told, events: list[Record], start_ns: int) -> None:
    """What was detected, when, and what was said of its size last."""
    case = told.case
    for event in events:
        t_s = (event.t_ns - start_ns) / 1e9
        if event.measurement == "detection":
            if t_s < case.start_s:
                told.false.append(f"{label(event)} {event.tags['target']} at {t_s:.0f} s")
                continue
            right = _names(case, event)
            if told.cause == NOTHING:
                told.cause, told.right = label(event), right
            if not right:
                told.others.append(f"{label(event)} {event.tags['target']} at {t_s:.0f} s")
            elif not told.detected:
                told.detected, told.delay_s = True, t_s - case.start_s
        if case.kind and t_s >= case.start_s and _names(case, event):
            told.estimate, told.low95, told.high95 = (
                float(event.fields.get(name, math.nan)) for name in ("size", "low95", "high95")
            )


# --- how large it is beside the noise of one window -------------------------------------------------


def _sigmas(case: Case, scenario: Scenario, outcome: Outcome) -> float:
    """The shift in standard deviations of what one window shows of it; infinite where that is exact."""
    size = abs(case.size)
    if case.kind == "stale_orbit":
        # seen at 45 degrees, say
        return size * math.cos(math.radians(45.0)) * _US_PER_KM / _RANGE_US
    if case.kind == "clock_offset":
        return size / _CLOCK_MS
    if case.kind == "slow_server":
        return math.inf
    if case.kind == "rain":
        return size / max(scenario.plant.snr_report_sigma_db, 1e-9)
    before = [
        record
        for record in outcome.observed
        if record.measurement == "link"
        and record.tags["link"] == case.target
        and (record.t_ns - outcome.start_ns) / 1e9 < case.start_s
    ]
    if case.kind == "extra_loss":
        packets = np.mean([float(record.fields["packets_in"]) for record in before] or [0.0])
        return math.sqrt(float(packets) * size / max(1.0 - size, 1e-9))
    if case.kind == "capacity":
        served = [
            8.0 * float(r.fields["bytes_out"]) / float(r.fields["busy_s"])
            for r in before
            if float(r.fields["busy_s"]) > 0.0
        ]
        return (1.0 - size) * float(np.mean(served or [0.0])) / _spread(served)
    return size / _spread([float(r.fields["delay_mean_ms"]) for r in before if "delay_mean_ms" in r.fields])


def _spread(values: Iterable[float]) -> float:
    """Standard deviation from window to window, slow changes aside."""
    steps = np.diff(np.array(list(values)))
    return max(float(np.std(steps)) / math.sqrt(2.0), 1e-9) if len(steps) > 1 else math.inf


# --- bands ------------------------------------------------------------------------------------------


def _bands(told: Told, outcome: Outcome) -> None:
    """How often observations lay in their bands, before anything happened and once the twin had learned."""
    first_s = 0.25 * told.case.duration_s
    for record in outcome.said:
        t_s = (record.t_ns - outcome.start_ns) / 1e9
        if record.measurement == "residual" and first_s <= t_s < told.case.start_s:
            quantity = record.tags["quantity"]
            inside, count = told.inside.get(quantity, (0, 0))
            told.inside[quantity] = (inside + bool(record.fields.get("inside90")), count + 1)
    if told.case.kind:
        return
    from testbed.twin.scoring import score

    scored: dict[str, Any] = score(outcome.said, outcome.start_ns)["fidelity"].get("overall", {})
    for quantity, row in scored.items():
        skill = row.get("crps_skill_climatology")
        if skill is not None:
            told.crps[quantity] = float(skill)
