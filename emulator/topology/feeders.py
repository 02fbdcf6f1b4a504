"""Which of the satellites in use a gateway follows.

The satellites in use are `access`'s to know; here one gateway's antennas are given out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fed(
    elevation_deg: NDArray[np.float64], load: NDArray[np.int32], min_elevation_deg: float, max_links: int
) -> NDArray[np.intp]:
    """Which of the satellites in use [n] a gateway feeds, rising.

    `elevation_deg` [n] from the gateway; `load` [n]: terminals on each; `max_links`: how many it can follow,
    0 for any number. When there are more in sight, those with the most terminals are kept, of equals the
    highest, of these the lower index.
    """
    seen = np.flatnonzero(elevation_deg >= min_elevation_deg)
    if max_links == 0 or len(seen) <= max_links:
        return seen
    order = np.lexsort((seen, -elevation_deg[seen], -load[seen]))
    return np.sort(seen[order[:max_links]])
