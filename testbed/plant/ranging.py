"""What the modems' ranging says of the distance: one-way propagation of every radio link, with its errors.

Two-way ranging within the modem: no clock of a node enters it, nor does what packets wait for. A modem is
off by a constant of its place, which is hidden, and by noise; what it reports of a window is the mean over
it. What packets really take is not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emulator.table import LinkTable
from emulator.units import SPEED_OF_LIGHT_M_S

_NOISE = 13  # tells these draws from others of the same seed


class Ranging:
    """The ranging of a run's modems.

    `places`: names by index of the link tables; `bias_us`: hidden constant by place, us; `sigma_us`: noise of
    a report, us.
    """

    def __init__(
        self, places: Sequence[str], seed: int, bias_us: Mapping[str, float], sigma_us: float
    ) -> None:
        self._seed = seed
        self._sigma_us = sigma_us
        self._bias_us = np.array([bias_us.get(name, 0.0) for name in places])

    def of(
        self, window: int, earlier: LinkTable, table: LinkTable, middle_s: float
    ) -> dict[tuple[int, int], float]:
        """Reports of a window by link (from place, to place), us; radio links that are up only.

        `table` is in force at the window's end, `earlier` was at run time `middle_s`, its middle: the mean
        over a window is the range at its middle, between the two on a straight line. A link that was not
        there at the middle is not reported.
        """
        noise = np.random.default_rng([self._seed, window, _NOISE])
        radio = np.isfinite(table.snr_db) & np.isfinite(table.range_m) & table.up
        rows = np.flatnonzero(radio)
        range_m, known = table.range_m[rows], np.ones(len(rows), np.bool_)
        if earlier is not table and earlier.t_s != table.t_s:
            before_m = _on_rows(earlier, table, rows)
            share = (middle_s - earlier.t_s) / (table.t_s - earlier.t_s)
            range_m, known = before_m + share * (range_m - before_m), np.isfinite(before_m)
        src, dst = table.src[rows], table.dst[rows]
        flight_us = range_m / SPEED_OF_LIGHT_M_S * 1e6
        reported = flight_us + self._bias_us[src] + self._bias_us[dst]
        reported += noise.normal(0.0, self._sigma_us, len(rows)) if self._sigma_us > 0.0 else 0.0
        links = zip(src[known].tolist(), dst[known].tolist(), reported[known].tolist(), strict=True)
        return {(a, b): value for a, b, value in links}


def _on_rows(earlier: LinkTable, table: LinkTable, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Ranges in m of an earlier table on rows of a later one; not a number where a link was not there."""
    if earlier.src is table.src and earlier.dst is table.dst:
        found: np.ndarray[Any, Any] = earlier.range_m[rows]
        return found
    ends = zip(earlier.src.tolist(), earlier.dst.tolist(), earlier.range_m.tolist(), strict=True)
    before = {(a, b): value for a, b, value in ends}
    wanted = zip(table.src[rows].tolist(), table.dst[rows].tolist(), strict=True)
    return np.array([before.get(link, np.nan) for link in wanted], dtype=np.float64)
