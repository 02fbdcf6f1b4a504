"""One replication of a job: a truth drawn from the belief, under which every candidate is run.

Doing nothing and all candidates meet the same truth, the same instants and the same fates, so that they
differ by what is done alone. It is the emulator's own network that is run (`testbed.ahead`); nothing is
concluded here.
"""

from __future__ import annotations

import gc
import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.accounting import DELIVERED
from emulator.links.state import LINK_UPDATE
from emulator.traffic.flows import FlowSet
from testbed.actions import AnyAction
from testbed.ahead import Ahead
from testbed.twin.belief import Belief
from testbed.twin.public import Public
from testbed.twin.whatif.adjusted import adjustments
from testbed.twin.whatif.draw import draw, middle
from testbed.twin.whatif.instants import evenly_s, instants_s
from testbed.twin.whatif.job import LOST_MS, Job
from testbed.twin.whatif.plan import Plan, plan_of
from testbed.twin.whatif.traffic import Subject, joined, offered_under, subjects_of, thinned

_ARRIVING_S: Final = 3.0
_MOST_SAMPLES: Final = 1 << 20

#: columns of what is measured of a subject
MESSAGES, LATENCY_MS, DELAY_MS, P95_MS, LOSS, BPS = range(6)
_NOTHING: Final = (0.0, math.nan, math.nan, math.nan, math.nan)
#: rounds of repetition that are counted at most
_MOST_ROUNDS: Final = 200


class Variant(NamedTuple):
    """What one candidate does, or doing nothing."""

    text: str
    plan: Plan


class Sent(NamedTuple):
    """What nodes send under a plan: flows, what a user knows of them, how many packets may come of them."""

    flows: FlowSet
    subjects: dict[str, Subject]
    packets: int


class Measured(NamedTuple):
    """Of one variant: a row of six columns by subject, and what came of the links."""

    rows: dict[str, NDArray[np.float64]]
    kinds: dict[str, str]
    server_load: dict[str, float]


class Replication(NamedTuple):
    """What one truth gave: doing nothing first, then the candidates that were reached in time."""

    measured: list[Measured]
    #: how long links stayed as they were, s; the horizon when they did
    unchanged_s: float


def variants_of(job: Job, public: Public) -> list[Variant]:
    """Doing nothing, then the candidates."""
    standing = plan_of(job.standing, public)
    variants = [Variant("nothing", standing)]
    for trial in job.candidates:
        kept: list[AnyAction] = [one for one in job.standing if one not in trial.withdrawn]
        variants.append(Variant(trial.text, plan_of([*kept, *trial.actions], public)))
    return variants


def replicate(
    job: Job, public: Public, number: int, time_left_s: Callable[[], float] = lambda: float("inf")
) -> Replication:
    """Runs all variants under the truth of replication `number`; stops when no time is left."""
    # Flows are many small objects that live as long as this call: looking for cycles costs a third of it.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _replicate(job, public, number, time_left_s)
    finally:
        if collecting:
            gc.enable()


def _replicate(job: Job, public: Public, number: int, time_left_s: Callable[[], float]) -> Replication:
    seed = job.seed * 1_000 + number + 1
    truth = draw(job.belief, seed) if number or job.replications > 1 else middle(job.belief)
    warm_s = min(job.warm_s, job.at_s)
    # What was sent last is given time to arrive.
    left_s = public.run.duration_s - job.at_s - job.horizon_s
    span_s = warm_s + job.horizon_s + min(max(left_s, 0.0), _ARRIVING_S)
    start_s = job.at_s - warm_s
    times_s = (
        evenly_s(job.epoch_s, start_s, span_s)
        if job.epoch_s
        else instants_s(public, start_s, job.at_s, span_s)
    )
    known = _believed(public, truth)
    known = replace(known, run=replace(known.run, seed=seed))
    before = plan_of(job.standing, public)
    offered = thinned(offered_under(known, before, seed))
    worlds: dict[Any, Ahead] = {}
    measured: list[Measured] = []
    #: plan of the nodes and link tables -> what came of them: of many an action the network takes no notice
    same: dict[Any, Measured] = {}
    made: dict[str, Sent] = {}
    unchanged_s = job.horizon_s
    longest_s = 0.0
    for variant in variants_of(job, public):
        if measured and time_left_s() < longest_s:
            break
        began_s = time.monotonic()
        key = (frozenset(variant.plan.penalty_ms.items()), frozenset(variant.plan.barred))
        ahead = worlds.get(key)
        if ahead is None:
            ahead = worlds[key] = _ahead(known, truth, before, variant.plan, job.at_s, times_s)
        given = (_node_key(variant.plan), _digest(ahead, span_s))
        if given in same:
            measured.append(same[given])
            continue
        traffic = made.get(given[0])
        if traffic is None:
            then = (
                offered
                if _same_nodes(variant.plan, before)
                else thinned(offered_under(known, variant.plan, seed))
            )
            flows = joined(offered, then, warm_s, warm_s + job.horizon_s)
            traffic = made[given[0]] = Sent(
                ahead.flow_set(seed, flows), subjects_of(public, flows), _packets(flows, span_s)
            )
        results = ahead.run(span_s, flows=traffic.flows, samples=min(traffic.packets, _MOST_SAMPLES))
        names = {name: row for row, name in enumerate(results.names)}
        sent_s = results.samples["sent_ns"] * 1e-9
        begun = results.samples[(sent_s >= job.at_s + job.settle_s) & (sent_s < job.at_s + job.horizon_s)]
        load = variant.plan.server_load(public, {n: e.mean for n, e in truth.service_factor.items()})
        same[given] = Measured(
            _measure(begun, names, traffic.subjects, job.horizon_s - job.settle_s),
            {name: subject.kind for name, subject in traffic.subjects.items()},
            load,
        )
        measured.append(same[given])
        if len(measured) == 1:
            unchanged_s = min(_unchanged_s(ahead, span_s, job.at_s), job.horizon_s)
        longest_s = max(longest_s, time.monotonic() - began_s)
    return Replication(measured, unchanged_s)


def _same_nodes(one: Plan, other: Plan) -> bool:
    return one.shares == other.shares and one.settings == other.settings


def _node_key(plan: Plan) -> str:
    """Equal for plans that have nodes do the same."""
    return repr((sorted(plan.shares.items()), sorted(plan.settings.items())))


def _digest(ahead: Ahead, span_s: float) -> bytes:
    """Equal for worlds with the same link tables and routes."""
    digest = hashlib.blake2b(digest_size=16)
    for table in ahead.tables(span_s):
        digest.update(table.rows.tobytes())
        digest.update(b"as before" if table.routes is None else table.routes.tobytes())
    return digest.digest()


def _believed(public: Public, truth: Belief) -> Public:
    """The scenario with servers as fast as the truth has them."""
    nodes = {
        name: table.model_copy(update={"service_rate_mhz": table.service_rate_mhz * factor.mean})
        for name, factor in truth.service_factor.items()
        if (table := public.servers.get(name)) is not None
    }
    return public.with_nodes(nodes)


def _ahead(
    known: Public, truth: Belief, before: Plan, after: Plan, at_s: float, times_s: NDArray[np.float64]
) -> Ahead:
    orders = before.orders()

    def obey(t_s: float) -> None:
        if t_s > at_s + 1e-6:  # the table of that moment is there before anything can be ordered
            orders.route_penalty_ms.clear()
            orders.route_penalty_ms.update(after.penalty_ms)
            orders.barred.clear()
            orders.barred.update(after.barred)

    return Ahead(
        known,
        adjustments=adjustments(truth, known),
        orders=orders,
        before_epoch=obey,
        start_s=float(times_s[0]),
        epochs_s=times_s.tolist(),
    )


def _packets(flows: Any, span_s: float) -> int:
    """A bound on the ends of packets in a span: of all flows, and of what follows on them."""

    def each(flow: Any, packets: float) -> float:
        own = packets
        for one in flow.then:
            own += each(one, packets)
        return own

    count = sum(each(f, f.packets * (span_s / f.times.interval_s + 2.0)) for f in flows)
    return int(count * 1.1) + 100


def _measure(
    samples: NDArray[Any], row_of: dict[str, int], subjects: dict[str, Subject], horizon_s: float
) -> dict[str, NDArray[np.float64]]:
    """The six columns of every subject, from the ends of packets that were sent in the horizon."""
    told = np.zeros(len(row_of), np.bool_)
    told[[row_of[name] for one in subjects.values() for name in (*one.ends, *one.parts, *one.first)]] = True
    # Two bytes are sorted in a tenth of the time that four take.
    which = samples["row"].astype(np.int16 if len(row_of) < 1 << 15 else np.int32)
    kept = np.flatnonzero(told[which])
    order = kept[np.argsort(which[kept], kind="stable")]
    rows, delays, fates = which[order], samples["delay_ns"][order], samples["fate"][order]
    edges = np.searchsorted(rows, np.arange(len(row_of) + 1))

    def part(name: str) -> slice:
        row = row_of[name]
        return slice(int(edges[row]), int(edges[row + 1]))

    found: dict[str, NDArray[np.float64]] = {}
    for subject in subjects.values():
        arrived = [delays[part(name)][fates[part(name)] == DELIVERED] for name in subject.ends]
        delay_ms = np.concatenate(arrived) * 1e-6 if arrived else np.zeros(0)
        lost = sum(int((fates[part(name)] != DELIVERED).sum()) for name in subject.parts)
        sent = sum(part(name).stop - part(name).start for name in subject.first)
        bits = 8.0 * subject.packet_bytes * max(subject.fragments, 1)
        row = _repeated(subject, delay_ms, sent, lost) if subject.fragments else _datagrams(delay_ms, lost)
        found[subject.name] = np.array([*row, len(delay_ms) * bits / horizon_s])
    return found


def _datagrams(delay_ms: NDArray[np.float64], lost: int) -> tuple[float, ...]:
    ended = len(delay_ms) + lost
    if not ended:
        return _NOTHING
    latency = (float(delay_ms.sum()) + lost * LOST_MS) / ended
    return ended, latency, *_mean_and_p95(delay_ms), lost / ended


def _repeated(subject: Subject, delay_ms: NDArray[np.float64], sent: int, lost: int) -> tuple[float, ...]:
    """Of messages whose fragments are sent again until all have arrived, which the simulation does not do.

    A round more is needed for what is lost, and costs about the least delay of a message. With a share q of
    N fragments lost, sum over k >= 1 of 1 - (1 - q^k)^N rounds more are expected.
    """
    if not sent:
        return _NOTHING
    q, messages = lost / sent, sent / subject.fragments
    if not len(delay_ms):
        return messages, subject.timeout_ms, math.nan, math.nan, 1.0
    rounds = 0.0
    for k in range(1, _MOST_ROUNDS):
        more = 1.0 - (1.0 - min(q, 1.0) ** k) ** subject.fragments
        rounds += more
        if more < 1e-6:
            break
    latency = min(float(delay_ms.mean()) + rounds * float(delay_ms.min()), subject.timeout_ms)
    failed = 1.0 if latency >= subject.timeout_ms else 0.0
    return messages, latency, *_mean_and_p95(delay_ms), failed


def _mean_and_p95(delay_ms: NDArray[np.float64]) -> tuple[float, float]:
    if not len(delay_ms):
        return math.nan, math.nan
    # what numpy's quantile finds, which takes longer to be called than to be found
    last = len(delay_ms) - 1
    at = 0.95 * last
    below = int(at)
    above = min(below + 1, last)
    ordered = np.partition(delay_ms, (below, above))
    p95 = ordered[below] + (at - below) * (ordered[above] - ordered[below])
    return float(delay_ms.mean()), float(p95)


def _unchanged_s(ahead: Ahead, span_s: float, at_s: float) -> float:
    """How long after `at_s` the links stay the same."""
    tables = [table for table in ahead.tables(span_s) if table.time_ns * 1e-9 >= at_s - 1e-6]
    ends = _ends(tables[0].rows)
    for table in tables:
        if _ends(table.rows) != ends:
            return table.time_ns * 1e-9 - at_s
    return ahead.start_s + span_s - at_s


def _ends(rows: np.ndarray[Any, np.dtype[Any]]) -> frozenset[tuple[int, int]]:
    assert rows.dtype == LINK_UPDATE
    return frozenset(zip(rows["from_place"].tolist(), rows["to_place"].tolist(), strict=True))
