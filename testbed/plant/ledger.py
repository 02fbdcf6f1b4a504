"""The books of a run's links by name, those whose row another link has meanwhile included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from emulator.accounting import (
    BOOK_COPIED,
    BOOK_FATES,
    BOOK_IN,
    BOOK_IN_BYTES,
    BOOK_OUT,
    BOOK_OUT_BYTES,
    BOOK_REROUTED,
)
from emulator.dataplane.books import drops_by_cause
from emulator.epochs import LinkUpdates
from emulator.layout import Network

_COLUMNS: Final = (
    ("packets_in", BOOK_IN),
    ("bytes_in", BOOK_IN_BYTES),
    ("packets_out", BOOK_OUT),
    ("bytes_out", BOOK_OUT_BYTES),
    ("copied", BOOK_COPIED),
    ("rerouted", BOOK_REROUTED),
)


def ledger(net: Network, places: Sequence[str], updates: LinkUpdates) -> dict[str, dict[str, Any]]:
    """The books of every link that a packet has met, as "FROM>TO": counters, drops by cause, and by class.

    Exact once the network stands still.
    """
    entries: dict[str, dict[str, Any]] = {}
    for old in list(updates.retired):
        _book(entries, f"{places[old.from_place]}>{places[old.to_place]}", old.books, 0)
    for (a, b), row in list(updates.rows.items()):
        state = net.links[row]
        if (int(state["from_place"]), int(state["to_place"])) != (a, b):
            continue  # the table that gives the row to this link has not taken effect
        if net.books[row, :, BOOK_IN].any():
            in_flight = int(state["packets"] + state["flying"])
            _book(entries, f"{places[a]}>{places[b]}", net.books[row], in_flight)
    return entries


def _book(entries: dict[str, dict[str, Any]], name: str, books: Any, in_flight: int) -> None:
    empty: dict[str, Any] = {column: 0 for column, _ in _COLUMNS}
    entry = entries.setdefault(name, empty | {"in_flight": 0, "drops": {}, "classes": {}})
    for column, index in _COLUMNS:
        entry[column] += int(books[:, index].sum())
    entry["in_flight"] += in_flight
    _add(entry["drops"], books.sum(axis=0))
    for line in np.flatnonzero(books[:, BOOK_IN] + books[:, BOOK_COPIED]).tolist():
        mine = entry["classes"].setdefault(str(line), {"packets_in": 0, "packets_out": 0, "drops": {}})
        mine["packets_in"] += int(books[line, BOOK_IN])
        mine["packets_out"] += int(books[line, BOOK_OUT])
        _add(mine["drops"], books[line])


def _add(drops: dict[str, int], columns: Any) -> None:
    for cause, count in drops_by_cause(columns[BOOK_FATES:]).items():
        drops[cause] = drops.get(cause, 0) + count
