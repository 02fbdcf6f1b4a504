"""Measured less predicted levels: an offset from one half of the packets, the other half judged in parts.

What a level depends on besides the prediction (unknown power and gains, cables, the receiver's scale) is
one offset, the mean over the calibration half. The residuals of the other half are averaged over parts of
elevation and of distance, and held against their own spread. Nothing of the judged half is in the offset.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from testbed.errors import BadInput
from testbed.measured.rssi_packets import Packets, Parameters

Floats = NDArray[np.float64]

_ELEVATION_EDGES_DEG = (-90.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0)
#: parts of a decade of distance
_PER_DECADE = 6
_LEAST_SIGMA_DB = 1e-6


@dataclass(frozen=True)
class Part:
    """Packets of one part of elevation or distance."""

    low: float
    high: float
    count: int
    mean_db: float
    judged: bool
    #: the same less the mean of all judged residuals: what is left when the halves differ in level
    relative_db: float


@dataclass(frozen=True)
class Judged:
    """Residuals [n] of all packets after the offset, and the judged half's parts."""

    residual_db: Floats
    judged: NDArray[np.bool_]
    offset_db: float
    sigma_db: float
    mean_db: float
    #: root mean square errors over the judged half: of the model, and of a level that is always the same
    error_db: float
    error_of_constant_db: float
    by_elevation: tuple[Part, ...]
    by_distance: tuple[Part, ...]
    #: what a level that is always the same has for the worst part of each, in its own residual sigmas
    constant_by_elevation_sigma: float
    constant_by_distance_sigma: float

    @property
    def skill(self) -> float:
        """One less the ratio of the errors of the model and of the constant."""
        if self.error_of_constant_db == 0.0:
            return math.nan
        return 1.0 - self.error_db / self.error_of_constant_db

    def worst_sigma(self, parts: tuple[Part, ...]) -> float:
        """The largest mean residual of the parts that are judged, in residual sigmas; nan: none is."""
        return _worst(parts, self.sigma_db)

    def worst_relative_sigma(self, parts: tuple[Part, ...]) -> float:
        """The same of the parts' means less that of all judged residuals: shown, not judged."""
        found = (abs(part.relative_db) for part in parts if part.judged)
        return max(found, default=math.nan) / self.sigma_db


def judge(packets: Packets, predicted_dbm: Floats, parameters: Parameters) -> Judged:
    """Fit the offset on one half, average the other's residuals over the parts."""
    index = np.arange(len(predicted_dbm))
    half = index < len(index) // 2 if parameters.split == "time" else index % 2 == 0
    source = packets.source if parameters.offset_per == "source" else np.full(len(index), "all")
    difference = packets.rssi_dbm - predicted_dbm
    offset = _calibrated(difference, source, half)
    residual = difference - offset
    # a source that was not heard in the calibration half has no offset and is not judged
    judged = ~half & np.isfinite(residual)
    if not judged.any():
        raise BadInput("rssi-trend: no source was heard in both halves, give --set offset_per=all")
    sigma = float(residual[judged].std())
    if sigma < _LEAST_SIGMA_DB:
        raise BadInput(
            f"rssi-trend: the residuals of the {judged.sum()} packets to judge are all the same, "
            "without a spread they cannot be judged"
        )
    # the trivial model: whatever the calibration half heard on average
    flat = packets.rssi_dbm - _calibrated(packets.rssi_dbm, source, half)
    flat_sigma = float(flat[judged].std())
    distance = np.log10(packets.range_m)
    first, last = math.floor(distance.min() * _PER_DECADE), math.ceil(distance.max() * _PER_DECADE)
    edges = tuple(k / _PER_DECADE for k in range(first, max(last, first + 1) + 1))
    least = parameters.least_in_part
    by_elevation, by_distance = (
        _parts(value, parts, residual, judged, least)
        for value, parts in ((packets.elevation_deg, _ELEVATION_EDGES_DEG), (distance, edges))
    )
    constant = (
        _worst(_parts(value, parts, flat, judged, least), flat_sigma) if flat_sigma > 0.0 else 0.0
        for value, parts in ((packets.elevation_deg, _ELEVATION_EDGES_DEG), (distance, edges))
    )
    return Judged(
        residual, judged, float(np.nanmean(offset)), sigma, float(residual[judged].mean()),
        float(np.sqrt(np.mean(residual[judged] ** 2))), float(np.sqrt(np.mean(flat[judged] ** 2))),
        by_elevation,
        tuple(
            replace(part, low=10.0 ** (part.low - 3.0), high=10.0 ** (part.high - 3.0))
            for part in by_distance
        ),
        *constant,
    )  # fmt: skip


def _calibrated(value: Floats, source: NDArray[np.str_], half: NDArray[np.bool_]) -> Floats:
    """Each packet's source's mean [n] over the calibration half; nan for one that has none there."""
    out = np.full(len(value), math.nan)
    for name in np.unique(source[half]):
        mine = source == name
        out[mine] = value[mine & half].mean()
    return out


def _worst(parts: tuple[Part, ...], sigma_db: float) -> float:
    return max((abs(part.mean_db) for part in parts if part.judged), default=math.nan) / sigma_db


def _parts(
    value: Floats, edges: tuple[float, ...], residual: Floats, judged: NDArray[np.bool_], least: int
) -> tuple[Part, ...]:
    parts = []
    everywhere = float(residual[judged].mean())
    for low, high in itertools.pairwise(edges):
        mine = judged & (value >= low) & ((value < high) | (high == edges[-1]))
        count = int(mine.sum())
        if count:
            mean = float(residual[mine].mean())
            parts.append(Part(low, high, count, mean, count >= least, mean - everywhere))
    return tuple(parts)
