"""The adaptive forecaster as a state machine, compiled: `observe` what became known, `forecast` what is sent.

All of its state is in the arrays of `State`; nothing here knows a file or a clock. A forecast that is to be
learned from is kept until its sample is observed, or until that is long overdue.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from testbed.measured.measurement import Array
from testbed.measured.prediction.compiling import copy_to, fill, kernel
from testbed.measured.prediction.cycle import (
    CLEAR_SHARE,
    Cycle,
    begin_cycles,
    best_cycle,
    distribution_in_cycle,
    learn_cycle,
    new_cycle,
)
from testbed.measured.prediction.location import (
    ENOUGH,
    FEATURES,
    LITTLE,
    NOTHING,
    Location,
    distribution_about,
    features_of,
    learn_location,
    located,
    new_location,
)
from testbed.measured.prediction.memory import (
    ALL,
    LAST_SENT,
    ROWS,
    SLOT,
    SLOT_BEGAN,
    Memory,
    begin_session,
    begin_slot,
    distribution_of,
    new_memory,
    remember,
)
from testbed.measured.prediction.pool import (
    Pool,
    corrected,
    learn_ends,
    learn_transform,
    learn_weights,
    new_pool,
    pooled,
)
from testbed.measured.prediction.slots import (
    Slots,
    distribution_at_phase,
    distribution_of_alike,
    keep_slot,
    learn_alike,
    learn_phase,
    new_slots,
)

#: what is pooled: everything and the memories that forget, then these
_PRESENT_SLOT, _ABOUT, _AT_PHASE, _ALIKE, _IN_CYCLE = range(ROWS - 1, ROWS + 4)
MEMBERS: Final = ROWS + 4
#: of the memories that forget, the one in place of the present slot where nothing of it is known
_RECENT: Final = 2
#: the prediction counts as so many samples beside those of the present slot
_PRIOR: Final = 8.0
#: just after a boundary, s: the phases that are situations of their own
_PHASES_S: Final = (-0.06, 0.04, 0.12, 0.4)
#: a slot of which so much is known is known well, s
_SOME_S: Final = 3.0
#: forecasts are learned from when they are at least so far apart, s
_LEARN_EVERY_S: Final = 0.05
#: forecasts kept until their samples are known, and how long they are waited for, s
KEPT: Final = 1024
_OVERDUE_S: Final = 10.0
#: of `settings`
PERIOD, OFFSET, HORIZON, SHIFT = range(4)


class Pending(NamedTuple):
    """Forecasts [kept] whose samples are not known yet; `sent_s` is nan where there is none.

    `ring` [2]: number of the oldest, and of the next; `last` [1]: when the last one was sent, s."""

    sent_s: Array
    situation: NDArray[np.int64]
    case: NDArray[np.int64]
    features: Array
    usual: Array
    expected: Array
    members: NDArray[np.float32]
    raw: Array
    given: Array
    ring: NDArray[np.int64]
    last: Array


class State(NamedTuple):
    """Everything that a forecaster knows; `edges` and `widths` [bins] are of its bins, in u and in values.

    `settings`: period of the slots (0: none) and their offset in s of sending since 1970, the horizon in s,
    and the shift in u = log(value + shift)."""

    settings: Array
    edges: Array
    widths: Array
    memory: Memory
    slots: Slots
    cycle: Cycle
    location: Location
    pool: Pool
    pending: Pending


def new_state(settings: Array, edges: Array, widths: Array, deviation: float) -> State:
    """Knows nothing yet; `deviation`: standard deviation of u in the calibration data."""
    bins = len(edges)
    pending = Pending(
        np.full(KEPT, np.nan), np.zeros(KEPT, np.int64), np.zeros(KEPT, np.int64), np.zeros((KEPT, FEATURES)),
        np.zeros(KEPT), np.zeros(KEPT), np.zeros((KEPT, MEMBERS, bins), np.float32), np.zeros((KEPT, bins)),
        np.zeros((KEPT, bins)), np.zeros(2, np.int64), np.full(1, -np.inf),
    )  # fmt: skip
    return State(
        settings, edges, widths, new_memory(bins), new_slots(bins), new_cycle(), new_location(deviation),
        new_pool(MEMBERS), pending,
    )  # fmt: skip


@kernel
def begin_recording(state: State) -> None:
    """What is observed next does not follow what was observed last."""
    begin_session(state.memory)
    begin_cycles(state.cycle)
    fill(state.slots.evidence, 0.0)
    fill(state.pending.sent_s, np.nan)
    state.pending.ring[0] = state.pending.ring[1] = 0
    state.pending.last[0] = -np.inf


@kernel
def slot_of(settings: Array, sent_s: float) -> int:
    """Number of the slot that a sample sent then belongs to."""
    period_s = settings[PERIOD]
    return int(np.floor((sent_s - settings[OFFSET]) / period_s)) if period_s > 0.0 else 0


@kernel
def _away_s(settings: Array, sent_s: float) -> float:
    """Time since the nearest boundary, negative before it; infinite without slots."""
    period_s = settings[PERIOD]
    if period_s <= 0.0:
        return np.inf
    since_s = (sent_s - settings[OFFSET]) % period_s
    return since_s if since_s <= 0.5 * period_s else since_s - period_s


@kernel
def observe(state: State, sent_s: float, value: float) -> None:
    """The value of a sample sent at `sent_s` is now known. Values in the order in which they become known."""
    memory = state.memory
    u = np.log(max(value + state.settings[SHIFT], 1e-300))
    bin_ = min(np.searchsorted(state.edges, u), len(state.edges) - 1)
    elapsed_s = min(max(sent_s - memory.clock[LAST_SENT], 0.0), 1e9)
    number = slot_of(state.settings, sent_s)
    if number > memory.slot[0]:
        keep_slot(state.slots, memory.histogram[SLOT], memory.number[SLOT])
        begin_cycles(state.cycle)
        began_s = sent_s
        if state.settings[PERIOD] > 0.0:
            began_s = state.settings[OFFSET] + number * state.settings[PERIOD]
        begin_slot(memory, number, began_s)
    in_slot = number == memory.slot[0]
    remember(memory, sent_s, u, bin_, in_slot)
    if in_slot:
        learn_cycle(state.cycle, sent_s - memory.clock[SLOT_BEGAN], u, bin_)
    if state.settings[PERIOD] > 0.0:
        if in_slot:
            learn_alike(state.slots, bin_, memory.histogram[ALL, bin_] / memory.number[ALL])
        learn_phase(state.slots, _away_s(state.settings, sent_s), bin_)
    _learn(state, sent_s, u, bin_, elapsed_s)


@kernel
def _learn(state: State, sent_s: float, u: float, bin_: int, elapsed_s: float) -> None:
    """Learn from the forecast of this sample, if there is one, and give up what is overdue."""
    pending = state.pending
    while pending.ring[0] < pending.ring[1]:
        oldest = pending.sent_s[pending.ring[0] % KEPT]
        if oldest >= sent_s - _OVERDUE_S:
            break
        pending.ring[0] += 1
    for number in range(pending.ring[0], pending.ring[1]):
        place = number % KEPT
        if pending.sent_s[place] != sent_s:
            continue
        pending.sent_s[place] = np.nan
        situation = pending.situation[place]
        learn_location(
            state.location, pending.case[place], pending.features[place], pending.usual[place],
            pending.expected[place], u, elapsed_s,
        )  # fmt: skip
        raw, given = pending.raw[place], pending.given[place]
        learn_ends(state.pool, given[bin_ - 1] if bin_ > 0 else 0.0, given[bin_])
        learn_transform(state.pool, situation, raw[bin_ - 1] if bin_ > 0 else 0.0, raw[bin_])
        learn_weights(state.pool, situation, pending.members[place], bin_, state.widths)
        break


@kernel
def _situation(away_s: float, case: int, known_s: float, clear: bool) -> int:
    if _PHASES_S[0] <= away_s < _PHASES_S[3]:
        if away_s < _PHASES_S[1]:
            return 0
        return 1 if away_s < _PHASES_S[2] else 2
    if case != ENOUGH:
        return 3 if case == NOTHING else 4
    return (5 if known_s < _SOME_S else 6) + (2 if clear else 0)


@kernel
def forecast(state: State, sent_s: float, levels: Array, out: Array) -> None:
    """Fill `out` [levels] with the quantiles of the value of a sample that will be sent at `sent_s`.

    From what has been observed, which must be something, and no more.
    """
    memory = state.memory
    known = memory.slot[0] == slot_of(state.settings, sent_s) and memory.number[SLOT] > 0.0
    # how much of the slot may be known one horizon before
    known_s = sent_s - state.settings[HORIZON] - memory.clock[SLOT_BEGAN]
    case = NOTHING
    if known:
        case = LITTLE if state.settings[PERIOD] > 0.0 and known_s < state.settings[HORIZON] else ENOUGH
    since_s = sent_s - memory.clock[SLOT_BEGAN]
    length, share = best_cycle(state.cycle) if known else (0, 0.0)
    away_s = _away_s(state.settings, sent_s)
    situation = _situation(away_s, case, known_s, share > CLEAR_SHARE)

    bins = len(state.edges)
    members = np.empty((MEMBERS, bins))
    for row in range(ROWS - 1):
        distribution_of(memory, row, members[row])
    features = np.empty(FEATURES)
    usual = features_of(memory, known, features)
    expected = located(state.location, case, features, usual)
    about = members[_ABOUT]
    distribution_about(state.location, case, expected, state.edges, about)
    present, mixed = members[_PRESENT_SLOT], np.empty(bins)
    count = 0.0
    if known:
        distribution_of(memory, SLOT, present)
        count = memory.number[SLOT]
    else:
        copy_to(members[_RECENT], present)
    for b in range(bins):
        mixed[b] = (count * present[b] + _PRIOR * about[b]) / (count + _PRIOR)
    if state.settings[PERIOD] > 0.0:
        distribution_at_phase(state.slots, away_s, members[ALL], members[_AT_PHASE])
    else:
        copy_to(members[ALL], members[_AT_PHASE])
    distribution_of_alike(state.slots, known, about, members[_ALIKE])
    distribution_in_cycle(state.cycle, length, since_s, mixed, members[_IN_CYCLE])

    raw, given = np.empty(bins), np.empty(bins)
    pooled(state.pool, situation, members, raw)
    corrected(state.pool, situation, raw, given)
    _quantiles(state.edges, state.settings[SHIFT], given, levels, out)
    if sent_s - state.pending.last[0] >= _LEARN_EVERY_S:
        _keep(state.pending, sent_s, situation, case, features, usual, expected, members, raw, given)


@kernel
def _keep(
    pending: Pending, sent_s: float, situation: int, case: int, features: Array, usual: float,
    expected: float, members: Array, raw: Array, given: Array,
) -> None:  # fmt: skip
    """Keep a forecast to learn from; the oldest makes room."""
    place = pending.ring[1] % KEPT
    pending.ring[1] += 1
    pending.ring[0] = max(pending.ring[0], pending.ring[1] - KEPT)
    pending.last[0] = sent_s
    pending.sent_s[place] = sent_s
    pending.situation[place], pending.case[place] = situation, case
    copy_to(features, pending.features[place])
    pending.usual[place], pending.expected[place] = usual, expected
    for k in range(MEMBERS):
        copy_to(members[k], pending.members[place, k])
    copy_to(raw, pending.raw[place])
    copy_to(given, pending.given[place])


@kernel
def _quantiles(edges: Array, shift: float, given: Array, levels: Array, out: Array) -> None:
    """Where the distribution function reaches the `levels`, evenly within a bin, as values."""
    b, bins = 0, len(given)
    for k in range(len(levels)):
        while b < bins - 1 and given[b] < levels[k]:
            b += 1
        below = given[b - 1] if b > 0 else 0.0
        left = edges[b - 1] if b > 0 else 2.0 * edges[0] - edges[1]
        part = min(max((levels[k] - below) / max(given[b] - below, 1e-12), 0.0), 1.0)
        out[k] = np.exp(left + part * (edges[b] - left)) - shift


@kernel
def run(
    state: State, sent_s: Array, known_s: Array, values: Array, order: NDArray[np.int64], levels: Array,
    out: NDArray[np.float32],
) -> None:  # fmt: skip
    """Forecast every sample in the order of sending, each after observing what was known by then.

    Samples [n] by time of sending, `order` [n] in which they became known; `out` [n, levels]. Of a
    forecaster that has observed nothing at all the first forecasts are left nan.
    """
    horizon_s = state.settings[HORIZON]
    quantiles = np.empty(len(levels))
    observed = 0
    for i in range(len(sent_s)):
        while observed < len(order) and known_s[order[observed]] <= sent_s[i] - horizon_s:
            observe(state, sent_s[order[observed]], values[order[observed]])
            observed += 1
        if state.memory.number[ALL] <= 0.0:
            fill(out[i], np.nan)
            continue
        forecast(state, sent_s[i], levels, quantiles)
        copy_to(quantiles, out[i])
    while observed < len(order):
        observe(state, sent_s[order[observed]], values[order[observed]])
        observed += 1
