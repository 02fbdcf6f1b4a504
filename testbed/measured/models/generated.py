"""A fitted model that generates: its parameters, as people read them, and how the emulator plays them.

`Parameters` is all there is to a model of any kind of this package; what fits them is the kinds' matter, how
a packet meets them that of `emulator.links.process`. A round trip cannot tell its two directions apart: the
forward link plays all but half of the floor, the backward link that constant half.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from testbed.measured.measurement import Array

if TYPE_CHECKING:
    from emulator.links.model import LinkModel

#: quantiles of delay stand at equidistant normal scores from -4 to 4
LOWEST_SCORE: Final = -4.0
KNOTS: Final = 257
#: patterns of a block of segments; which one a block has is random
_PATTERNS: Final = 16
#: blocks and cells are counted round and round: times that begin at 0 may lie before a model's first one
_NUMBERS: Final = 1 << 44


@dataclass(frozen=True)
class Segments:
    """Stretches of time with a level and a spread of their own: slots on a grid, or irregular ones."""

    #: of a slot; of irregular segments the mean
    length_s: float
    #: where slots begin, POSIX seconds modulo their length; None: irregular
    offset_s: float | None
    #: POSIX seconds from which blocks are counted
    begin_s: float
    #: segments of a block
    count: int
    #: quantiles of level and spread at equidistant levels from 0 to 1, as normal scores
    level: tuple[float, ...]
    spread: tuple[float, ...]
    #: rank correlation of level and spread
    agreement: float = 0.0
    #: autocorrelation of levels at 1, 2, ... segments
    correlation: tuple[float, ...] = ()


@dataclass(frozen=True)
class Disturbances:
    """Outages and stalls: how likely one is, and quantiles at equidistant levels from 0 to 1."""

    chance: float = 0.0
    #: when it begins, after the boundary or the start of its cell
    after_s: tuple[float, ...] = ()
    outage_s: tuple[float, ...] = ()
    stall_s: tuple[float, ...] = ()


@dataclass(frozen=True)
class Parameters:
    """All that is calibrated, whatever the kind."""

    #: quantiles at `KNOTS` equidistant normal scores from -4 to 4
    delay_ms: tuple[float, ...]
    #: weight of what is drawn for each packet
    white: float = 1.0
    #: time constant in s and weight of each correlated part
    components: tuple[tuple[float, float], ...] = ()
    segments: Segments | None = None
    #: chance per packet that losses begin, and that they end
    loss_enter: float = 0.0
    loss_leave: float = 1.0
    #: at the boundaries of segments
    handovers: Disturbances = field(default_factory=Disturbances)
    #: at any time: one at most in each cell of this length
    strays: Disturbances = field(default_factory=Disturbances)
    cell_s: float = 1.0
    #: whether the delay is that of a round trip
    round_trip: bool = True


@dataclass(frozen=True)
class Generated:
    """A frozen model; it has the methods of `contract.Fitted`."""

    name: str
    content: Parameters

    def parameters(self) -> dict[str, Any]:
        """Its parameters as JSON types, units in the keys."""
        from testbed.measured.models.file import to_table

        return to_table(self.content)

    def play(self, times_s: Array, seed: int) -> Array:
        """Values [n] in ms that probes sent at `times_s` (POSIX seconds) meet, nan where lost."""
        from testbed.measured.play import play

        start_s = math.floor(float(times_s[0])) if len(times_s) else 0.0
        return play(self.link_model(start_s), self.backward_ms, times_s, start_s, seed)

    @property
    def backward_ms(self) -> float:
        """The constant delay of the way back: half of the floor of a round trip."""
        return 0.5 * self.content.delay_ms[0] if self.content.round_trip else 0.0

    def link_model(self, start_s: float, name: str = "measured") -> LinkModel:
        """What the forward link of a run that starts at `start_s` (POSIX seconds) is to do."""
        from emulator.links.model import Events, GilbertElliott, Independent, LinkModel, Process

        c = self.content
        loss = GilbertElliott(c.loss_enter, c.loss_leave) if c.loss_enter > 0.0 else Independent()
        cell_ns = round(c.cell_s * 1e9)
        cell, cell_phase_ns = divmod(round(start_s * 1e9), cell_ns)
        segments: dict[str, Any] = {}
        if c.segments is not None:
            block_ns = int(self._patterns[0, :, 0].sum())
            begin_ns = round(c.segments.begin_s * 1e9)
            if c.segments.offset_s is not None:
                # the slot nearest to it, exactly
                offset_ns, slot_ns = round(c.segments.offset_s * 1e9), round(c.segments.length_s * 1e9)
                begin_ns = offset_ns + slot_ns * ((begin_ns - offset_ns + slot_ns // 2) // slot_ns)
            begin_ns %= block_ns
            block, phase_ns = divmod(round(start_s * 1e9) - begin_ns, block_ns)
            segments = {"patterns": self._patterns, "block": block % _NUMBERS, "phase_ns": phase_ns}

        def events(these: Disturbances) -> Events:
            tables = (np.array(t) * 1e9 for t in (these.after_s, these.outage_s, these.stall_s))
            return Events(these.chance, *tables)

        process = Process(
            (np.array(c.delay_ms) - self.backward_ms) * 1e6,
            LOWEST_SCORE,
            white=c.white,
            components=np.array([(s * 1e9, weight) for s, weight in c.components]).reshape(-1, 2),
            events=events(c.handovers),
            lead_ns=math.ceil(max(0.0, -min(c.handovers.after_s, default=0.0)) * 1e9),
            strays=events(c.strays),
            cell_ns=cell_ns,
            cell=cell % _NUMBERS,
            cell_phase_ns=cell_phase_ns,
            **segments,
        )
        return LinkModel(name, loss=loss, process=process, keep_order=False)

    def _delay_of(self, s: Segments) -> Array:
        """The mean delay of each entry of the level table, at the median spread, ms."""
        around = np.array(s.level)[:, None] + np.median(s.spread) * np.linspace(-1.5, 1.5, 7)
        table = np.array(self.content.delay_ms)
        scores = np.linspace(LOWEST_SCORE, -LOWEST_SCORE, len(table))
        return np.asarray(np.interp(around, scores, table).mean(axis=1))

    @cached_property
    def _patterns(self) -> Array:
        from testbed.measured.models.patterns import patterns

        s = self.content.segments
        assert s is not None
        return patterns(
            s.count,
            np.array(s.level),
            self._delay_of(s),
            np.array(s.spread),
            s.agreement,
            np.array(s.correlation),
            length_s=s.length_s,
            irregular=s.offset_s is None,
            made=_PATTERNS,
        )
