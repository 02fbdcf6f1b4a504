"""Handing the link table over: from what the world computes each epoch to what the network obeys.

`LinkUpdates` gives every directed link a row that stays its own while the link exists, and posts whole
tables, each with the time it takes effect, into a mailbox that the compiled loop reads without locks.
Tables are posted ahead of time, so the loop puts them in force exactly on the epoch.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from emulator.jit import load_acquire, store_release
from emulator.layout import (
    MAILBOX_SLOTS,
    POSTED,
    TAKEN,
    Network,
)
from emulator.links import access
from emulator.links.random import link_key
from emulator.links.state import LINK_UPDATE

#: a lost link's row is given to another no sooner than this after, so that nothing is on it any more
_REST_NS: Final = 5_000_000_000


#: nobody keeps their transmissions apart
_CONTENDED: Final = (access.SLOTTED_ALOHA, access.PURE_ALOHA, access.DUTY_CYCLE)


class EpochError(RuntimeError):
    """More links at one time than the network was made for."""


@dataclass(frozen=True)
class RecordedTable:
    """A table as posted: when it took effect, its LINK_UPDATE rows, and its routes.

    `routes` are (place, host, row) triplets; None: as in the table before.
    """

    time_ns: int
    rows: np.ndarray[Any, Any]
    routes: np.ndarray[Any, Any] | None


@dataclass(frozen=True)
class RetiredLink:
    """The final counters of a link whose row was given to another."""

    from_place: int
    to_place: int
    books: np.ndarray[Any, Any]  # int64 [CLASSES, BOOK_COLUMNS] (emulator.accounting)


class LinkUpdates:
    """Writes link tables into a network's mailbox. One writer; the network's loop is the one reader."""

    def __init__(self, net: Network, place_names: Sequence[str] = (), seed: int = 0) -> None:
        self._net = net
        self._names = list(place_names)
        self._seed = seed
        self._rows: dict[tuple[int, int], int] = {}
        self._gone: dict[int, tuple[int, tuple[int, int]]] = {}  # row -> (since, link)
        self._next_row = 0
        self._last_ends: np.ndarray[Any, Any] | None = None
        self._last_rows: np.ndarray[Any, Any] = np.zeros(0, np.int32)
        self._last_live: np.ndarray[Any, Any] = np.zeros(0, LINK_UPDATE)
        #: the world's table that was posted last, whose arrays nobody writes to
        self._last_table: Any = None
        #: what was posted last of each row, up to the last change of links
        self._stated: np.ndarray[Any, Any] = np.zeros(len(net.links), LINK_UPDATE)
        self._last_keys: np.ndarray[Any, Any] = np.zeros(0, np.uint64)
        self._keys: dict[tuple[int, int], int] = {}
        self._contended = np.isin(net.models["access_kind"], _CONTENDED)
        self._medium_of: dict[tuple[int, int], int] = {}
        self.retired: list[RetiredLink] = []
        self.posted = int(net.mailbox[POSTED])
        self._last_routes: np.ndarray[Any, Any] | None = None
        if self.posted:
            self._last_routes = net.mail_routes[(self.posted - 1) % MAILBOX_SLOTS].copy()

    # --- rows ---------------------------------------------------------------------------------

    @property
    def rows(self) -> dict[tuple[int, int], int]:
        """Row of each link (from place, to place) that exists or existed and still owns its row."""
        return self._rows

    def _row_of(self, link: tuple[int, int], time_ns: int) -> tuple[int, bool]:
        """Row of a link, and whether it was another's before."""
        row = self._rows.get(link)
        if row is not None:
            return row, False
        if self._next_row < len(self._net.links):
            row = self._next_row
            self._next_row += 1
            self._rows[link] = row
            return row, False
        for old_row, (since, old_link) in self._gone.items():
            state = self._net.links[old_row]
            if time_ns - since > _REST_NS and state["packets"] == 0 and state["flying"] == 0:
                self._retire(old_row, old_link)
                self._rows[link] = old_row
                return old_row, True
        raise EpochError(
            f"the network has room for {len(self._net.links)} links and all are in use; "
            "fewer satellites or places, or constellation.isl = 'none', make do with fewer"
        )

    def _retire(self, row: int, link: tuple[int, int]) -> None:
        self.retired.append(RetiredLink(link[0], link[1], self._net.books[row].copy()))
        del self._rows[link]
        del self._gone[row]

    def _key(self, link: tuple[int, int]) -> int:
        key = self._keys.get(link)
        if key is None:
            ends = [self._names[place] if place < len(self._names) else str(place) for place in link]
            key = self._keys[link] = link_key(self._seed, *ends)
        return key

    def _media(self, live: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | int:
        """The medium of each link: links with the same contended model share the one of their far end."""
        contended = self._contended[live["model"]]
        if not contended.any():
            return -1
        media = np.full(len(live), -1, np.int32)
        for index in np.flatnonzero(contended):
            one = (int(live["model"][index]), int(live["to_place"][index]))
            media[index] = self._medium_of.setdefault(one, len(self._medium_of) % len(self._net.medium))
        return media

    # --- posting ------------------------------------------------------------------------------

    def room(self) -> bool:
        """Whether a table can be posted now. One slot stays with the table that is in force."""
        return self.posted - int(load_acquire(self._net.mailbox, TAKEN)) < MAILBOX_SLOTS - 1

    def took_effect_ns(self, number: int) -> int | None:
        """When posted table `number` (of the last few, from 0) took effect; None: it has not yet.

        The time it was posted for, or a later one when it came too late.
        """
        if number >= int(load_acquire(self._net.mailbox, TAKEN)):
            return None
        return int(self._net.mail_applied[number % MAILBOX_SLOTS])

    def post(self, time_ns: int, table: Any) -> RecordedTable:
        """Post a world's LinkTable to take effect at `time_ns`; what was posted, for the record.

        EpochError when there are more links than rows. Call `room()` first.
        """
        update, changed = self._write(time_ns, table)
        sparse = None
        if changed:
            assert self._last_routes is not None
            place, host = np.nonzero(self._last_routes >= 0)
            sparse = np.stack((place, host, self._last_routes[place, host]), axis=1).astype(np.int32)
        return RecordedTable(time_ns, update, sparse)

    def put(self, time_ns: int, table: Any) -> None:
        """Post a world's LinkTable like `post`, where nobody keeps a record."""
        self._write(time_ns, table)

    def _write(self, time_ns: int, table: Any) -> tuple[np.ndarray[Any, Any], bool]:
        """Post a table; its rows, and whether its routes are other ones than before."""
        last = self._last_table
        if last is not None and table.src is last.src and table.dst is last.dst:
            return self._write_again(time_ns, table, last)
        ends = np.stack((table.src, table.dst), axis=1)
        resets = np.zeros(len(ends), np.uint8)
        if self._last_ends is not None and np.array_equal(ends, self._last_ends):
            rows, keys = self._last_rows, self._last_keys
            gone: list[int] = []
        else:
            rows = np.empty(len(ends), np.int32)
            self._stated[self._last_live["row"]] = self._last_live
            # A link that is back has its own row before another can be given it.
            for link in map(tuple, ends.tolist()):
                self._gone.pop(self._rows.get(link, -1), None)
            for index, link in enumerate(map(tuple, ends.tolist())):
                rows[index], reset = self._row_of(link, time_ns)
                resets[index] = reset
            now = set(rows.tolist())
            gone = [row for row in self._rows.values() if row not in now and row not in self._gone]
            by_row = {row: link for link, row in self._rows.items()}
            for row in gone:
                self._gone[row] = (time_ns, by_row[row])
            keys = np.array([self._key((a, b)) for a, b in ends.tolist()], np.uint64)
            self._last_ends, self._last_rows, self._last_keys = ends, rows, keys
        update = np.zeros(len(rows) + len(gone), LINK_UPDATE)
        live = update[: len(rows)]
        live["row"] = rows
        live["reset"] = resets
        live["from_place"] = table.src
        live["to_place"] = table.dst
        live["key"] = keys
        for ours, theirs in _COLUMNS:
            live[ours] = getattr(table, theirs)
        live["medium"] = self._media(live)
        self._last_live = live
        for index, row in enumerate(gone):
            lost = update[len(rows) + index]
            for name in _STAYS:
                # As posted: the network may not have come to that table yet.
                lost[name] = self._stated[row][name]
            lost["row"] = row
            lost["gone"] = 1
        return update, self._write_routes(time_ns, table, update, rows)

    def _write_again(self, time_ns: int, table: Any, last: Any) -> tuple[np.ndarray[Any, Any], bool]:
        """Post a table of the same set of links as the last one: only what is another array is written."""
        update = _bytes(self._last_live).copy().view(LINK_UPDATE)
        update["reset"] = 0
        for ours, theirs in _COLUMNS:
            column = getattr(table, theirs)
            if column is not getattr(last, theirs):
                update[ours] = column
        if table.model is not last.model:
            update["medium"] = self._media(update)
        self._last_live = update
        return update, self._write_routes(time_ns, table, update, self._last_rows, last)

    def _write_routes(
        self,
        time_ns: int,
        table: Any,
        update: np.ndarray[Any, Any],
        rows: np.ndarray[Any, Any],
        last: Any = None,
    ) -> bool:
        """Post rows with the table's routes; `last`: the table before, when it had the same rows.

        Whether the routes are other ones than before.
        """
        hops, changed = table.next_hop, False
        if last is None or self._last_routes is None or not np.array_equal(hops, last.next_hop):
            routes = np.where(hops >= 0, rows[hops] if len(rows) else -1, -1).astype(np.int32)
            changed = self._last_routes is None or not np.array_equal(routes, self._last_routes)
            self._last_routes = routes
        self._last_table = table
        self._put(time_ns, update, self._last_routes)
        return changed

    def post_recorded(self, table: RecordedTable) -> None:
        """Post a table exactly as it was recorded."""
        if table.routes is not None:
            routes = np.full(self._net.mail_routes.shape[1:], -1, np.int32)
            place, host, row = table.routes.T
            routes[place, host] = row
            self._last_routes = routes
            self._last_table = None
        assert self._last_routes is not None, "the first recorded table has routes"
        self._put(table.time_ns, table.rows, self._last_routes)

    def _put(self, time_ns: int, rows: np.ndarray[Any, Any], routes: np.ndarray[Any, Any]) -> None:
        slot = self.posted % MAILBOX_SLOTS
        net = self._net
        net.mail_time[slot] = time_ns
        net.mail_rows[slot] = len(rows)
        _bytes(net.mail_links[slot, : len(rows)])[:] = _bytes(rows)
        net.mail_routes[slot] = routes
        self.posted += 1
        store_release(net.mailbox, POSTED, self.posted)


def _bytes(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same memory as bytes: rows are copied field by field otherwise, which takes forty times as long."""
    return rows.view(np.uint8)


_COLUMNS: Final = (
    ("rate_bps", "rate_bps"),
    ("delay_ns", "delay_ns"),
    ("jitter_ns", "jitter_ns"),
    ("loss", "loss"),
    ("frame_error", "frame_error"),
    ("frame_bits", "frame_bits"),
    ("max_packets", "queue_packets"),
    ("max_bytes", "queue_bytes"),
    ("kind", "kind"),
    ("modcod", "modcod"),
    ("up", "up"),
    ("model", "model"),
)
#: what is still said of a link that is gone
_STAYS: Final = (
    "key",
    "from_place",
    "to_place",
    "kind",
    "modcod",
    "delay_ns",
    "max_packets",
    "model",
    "medium",
)


# --- the record of the tables, from which a run replays --------------------------------------

_FRAME = struct.Struct("<8sqii")
_FRAME_MAGIC: Final = b"linktbl1"
_SAME_ROUTES: Final = -1


def write_table(file: IO[bytes], table: RecordedTable) -> None:
    """Append a table to an open file."""
    routes = _SAME_ROUTES if table.routes is None else len(table.routes)
    file.write(_FRAME.pack(_FRAME_MAGIC, table.time_ns, len(table.rows), routes))
    file.write(table.rows.tobytes())
    if table.routes is not None:
        file.write(table.routes.astype("<i4").tobytes())


def read_tables(path: Path, torn: Callable[[int], None] = lambda left: None) -> Iterator[RecordedTable]:
    """The tables of a file, in order; a torn last one is left out and told to `torn` (bytes left)."""
    with path.open("rb") as file:
        while head := file.read(_FRAME.size):
            if len(head) < _FRAME.size:
                torn(len(head))
                return
            magic, time_ns, rows, routes = _FRAME.unpack(head)
            if magic != _FRAME_MAGIC:
                raise ValueError(f"{path}: not a record of link tables at byte {file.tell() - _FRAME.size}")
            body = file.read(rows * LINK_UPDATE.itemsize)
            tail = file.read(max(0, routes) * 12)
            if len(body) < rows * LINK_UPDATE.itemsize or len(tail) < max(0, routes) * 12:
                torn(len(body) + len(tail))
                return
            triplets = None if routes == _SAME_ROUTES else np.frombuffer(tail, "<i4").reshape(-1, 3)
            yield RecordedTable(time_ns, np.frombuffer(body, LINK_UPDATE), triplets)
