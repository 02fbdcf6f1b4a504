"""The books of a network as they are now: what came in, went out and was dropped, by class, link and cause.

Read while the network runs, without stopping it: each number is whole, but two of them may be a few packets
apart. Once it stands still all sums agree.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from emulator.accounting import (
    BOOK_COPIED,
    BOOK_FATES,
    BOOK_IN,
    BOOK_IN_BYTES,
    BOOK_OUT,
    BOOK_OUT_BYTES,
    BOOK_REROUTED,
    DELIVERED,
    DROPS,
    FATE_NAMES,
)
from emulator.layout import COPIED, IN_USE, Network
from emulator.links.state import CLASSES

_COLUMNS = {
    "in": BOOK_IN,
    "in_bytes": BOOK_IN_BYTES,
    "out": BOOK_OUT,
    "out_bytes": BOOK_OUT_BYTES,
    "copied": BOOK_COPIED,
    "rerouted": BOOK_REROUTED,
}


def drops_by_cause(counts: Any) -> dict[str, int]:
    """What was dropped, by the name of its cause; `counts` by fate, int64 [FATES]."""
    return {FATE_NAMES[fate]: int(counts[fate]) for fate in DROPS if counts[fate]}


def books(net: Network) -> dict[str, Any]:
    """The books of a network.

    `classes`: for each traffic class `entered`, `delivered` and `drops` by cause. `copied`: duplicates made.
    `in_flight`: packets in the network. `links`: for each link (from place, to place) in use, by class: `in`,
    `in_bytes`, `out`, `out_bytes`, `copied`, `rerouted`, `drops` by cause, and for all classes together
    `on_it`, packets it has now. For a link, in + copied = out + rerouted + drops + on_it; in total, entered +
    copied = delivered + drops + in_flight.
    """
    fates = net.fates.copy()
    entered = net.entered.copy()
    links: dict[tuple[int, int], dict[str, Any]] = {}
    counted = net.books.copy()
    for row in np.flatnonzero(counted.any(axis=(1, 2))).tolist():
        state = net.links[row]
        classes = {}
        for line in np.flatnonzero(counted[row].any(axis=1)).tolist():
            columns = counted[row, line]
            classes[line] = {name: int(columns[at]) for name, at in _COLUMNS.items()} | {
                "drops": drops_by_cause(columns[BOOK_FATES:])
            }
        links[int(state["from_place"]), int(state["to_place"])] = {
            "classes": classes,
            "on_it": int(state["packets"]) + int(state["flying"]),
        }
    return {
        "classes": [
            {
                "entered": int(entered[line]),
                "delivered": int(fates[line, DELIVERED]),
                "drops": drops_by_cause(fates[line]),
            }
            for line in range(CLASSES)
        ],
        "copied": int(net.totals[COPIED]),
        "in_flight": int(net.state[IN_USE]),
        "links": links,
    }
