"""Delay and outages of a measured path, generated: level changes on a grid, correlated jitter, stalls.

What a packet meets is a quantile of a calibrated distribution. Which one says a normal score

    x = level + spread * (w_0 e + sum of w_i z_i)

whose `level` and `spread` hold for a segment (a slot of 15 s, say), whose z_i are Ornstein-Uhlenbeck
processes with time constants of their own, and whose e is drawn for each packet: a Gaussian copula, so that
the distribution is what was calibrated, whatever the correlation in time. Segments come in blocks, each one
of a few patterns. On top come events: for a while all packets are lost (outage), then those that come wait
until the stall is over, which makes the teeth of a saw after a handover. It takes the place of propagation
and jitter, as a recorded delay does. How parameters are found is not known here.

Nothing random has a state of its own but the z_i: segments and events are functions of (key, number of the
block or cell), draws of (key, packet). `write` packs a process into one row of floats that kernels read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.jit import inline_packet_kernel, packet_kernel
from emulator.links.quantiles import normal_quantile
from emulator.links.random import PROCESS, uniform

Floats = NDArray[np.float64]

#: what `process_ns` gives for a packet that is lost in an outage
LOST: Final = -1
#: Ornstein-Uhlenbeck processes that a link keeps
COMPONENTS: Final = 4
#: columns of a segment
LENGTH_NS, LEVEL, SPREAD, EVENT, SIZE = 0, 1, 2, 3, 4
SEGMENT_COLUMNS: Final = 5

# words of the header
_KNOTS: Final = 0
_SCORE: Final = 1  # the lowest
_STEP: Final = 2  # from one score to the next
_WHITE: Final = 3
_COMPONENTS: Final = 4
_PATTERNS: Final = 5
_SEGMENTS: Final = 6
_BLOCK_NS: Final = 7
_BLOCK: Final = 8  # number of the block in which the run begins
_PHASE_NS: Final = 9  # how far into it
_LEAD_NS: Final = 10  # segments' events are looked for so much before them
_CHANCE: Final = 11
_CELL_NS: Final = 12
_CELL: Final = 13
_CELL_PHASE_NS: Final = 14
_CELL_CHANCE: Final = 15
_TABLE: Final = 16  # values of each of the quantile tables of events: of segments, then of cells
_HEADER: Final = 22

# purposes of draws, after PROCESS
_WHITE_DRAW: Final = 0
_COMPONENT_DRAW: Final = 1
_PATTERN_DRAW: Final = 8
_CELL_DRAW: Final = 9
_CELL_AT: Final = 10
_CELL_OUTAGE: Final = 11
_CELL_STALL: Final = 12
_AT_DRAW: Final = 13

#: half of what tells two draws apart: draws of 0 are taken as that
_LEAST_DRAW: Final = 2.0**-54
_LONGEST_NS: Final = 3.6e12
_MOST_VALUES: Final = 4_000_000


def _none() -> Floats:
    return np.zeros(0)


@dataclass(frozen=True, eq=False)
class Events:
    """Outages and stalls that come with a chance: quantile tables in ns, at the levels (i + 0.5) / n.

    `after_ns`: from the start of the segment or cell; `outage_ns`: how long packets are lost; `stall_ns`: by
    how much the first after that is delayed. Empty tables are 0. What a cell begins ends with it.
    """

    chance: float = 0.0
    after_ns: Floats = field(default_factory=_none)
    outage_ns: Floats = field(default_factory=_none)
    stall_ns: Floats = field(default_factory=_none)

    def check(self, where: str, earliest_ns: float) -> None:
        """WorldError, with `where` before the key."""
        if not 0.0 <= self.chance <= 1.0:
            raise WorldError(f"{where}chance is {self.chance:g}, allowed: 0 to 1")
        for name, least in (("after_ns", earliest_ns), ("outage_ns", 0.0), ("stall_ns", 0.0)):
            values = getattr(self, name)
            if values.ndim != 1 or not np.isfinite(values).all() or (np.diff(values) < 0.0).any():
                raise WorldError(f"{where}{name} is no table of quantiles, allowed: finite, not descending")
            if len(values) and not (least <= values[0] and values[-1] <= _LONGEST_NS):
                raise WorldError(
                    f"{where}{name} is {values[0]:g} to {values[-1]:g}, allowed: {least:g} to {_LONGEST_NS:g}"
                )


@dataclass(frozen=True, eq=False)
class Process:
    """What a link plays instead of propagation and jitter.

    `delays_ns` [k]: the delay at normal scores equidistant from `lowest` to `-lowest`, not descending;
    beyond both ends it stays. `white` and `components` [c, 2] (time constant in ns, weight): the score
    within a segment. `patterns` [p, n, 5]: (length in ns, level, spread, and two numbers of 0 to 1: whether
    and how the segment begins with an event); every pattern lasts as long; empty: no segments. `block`
    and `phase_ns`: where in the sequence of blocks the run begins. `events` belong to segments and begin up
    to `lead_ns` before them, `strays` to cells of `cell_ns`, the first of the run being number `cell`,
    begun `cell_phase_ns` before.
    """

    delays_ns: Floats
    lowest: float = -4.0
    white: float = 1.0
    components: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    patterns: Floats = field(default_factory=lambda: np.zeros((0, 0, SEGMENT_COLUMNS)))
    block: int = 0
    phase_ns: int = 0
    events: Events = field(default_factory=Events)
    lead_ns: int = 0
    strays: Events = field(default_factory=Events)
    cell_ns: int = 1_000_000_000
    cell: int = 0
    cell_phase_ns: int = 0

    @property
    def block_ns(self) -> int:
        """How long a block lasts, ns; 1 without segments."""
        return int(self.patterns[0, :, LENGTH_NS].sum()) if self.patterns.size else 1

    def check(self, where: str) -> None:
        """WorldError, with `where` before the key, for what no link can play."""
        delays = self.delays_ns
        if delays.ndim != 1 or len(delays) < 2 or not np.isfinite(delays).all():
            raise WorldError(f"{where}delays_ns has shape {delays.shape}, allowed: two finite values or more")
        if delays[0] < 0.0 or delays[-1] > _LONGEST_NS or (np.diff(delays) < 0.0).any():
            raise WorldError(
                f"{where}delays_ns are {delays.min():g} to {delays.max():g}, "
                f"allowed: 0 to {_LONGEST_NS:g}, not descending"
            )
        if not -8.0 <= self.lowest < 0.0:
            raise WorldError(f"{where}lowest is {self.lowest:g}, allowed: -8 to below 0")
        if not 0.0 <= self.white <= 1e6:
            raise WorldError(f"{where}white is {self.white:g}, allowed: 0 to 1e+06")
        parts = self.components
        if parts.ndim != 2 or parts.shape[1] != 2 or len(parts) > COMPONENTS:
            raise WorldError(f"{where}components have shape {parts.shape}, allowed: [0 to {COMPONENTS}, 2]")
        if not np.isfinite(parts).all() or (parts[:, 0] <= 0.0).any():
            raise WorldError(f"{where}components are {parts.tolist()}, allowed: time constants above 0 ns")
        self._check_patterns(where)
        if self.cell_ns < 1 or self.cell < 0 or not 0 <= self.cell_phase_ns < self.cell_ns:
            raise WorldError(
                f"{where}cell {self.cell} of {self.cell_ns} ns begins {self.cell_phase_ns} ns before, "
                "allowed: from 0, of 1 ns, within it"
            )
        if self.lead_ns < 0:
            raise WorldError(f"{where}lead_ns is {self.lead_ns}, allowed: from 0")
        self.events.check(f"{where}events.", -float(self.lead_ns))
        self.strays.check(f"{where}strays.", 0.0)

    def _check_patterns(self, where: str) -> None:
        patterns = self.patterns
        if patterns.ndim != 3 or patterns.shape[2] != SEGMENT_COLUMNS or patterns.size > _MOST_VALUES:
            raise WorldError(
                f"{where}patterns have shape {patterns.shape}, allowed: [p, n, {SEGMENT_COLUMNS}], "
                f"{_MOST_VALUES} values"
            )
        lengths = patterns[:, :, LENGTH_NS]
        if not np.isfinite(patterns).all() or (lengths < 1.0).any() or (lengths % 1.0 != 0.0).any():
            raise WorldError(f"{where}patterns are not finite, or last less than a whole ns, allowed: more")
        if patterns.size and np.ptp(lengths.sum(axis=1)) != 0.0:
            raise WorldError(f"{where}patterns last differently long, allowed: all as long")
        if (patterns[:, :, SPREAD] < 0.0).any():
            raise WorldError(f"{where}patterns have a spread below 0, allowed: from 0")
        if self.block < 0 or not 0 <= self.phase_ns < self.block_ns:
            raise WorldError(
                f"{where}block {self.block}, phase_ns {self.phase_ns}, "
                f"allowed: from 0, and below {self.block_ns}, the length of a block"
            )

    def packed(self) -> Floats:
        """The process as one row of floats."""
        tables = [
            table
            for events in (self.events, self.strays)
            for table in (events.after_ns, events.outage_ns, events.stall_ns)
        ]
        tables = [table if len(table) else np.zeros(1) for table in tables]
        header = np.zeros(_HEADER)
        header[_KNOTS] = len(self.delays_ns)
        header[_SCORE] = self.lowest
        header[_STEP] = -2.0 * self.lowest / (len(self.delays_ns) - 1)
        header[_WHITE] = self.white
        header[_COMPONENTS] = len(self.components)
        header[_PATTERNS], header[_SEGMENTS] = self.patterns.shape[:2]
        header[_BLOCK_NS] = self.block_ns
        header[_BLOCK] = self.block
        header[_PHASE_NS] = self.phase_ns
        header[_LEAD_NS] = self.lead_ns
        header[_CHANCE] = self.events.chance
        header[_CELL_NS] = self.cell_ns
        header[_CELL] = self.cell
        header[_CELL_PHASE_NS] = self.cell_phase_ns
        header[_CELL_CHANCE] = self.strays.chance
        header[_TABLE:] = [len(table) for table in tables]
        parts = [header, self.delays_ns, self.components.ravel(), *tables, self.patterns.ravel()]
        return np.concatenate(parts).astype(np.float64)


# --- kernels ----------------------------------------------------------------------------------


@packet_kernel
def _tables(values: Any, first: int, table: int) -> int:
    """Where a table of events begins, and where the last one ends."""
    at = first + _HEADER + int(values[first + _KNOTS]) + 2 * int(values[first + _COMPONENTS])
    for before in range(table):
        at += int(values[first + _TABLE + before])
    return at


@packet_kernel
def _quantile(values: Any, first: int, table: int, level: float) -> int:
    """Of a table of events, whole ns."""
    start, size = _tables(values, first, table), int(values[first + _TABLE + table])
    at = min(max(level * size - 0.5, 0.0), size - 1.0)
    low = int(at)
    high = min(size - 1, low + 1)
    return int(values[start + low] + (at - low) * (values[start + high] - values[start + low]))


@inline_packet_kernel
def _pattern(link: Any, values: Any, first: int, block: int) -> int:
    """Where the pattern of a block begins."""
    draw = uniform(link.key, 0, block, PROCESS + _PATTERN_DRAW)
    index = int(draw * values[first + _PATTERNS])
    segments = int(values[first + _SEGMENTS])
    return _tables(values, first, 6) + index * segments * SEGMENT_COLUMNS


@packet_kernel
def _enter_segment(link: Any, values: Any, first: int, since_ns: int) -> None:
    """Remember the level and the spread of the segment of `since_ns`."""
    block_ns = int(values[first + _BLOCK_NS])
    time_ns = since_ns + int(values[first + _PHASE_NS])
    blocks = time_ns // block_ns
    at = _pattern(link, values, first, int(values[first + _BLOCK]) + blocks)
    start_ns = blocks * block_ns
    end_ns = start_ns + int(values[at + LENGTH_NS])
    while end_ns <= time_ns:
        at += SEGMENT_COLUMNS
        start_ns = end_ns
        end_ns += int(values[at + LENGTH_NS])
    link.segment_ns = start_ns - int(values[first + _PHASE_NS])
    link.segment_end_ns = end_ns - int(values[first + _PHASE_NS])
    link.level = values[at + LEVEL]
    link.spread = values[at + SPREAD]


@packet_kernel
def _enter_event(link: Any, values: Any, first: int, since_ns: int) -> None:
    """Remember the event of the segment of `since_ns`, events beginning `lead_ns` before segments."""
    block_ns, lead_ns = int(values[first + _BLOCK_NS]), int(values[first + _LEAD_NS])
    time_ns = since_ns + lead_ns + int(values[first + _PHASE_NS])
    blocks = time_ns // block_ns
    block = int(values[first + _BLOCK]) + blocks
    at = _pattern(link, values, first, block)
    start_ns = blocks * block_ns
    end_ns = start_ns + int(values[at + LENGTH_NS])
    segment = 0
    while end_ns <= time_ns:
        at += SEGMENT_COLUMNS
        start_ns = end_ns
        end_ns += int(values[at + LENGTH_NS])
        segment += 1
    start_ns -= int(values[first + _PHASE_NS])
    link.event_ns = start_ns - lead_ns
    link.event_end_ns = end_ns - int(values[first + _PHASE_NS]) - lead_ns
    link.outage_ns = link.event_ns
    link.outage_end_ns = link.event_ns
    link.stall_end_ns = link.event_ns
    chance = values[first + _CHANCE]
    if values[at + EVENT] < chance:
        number = block * int(values[first + _SEGMENTS]) + segment
        when = uniform(link.key, 0, number, PROCESS + _AT_DRAW)
        size_of_it = values[at + SIZE]
        link.outage_ns = start_ns + _quantile(values, first, 0, when)
        link.outage_end_ns = link.outage_ns + _quantile(values, first, 1, size_of_it)
        link.stall_end_ns = link.outage_end_ns + _quantile(values, first, 2, values[at + EVENT] / chance)


@packet_kernel
def _enter_cell(link: Any, values: Any, first: int, since_ns: int) -> None:
    """Remember the stray event of the cell of `since_ns`."""
    cell_ns, phase_ns = int(values[first + _CELL_NS]), int(values[first + _CELL_PHASE_NS])
    cells = (since_ns + phase_ns) // cell_ns
    cell = int(values[first + _CELL]) + cells
    link.cell_ns = cells * cell_ns - phase_ns
    link.cell_end_ns = link.cell_ns + cell_ns
    link.stray_ns = link.cell_ns
    link.stray_outage_end_ns = link.cell_ns
    link.stray_end_ns = link.cell_ns
    if uniform(link.key, 0, cell, PROCESS + _CELL_DRAW) < values[first + _CELL_CHANCE]:
        when = uniform(link.key, 0, cell, PROCESS + _CELL_AT)
        lasting = uniform(link.key, 0, cell, PROCESS + _CELL_OUTAGE)
        longest = uniform(link.key, 0, cell, PROCESS + _CELL_STALL)
        link.stray_ns = link.cell_ns + _quantile(values, first, 3, when)
        link.stray_outage_end_ns = link.stray_ns + _quantile(values, first, 4, lasting)
        link.stray_end_ns = link.stray_outage_end_ns + _quantile(values, first, 5, longest)


@inline_packet_kernel
def _normal(link: Any, packet: Any, purpose: int) -> float:
    draw = uniform(link.key, packet.port, packet.number, PROCESS + purpose)
    return normal_quantile(max(draw, _LEAST_DRAW))


@packet_kernel
def process_ns(link: Any, packet: Any, values: Any, first: int, since_ns: int) -> int:
    """Delay of a packet that leaves the transmitter `since_ns` after the start of the run, ns, or LOST.

    `values` from `first` on are a packed process. The link remembers where it is in it.
    """
    level, spread = 0.0, 1.0
    outage = False
    stall_ns = 0
    if values[first + _PATTERNS] > 0.0:
        if not link.segment_ns <= since_ns < link.segment_end_ns:
            _enter_segment(link, values, first, since_ns)
        level, spread = link.level, link.spread
        if values[first + _CHANCE] > 0.0:
            if not link.event_ns <= since_ns < link.event_end_ns:
                _enter_event(link, values, first, since_ns)
            outage = link.outage_ns <= since_ns < link.outage_end_ns
            if since_ns >= link.outage_end_ns:
                stall_ns = max(0, link.stall_end_ns - since_ns)
    if values[first + _CELL_CHANCE] > 0.0:
        if not link.cell_ns <= since_ns < link.cell_end_ns:
            _enter_cell(link, values, first, since_ns)
        outage = outage or link.stray_ns <= since_ns < link.stray_outage_end_ns
        if since_ns >= link.stray_outage_end_ns:
            stall_ns = max(stall_ns, link.stray_end_ns - since_ns)
    knots = int(values[first + _KNOTS])
    score = 0.0
    if values[first + _WHITE] > 0.0:
        score = values[first + _WHITE] * _normal(link, packet, _WHITE_DRAW)
    begun = link.process_ns != 0
    past_ns = max(0, since_ns + 1 - link.process_ns)
    for index in range(int(values[first + _COMPONENTS])):
        at = first + _HEADER + knots + 2 * index
        z = _normal(link, packet, _COMPONENT_DRAW + index)
        if begun:
            times = past_ns / values[at]
            z = link.process_z[index] * math.exp(-times) + math.sqrt(-math.expm1(-2.0 * times)) * z
        link.process_z[index] = z
        score += values[at + 1] * z
    # one more than the time, so that zero is what has not begun
    link.process_ns = since_ns + 1
    at_knot = (level + spread * score - values[first + _SCORE]) / values[first + _STEP]
    at_knot = min(max(at_knot, 0.0), knots - 1.0)
    low = min(knots - 2, int(at_knot))
    table = first + _HEADER
    delay_ns = values[table + low] + (at_knot - low) * (values[table + low + 1] - values[table + low])
    if outage:
        delay_ns = LOST
    else:
        delay_ns += stall_ns
    return int(delay_ns)


@inline_packet_kernel
def forget_process(link: Any) -> None:
    """The row becomes another link's, or is of another model: it remembers nothing."""
    link.process_ns = 0
    link.segment_end_ns = link.segment_ns
    link.event_end_ns = link.event_ns
    link.cell_end_ns = link.cell_ns
