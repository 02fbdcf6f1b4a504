"""Modulation and coding: what rate a signal-to-noise ratio buys, and how often a frame still fails.

Tables hold, from most robust to fastest, the spectral efficiency (bit/s per Hz of noise bandwidth,
which is the symbol rate) and the least Es/N0. Adaptive coding keeps a margin over that threshold and
asks for a further hysteresis before it goes faster; it steps down at once.

The thresholds are published ones, see `modcod_tables`. How the frame error rate falls around a threshold
is not in the tables: it is a modelling choice here, a logistic curve through the error rate that the
source ties to the threshold and through one half at a stated distance below it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.errors import WorldError
from emulator.jit import kernel
from emulator.radio.modcod_tables import PUBLISHED

Floats = NDArray[np.float64]

#: thermal noise power density at 290 K, dBm/Hz
_NOISE_DBM_HZ = -174.0


@kernel
def fastest_below(threshold_db, first, end, snr_db):  # type: ignore[no-untyped-def]
    """Index, counted from `first`, of the last threshold not above `snr_db` within [first, end), else -1."""
    low, high = first, end
    while low < high:
        middle = (low + high) // 2
        if threshold_db[middle] <= snr_db:
            low = middle + 1
        else:
            high = middle
    return low - first - 1


@kernel
def choose(snr_db, table, current, margin_db, hysteresis_db, start, threshold_db, out):  # type: ignore[no-untyped-def]
    """ModCod of every link into `out` [n] int16, an index within the link's own table.

    `snr_db`, `margin_db`, `hysteresis_db` [n] dB; `table` [n]: number of the table; `current` [n]: the
    index in use, -1 for a new link (may be `out`). `start` [tables + 1]: where each table begins in
    `threshold_db`. An SNR that is not a number gives the most robust.
    """
    for i in range(snr_db.shape[0]):
        first, end = start[table[i]], start[table[i] + 1]
        spare = snr_db[i] - margin_db[i]
        fits = fastest_below(threshold_db, first, end, spare)
        held = current[i]
        if held >= 0 and fits > held:
            fits = max(held, fastest_below(threshold_db, first, end, spare - hysteresis_db[i]))
        out[i] = max(fits, 0)


@kernel
def fail(snr_db, table, index, start, threshold_db, steepness, half_below_db, out):  # type: ignore[no-untyped-def]
    """Frame error probability of every link into `out` [n], for SNR in dB and ModCod index.

    `steepness` [tables] in 1/dB and `half_below_db` [tables] dB describe the logistic curve.
    """
    for i in range(snr_db.shape[0]):
        k = table[i]
        above_half = snr_db[i] - threshold_db[start[k] + index[i]] + half_below_db[k]
        exponent = min(max(steepness[k] * above_half, -700.0), 700.0)
        out[i] = 1.0 / (1.0 + math.exp(exponent))


@kernel
def carry(table, index, bandwidth_hz, start, efficiency, out):  # type: ignore[no-untyped-def]
    """Bit/s that the ModCods of every link carry in a noise bandwidth in Hz, into `out` [n]."""
    for i in range(out.shape[0]):
        out[i] = efficiency[start[table[i]] + index[i]] * bandwidth_hz[i]


class ModCodStack:
    """Several tables as one, so that links of different systems are adapted by one call.

    `tables`: in the order that links refer to them by number.
    """

    def __init__(self, tables: Sequence[ModCodTable]) -> None:
        lengths = [len(table.labels) for table in tables]
        self.start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self.threshold_db = np.concatenate([np.empty(0), *(table.threshold_db for table in tables)])
        self.efficiency = np.concatenate([np.empty(0), *(table.efficiency for table in tables)])
        self.half_below_db = np.array([table.half_below_db for table in tables], dtype=np.float64)
        self.steepness = np.array([table.steepness for table in tables], dtype=np.float64)

    def select(
        self,
        snr_db: Floats,
        table: NDArray[np.int32],
        current: NDArray[np.int16],
        margin_db: Floats,
        hysteresis_db: Floats,
    ) -> NDArray[np.int16]:
        """Index of the ModCod within its table for each link; all arrays [n], see `ModCodTable.select`."""
        out = np.empty(len(snr_db), dtype=np.int16)
        choose(snr_db, table, current, margin_db, hysteresis_db, self.start, self.threshold_db, out)
        return out

    def frame_error(self, snr_db: Floats, table: NDArray[np.int32], index: NDArray[np.int16]) -> Floats:
        """Probability that one frame is lost, for Es/N0 in dB, table and ModCod index; all arrays [n]."""
        out = np.empty(len(snr_db))
        fail(
            snr_db, table, index, self.start, self.threshold_db, self.steepness, self.half_below_db, out
        )  # fmt: skip
        return out

    def rate_bps(self, table: NDArray[np.int32], index: NDArray[np.int16], bandwidth_hz: Floats) -> Floats:
        """Bit/s that the ModCods carry in a noise bandwidth in Hz; all arrays [n]."""
        out = np.empty(len(bandwidth_hz))
        carry(table, index, bandwidth_hz, self.start, self.efficiency, out)
        return out


@dataclass(frozen=True)
class ModCodTable:
    """Choices of one radio system, in rising order of threshold and efficiency."""

    name: str
    labels: tuple[str, ...]
    efficiency: Floats
    threshold_db: Floats
    #: a packet is cut into frames of this size; one lost frame loses it
    frame_bits: int
    #: frame error rate at the threshold, and how far below it that is one half
    error_at_threshold: float
    half_below_db: float

    @property
    def steepness(self) -> float:
        """By how much the log-odds of losing a frame fall with a dB of SNR."""
        return math.log(1.0 / self.error_at_threshold - 1.0) / self.half_below_db

    @cached_property
    def _alone(self) -> ModCodStack:
        return ModCodStack([self])

    def select(
        self, snr_db: Floats, current: NDArray[np.int16], margin_db: Floats, hysteresis_db: Floats
    ) -> NDArray[np.int16]:
        """Index of the ModCod for each link; all arrays [n].

        `current`: the index in use, -1 for a new link. The fastest that keeps `margin_db`; one that is
        faster than the current must keep `hysteresis_db` more. The most robust when none fits.
        """
        first = np.zeros(len(snr_db), dtype=np.int32)
        return self._alone.select(snr_db, first, current, margin_db, hysteresis_db)

    def frame_error(self, snr_db: ArrayLike, index: NDArray[np.int16]) -> Floats:
        """Probability that one frame is lost, for Es/N0 in dB [n] and ModCod index [n]."""
        snr = np.asarray(snr_db, dtype=np.float64)
        return self._alone.frame_error(snr, np.zeros(len(snr), dtype=np.int32), index)

    def sensitivity_dbm(self, bandwidth_hz: float, noise_figure_db: float) -> Floats:
        """Least received power of each ModCod, dBm, over thermal noise at 290 K in `bandwidth_hz`.

        Raises `WorldError` unless the bandwidth is above 0.
        """
        if not 0.0 < bandwidth_hz < math.inf:
            raise WorldError(f"bandwidth_hz is {bandwidth_hz:g}, it must be above 0")
        return self.threshold_db + _NOISE_DBM_HZ + 10.0 * math.log10(bandwidth_hz) + noise_figure_db


def packet_error(frame_error: ArrayLike, packet_bits: ArrayLike, frame_bits: ArrayLike) -> Floats:
    """Probability that a packet cut into frames is lost, its frames failing independently."""
    frames = np.maximum(np.ceil(np.asarray(packet_bits) / np.asarray(frame_bits)), 1.0)
    # through the logarithm: 1 - (1 - p)^n loses every digit of a p near 1e-16
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(frames * np.log1p(-np.asarray(frame_error, dtype=np.float64))))


def _table(name: str) -> ModCodTable:
    made = PUBLISHED[name]()
    return ModCodTable(
        name, made.labels, np.array(made.efficiency), np.array(made.threshold_db), made.frame_bits,
        made.error_at_threshold, made.half_below_db,
    )  # fmt: skip


TABLES: dict[str, Callable[[], ModCodTable]] = {name: partial(_table, name) for name in PUBLISHED}


def modcod_table(name: str) -> ModCodTable:
    """The table of that name. Raises `WorldError` naming the known ones."""
    if name not in TABLES:
        raise WorldError(f"modcods is {name!r}, allowed: {', '.join(sorted(TABLES))}")
    return TABLES[name]()
