"""Links of a world that disturb each other: rows of the link table as co-channel interference sees them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulator.radio.interference import antenna_axes, interference_over_noise
from emulator.rows import Rows

Floats = NDArray[np.float64]


def interference(rows: Rows, position: Floats) -> Floats:
    """Interference over noise of the radio rows [k] as ratios; 0 where a radio does not ask for it.

    `position` [places, 3] m, Earth-fixed. Every radio row transmits all the time; disturbed are those whose
    radio says so (`RadioSpec.interference`). Panels of phased arrays face as in the budget: the zenith where
    the radio is owned, the nadir at the far end.
    """
    if not rows.hearing:
        return rows.nothing
    figures = rows.figures
    src, dst = rows.src[rows.radio], rows.dst[rows.radio]
    tx_m, rx_m = position[src], position[dst]
    # first of a pair's two rows is away from the owner of the radio
    up = rows.radio % 2 == 0
    tx_antenna = np.where(up[:, None], figures.place_antenna, figures.far_antenna)
    rx_antenna = np.where(up[:, None], figures.far_antenna, figures.place_antenna)
    out = np.empty(len(src))
    interference_over_noise(
        tx_m,
        rx_m,
        src.astype(np.int64),
        dst.astype(np.int64),
        tx_antenna,
        rx_antenna,
        antenna_axes(tx_m, rx_m, tx_antenna, up),
        antenna_axes(rx_m, tx_m, rx_antenna, ~up),
        figures.eirp_dbw,
        figures.g_over_t_db_k,
        figures.frequency_ghz * 1e9,
        figures.bandwidth_mhz * 1e6,
        False,
        out,
    )
    return np.where(rows.hears, out, 0.0)
