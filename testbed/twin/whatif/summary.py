"""From replications to a report: means, changes against doing nothing, and intervals that say how sure.

An interval is where 90 % of single outcomes are expected: the spread of the replications, each of which is
one truth that the belief allows with one course of the traffic, widened for their small number (Student's
t), and of changes by what the model itself is off (`MODEL_SHARE`). Differences are taken within a
replication.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from testbed.twin.public import Public
from testbed.twin.whatif.job import DELAY, TASK, Change, Job, Measures, Outcome, Report, Spread
from testbed.twin.whatif.replicate import (
    BPS,
    DELAY_MS,
    LATENCY_MS,
    LOSS,
    MESSAGES,
    P95_MS,
    Measured,
    Replication,
    variants_of,
)

Floats = NDArray[np.float64]
#: by how much of itself a predicted change differs from the real one beyond what replications show: the root
#: mean square of sixteen seeded questions, answered by the plant in virtual time
MODEL_SHARE: Final = 0.05
#: columns of which several flows together have the mean, weighted by their messages
_AVERAGED: Final = [LATENCY_MS, DELAY_MS, P95_MS, LOSS]
#: with a single replication nothing is known of the spread: half of the value, and at least this, ms
_UNKNOWN_SHARE, _UNKNOWN_MS = 0.5, 1.0


def summarise(job: Job, public: Public, replications: Sequence[Replication], took_s: float) -> Report:
    """The report of the replications that came to an end, with all candidates that one of them reached."""
    texts = [variant.text for variant in variants_of(job, public)]
    reached = [[r.measured[k] for r in replications if len(r.measured) > k] for k in range(len(texts))]
    shown = _shown(job, public, reached[0])
    baseline = _outcome(texts[0], reached[0], shown)
    outcomes = []
    for index in range(1, len(texts)):
        if reached[index]:
            outcome = _outcome(texts[index], reached[index], shown)
            outcome.changes = _changes(replications, index, shown)
            outcome.concerned = _concerned(replications, index, job.candidates[index - 1].nodes, public)
            outcomes.append(outcome)
    missing = [text for index, text in enumerate(texts) if not reached[index]]
    fewer = min((len(r) for r in reached), default=0)
    complete = fewer >= job.replications
    sentence = ""
    if not complete:
        said = (
            f"no time for {'; '.join(missing)}" if missing else f"{fewer} of {job.replications} replications"
        )
        sentence = f"the {job.limit_s:g} s allowed were over: {said}"
    validity_s = min((r.unchanged_s for r in replications), default=0.0)
    return Report(
        job.at_s, job.horizon_s, validity_s, len(reached[0]), baseline, outcomes, complete, sentence, took_s
    )


def _shown(job: Job, public: Public, measured: list[Measured]) -> list[str]:
    """Names of the flows in scope, those of either kind together first."""
    names = dict.fromkeys(name for one in measured for name in one.rows)
    wanted = {node for name in job.scope for node in public.nodes_called(name)}
    kept = [name for name in names if not wanted or _node_of(name) in wanted]
    kinds = {kind for one in measured for name, kind in one.kinds.items() if name in kept}
    return [kind for kind in (DELAY, TASK) if kind in kinds] + kept


def _node_of(name: str) -> str:
    return name.partition(" ")[0].partition(">")[0]


def _row(measured: Measured, name: str, shown: Iterable[str]) -> Floats:
    """The columns of a flow, or of all shown ones of a kind, weighted by their messages."""
    if name not in (DELAY, TASK):
        return measured.rows.get(name, np.full(6, np.nan))
    rows = [
        measured.rows[n] for n in shown if measured.kinds.get(n) == name and measured.rows[n][MESSAGES] > 0
    ]
    if not rows:
        return np.array([0.0, np.nan, np.nan, np.nan, np.nan, 0.0])
    table = np.stack(rows)
    result = np.empty(6)
    result[MESSAGES], result[BPS] = table[:, MESSAGES].sum(), table[:, BPS].sum()
    values = table[:, _AVERAGED]
    known = np.isfinite(values)
    weights = np.where(known, table[:, MESSAGES, None], 0.0)
    with np.errstate(invalid="ignore"):
        result[_AVERAGED] = np.where(known, values * weights, 0.0).sum(axis=0) / weights.sum(axis=0)
    return result


def _outcome(
    text: str, measured: list[Measured], shown: Sequence[str], names: Sequence[str] | None = None
) -> Outcome:
    """What is predicted of `names`, by default of all that are shown."""
    flows = {}
    for name in shown if names is None else names:
        table = np.stack([_row(one, name, shown) for one in measured])
        mean = _mean(table)
        flows[name] = Measures(
            mean[MESSAGES], spread(table[:, LATENCY_MS]), mean[DELAY_MS], mean[P95_MS], mean[LOSS], mean[BPS]
        )
    loads = {
        server: float(np.mean([one.server_load[server] for one in measured]))
        for server in measured[0].server_load
    }
    return Outcome(text, flows, loads)


def _mean(table: Floats) -> list[float]:
    counts = np.isfinite(table).sum(axis=0)
    sums = np.nansum(table, axis=0)
    return [float(s / n) if n else math.nan for s, n in zip(sums, counts, strict=True)]


def _concerned(
    replications: Sequence[Replication], index: int, nodes: Sequence[str], public: Public
) -> dict[str, tuple[Measures, Measures, Change]]:
    """Latency of all datagrams and all tasks of some nodes, or of all: as it is, with it, and the change."""
    wanted = {node for name in nodes for node in public.nodes_called(name)}
    names = dict.fromkeys(name for r in replications for one in r.measured for name in one.rows)
    kept = [name for name in names if not wanted or _node_of(name) in wanted]
    pairs = [r for r in replications if len(r.measured) > index]
    kinds = (DELAY, TASK)
    sides = [_outcome("", [r.measured[k] for r in pairs], kept, kinds).flows for k in (0, index)]
    changes = _changes(replications, index, kept, kinds)
    return {kind: (sides[0][kind], sides[1][kind], changes[kind]) for kind in kinds if kind in changes}


def _changes(
    replications: Sequence[Replication], index: int, shown: Sequence[str], names: Sequence[str] | None = None
) -> dict[str, Change]:
    changes = {}
    for name in shown if names is None else names:
        pairs = [
            (_row(r.measured[0], name, shown), _row(r.measured[index], name, shown))
            for r in replications
            if len(r.measured) > index
        ]
        base, with_it = (np.stack(side) for side in zip(*pairs, strict=True))
        latency = with_it[:, LATENCY_MS] - base[:, LATENCY_MS]
        if not np.isfinite(latency).any():
            continue
        changes[name] = Change(
            spread(latency, MODEL_SHARE),
            spread(latency / base[:, LATENCY_MS], MODEL_SHARE),
            spread(with_it[:, LOSS] - base[:, LOSS]),
            gain_probability(latency),
        )
    return changes


def spread(values: Floats, model_share: float = 0.0) -> Spread:
    """Mean of replications and the interval that holds the next one with 90 %.

    `model_share`: standard deviation, as a share of the mean, by which even the next one is off.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return Spread(math.nan, math.nan, math.nan)
    mean = float(known.mean())
    sd = math.hypot(_sd_of_one(known), model_share * mean)
    half = sd * float(special.stdtrit(max(len(known) - 1, 1), 0.95))
    return Spread(mean, mean - half, mean + half)


def gain_probability(latency: Floats) -> float:
    """Probability that the next change of latency is below 0."""
    known = latency[np.isfinite(latency)]
    if not len(known):
        return 0.0
    sd = _sd_of_one(known)
    if sd == 0.0:
        return float(known.mean() < 0.0)
    return float(special.stdtr(max(len(known) - 1, 1), -known.mean() / sd))


def _sd_of_one(known: Floats) -> float:
    """Standard deviation of the next value about the mean of these."""
    if len(known) < 2:
        return max(_UNKNOWN_SHARE * abs(float(known[0])), _UNKNOWN_MS) if float(known[0]) else 0.0
    return float(known.std(ddof=1)) * math.sqrt(1.0 + 1.0 / len(known))
