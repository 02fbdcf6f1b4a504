"""What suppression saves, and what it costs: edges and a centre against all telemetry in one place.

Runs edges and a centre in one process, in virtual time, on whatever plant gives the records. The truth is
needed here, and only here, to tell errors: none of it reaches a twin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Final

from nodes import wire
from nodes.wire import Record
from testbed.twin.core import Twin
from testbed.twin.edge import EdgeTwin
from testbed.twin.hierarchy import ALLOWED, BOUND_SDS, Centre, Uplink
from testbed.twin.observations import filter_record
from testbed.twin.state import Entry

State = tuple[str, str]
#: state of a link -> field of its report that it predicts
_OBSERVED: Final = {"snr_db": "snr_db", "delay_ms": "delay_mean_ms"}


def suppression_figures(
    edges: Sequence[EdgeTwin],
    whole: Twin,
    windows: Iterable[tuple[int, int, list[Record]]],
    truth: Callable[[float], Mapping[State, float]],
    bound_sds: float = BOUND_SDS,
    settled_s: float = 10.0,
) -> dict[str, float]:
    """Figures of a run of `edges` that tell a centre, beside `whole`, a twin that gets all telemetry.

    `windows`: number, time at which it is closed (ns on the host's clock), and the records of each window;
    `truth`: by run time in s, true values of states; errors before `settled_s` are not counted. All twins
    have been begun. Result: `update_share`, states told over telemetry records; `message_share`, messages to
    the centre over telemetry records; `byte_share`, in bytes of both; `error_ratio`, root mean square error
    of the centre's states over that of the whole twin's, each error in the whole twin's standard deviations,
    `error_ratio_median` the same of medians; `prediction_error_ratio`, of what both expected of the next
    window's SNR and delay on every link;
    `bound_kept`, the largest difference of the centre from an edge in units of the allowed one.
    """
    uplinks = {twin.scope.edge: Uplink(twin.scope.edge, 1, bound_sds) for twin in edges}
    owners = {twin.scope.edge: twin.scope for twin in edges}
    centre = Centre(
        1, lambda target: next((name for name, scope in owners.items() if scope.owns(target)), None)
    )
    records = record_bytes = messages = message_bytes = told = 0
    bound_kept = 0.0
    central_errors: list[float] = []
    whole_errors: list[float] = []
    guesses: dict[State, tuple[Entry, Entry]] = {}
    central_misses: list[float] = []
    whole_misses: list[float] = []
    for twin in (whole, *edges):
        twin.predict(0)
    for number, now_ns, observed in windows:
        seen = [record for raw in observed if (record := filter_record(raw)) is not None]
        records += len(seen)
        record_bytes += len(wire.encode(wire.Telemetry(seen)))
        for (link, name), value in _observed(seen).items():
            if (link, name) in guesses:
                ours, theirs = guesses[link, name]
                sd = math.sqrt(theirs.variance)
                central_misses.append(abs(ours.mean - value) / sd)
                whole_misses.append(abs(theirs.mean - value) / sd)
        whole.take(observed)
        whole.close(number, now_ns)
        whole.predict(number + 1)
        t_s = (number + 1) * whole.window_s
        for twin in edges:
            twin.take(observed)
            said = twin.close(number, now_ns)
            twin.predict(number + 1)
            uplink = uplinks[twin.scope.edge]
            before = uplink.told.version
            message = uplink.step(twin.table, number, t_s, (r for r in said if r.measurement == "detection"))
            told += uplink.told.version - before
            if message is None:
                continue
            messages += 1
            message_bytes += len(message)
            answer = centre.take(message)
            assert answer is not None
            uplink.take(answer, number)
        bound_kept = max(bound_kept, *(_bound_kept(twin, centre, bound_sds) for twin in edges))
        if t_s < settled_s:
            continue
        central = {(entry.target, entry.name): entry for entry in centre.query()}
        for key, value in truth(t_s).items():
            mine, other = central.get(key), whole.table.get(*key)
            if mine is not None and other is not None and other.variance > 0.0:
                sd = math.sqrt(other.variance)
                central_errors.append(abs(mine.mean - value) / sd)
                whole_errors.append(abs(other.mean - value) / sd)
        guesses = _guesses(central, whole)
    return {
        "update_share": told / max(records, 1),
        "message_share": messages / max(records, 1),
        "byte_share": message_bytes / max(record_bytes, 1),
        "error_ratio": _ratio(_rms, central_errors, whole_errors),
        "error_ratio_median": _ratio(median, central_errors, whole_errors),
        "prediction_error_ratio": _ratio(_rms, central_misses, whole_misses),
        "bound_kept": bound_kept,
    }


def _guesses(central: dict[State, Entry], whole: Twin) -> dict[State, tuple[Entry, Entry]]:
    """What the centre and the whole twin expect of links in the next window."""
    found = {}
    for key, entry in central.items():
        other = whole.table.get(*key)
        if key[1] in _OBSERVED and other is not None and other.variance > 0.0:
            found[key] = (entry, other)
    return found


def _observed(records: list[Record]) -> dict[State, float]:
    """What links report of a window."""
    return {
        (record.tags["link"], name): float(record.fields[reported])
        for record in records if record.measurement == "link"
        for name, reported in _OBSERVED.items() if reported in record.fields
    }  # fmt: skip


def _rms(values: list[float]) -> float:
    return math.sqrt(sum(value * value for value in values) / len(values))


def _ratio(measure: Callable[[list[float]], float], ours: list[float], theirs: list[float]) -> float:
    return measure(ours) / measure(theirs) if theirs and measure(theirs) > 0.0 else math.nan


def _bound_kept(twin: EdgeTwin, centre: Centre, bound_sds: float) -> float:
    """Largest difference of the centre's copy from an edge's table, in units of the allowed difference."""
    copy = centre.edges()[twin.scope.edge]
    worst = 0.0
    for entry in twin.table.query():
        other: Entry | None = copy.get(entry.target, entry.name)
        if other is None:
            return math.inf
        sd = math.sqrt(max(min(entry.variance, other.variance), 0.0))
        allowed = max(bound_sds * sd, ALLOWED.get(entry.name, 0.0))
        error = abs(entry.mean - other.mean)
        if error > 0.0:
            worst = max(worst, error / allowed if allowed > 0.0 else math.inf)
    return worst
