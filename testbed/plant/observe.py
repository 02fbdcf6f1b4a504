"""What can be observed of the links: counters, hop delays and modem reports, window by window.

Everything here is measured on packets or is a modem's own (noisy) report. What is true but hidden goes
into `plant_link` records, for the report after the run; the twin never receives those.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from emulator.accounting import (
    COLLISION,
    DELIVERED,
    FORWARDED,
    HOP_RECORD,
    LINK_DOWN,
    PEER_FULL,
    PEER_GONE,
    QUEUE_DELAY,
    QUEUE_FULL,
    RADIO_LOSS,
    TOO_LONG,
)
from emulator.layout import Network
from emulator.table import KIND_NAMES
from nodes.wire import Record

#: hop delays kept of a window, per link
MOST_SAMPLES: Final = 200
_COMPLETED: Final = (FORWARDED, DELIVERED, PEER_GONE, PEER_FULL)
_ISL: Final = KIND_NAMES.index("isl")


class LinkObserver:
    """Turns packet-hops into one `link` record per link and window.

    Packets are counted by the times of their events, so counts and delays of a window are of the same
    packets; a packet still on the hop when the window is closed counts as come in when its hop is over.
    """

    def __init__(self, net: Network, places: Sequence[str], seed: int, snr_sigma_db: float) -> None:
        self._net = net
        self._places = places
        self._seed = seed
        self._snr_sigma_db = snr_sigma_db
        self._fresh: list[np.ndarray[Any, Any]] = []
        self._open = np.zeros(0, HOP_RECORD)  # known, but over only after the last window
        self._closed_ns = -(1 << 62)
        self._busy_before = np.zeros(len(net.links), np.int64)
        self._keys = net.links["key"].copy()

    def add(self, hops: np.ndarray[Any, Any]) -> None:
        """Take packet-hops that the network has logged."""
        self._fresh.append(hops[hops["link"] >= 0])

    def close_window(
        self,
        end_ns: int,
        window_s: float,
        table: Any,
        rows: dict[tuple[int, int], int],
        number: int,
        ranges_us: Mapping[tuple[int, int], float] | None = None,
    ) -> tuple[list[Record], list[Record]]:
        """End the window at `end_ns`; (observations, truth) of every link of the present table.

        `table` is the world's LinkTable, `rows` the network's row of each link, `number` counts windows;
        `ranges_us`: what ranging reports (`testbed.plant.ranging`), us by link.
        """
        ranges_us = {} if ranges_us is None else ranges_us
        entered, over = self._take(end_ns)
        busy_ns = self._busy()
        queued = self._net.links["packets"].copy()
        counts = _Counts(table, entered, over)
        links = list(zip(table.src.tolist(), table.dst.tolist(), strict=True))
        shown = counts.any | (np.asarray(table.kind) != _ISL)
        reported = [index for index in np.flatnonzero(shown).tolist() if links[index] in rows]
        noise = np.random.default_rng([self._seed, number, 7])
        sigma_db = self._snr_sigma_db
        errors_db = noise.normal(0.0, sigma_db, len(reported)) if sigma_db > 0 else np.zeros(len(reported))
        observed, truth = [], []
        for index, error_db in zip(reported, errors_db.tolist(), strict=True):
            link, row = links[index], rows[links[index]]
            source, sink = self._places[link[0]], self._places[link[1]]
            tags = {
                "link": f"{source}>{sink}", "from": source, "to": sink,
                "kind": KIND_NAMES[int(table.kind[index])],
            }  # fmt: skip
            samples = counts.samples_ms(index)
            fields: dict[str, Any] = {
                "window_s": window_s,
                **{name: column[index] for name, column in counts.columns.items()},
                "busy_s": int(busy_ns[row]) / 1e9,
                "queue_packets": int(queued[row]),
            }
            if len(samples):
                fields["delay_mean_ms"] = float(samples.mean())
            snr_db = float(table.snr_db[index])
            if math.isfinite(snr_db) and bool(table.up[index]):
                fields["snr_db"] = snr_db + error_db
            if link in ranges_us:
                fields["range_us"] = ranges_us[link]
            kept = samples if len(samples) <= MOST_SAMPLES else _thin(samples, tags["link"], number)
            observed.append(Record(end_ns, "link", tags, fields, kept.round(5).tolist()))
            truth.append(Record(end_ns, "plant_link", tags, _truth(table, index)))
        return observed, truth

    def _take(self, end_ns: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The hops that began, and those that were over, since the last window and until `end_ns`."""
        fresh = np.concatenate((np.zeros(0, HOP_RECORD), *self._fresh))
        begun = self._open["in_ns"]
        entered = np.concatenate(
            (
                self._open[(begun > self._closed_ns) & (begun <= end_ns)],
                fresh[fresh["in_ns"] <= end_ns],
            )
        )
        known = np.concatenate((self._open, fresh))
        over = known["due_ns"] <= end_ns
        self._open, self._fresh, self._closed_ns = known[~over], [], end_ns
        return entered, known[over]

    def _busy(self) -> np.ndarray[Any, Any]:
        """How long the transmitter of each row was busy since the last window, ns."""
        # A row that the network has meanwhile given to another link counts from zero again. The key tells
        # when it did so; the table that says so was posted earlier.
        keys = self._net.links["key"].copy()
        self._busy_before[keys != self._keys] = 0
        now = self._net.links["busy_ns"].copy()
        busy_ns: np.ndarray[Any, Any] = now - self._busy_before
        self._busy_before, self._keys = now, keys
        return busy_ns


class _Counts:
    """Packet-hops counted by row of a link table, all rows at once: hops that began, and that were over."""

    def __init__(self, table: Any, entered: np.ndarray[Any, Any], over: np.ndarray[Any, Any]) -> None:
        self._codes = _code(np.asarray(table.src).astype(np.int64), np.asarray(table.dst))
        self._order = np.argsort(self._codes)
        came, went = self._rows_of(entered), self._rows_of(over)
        fate, size = over["fate"], over["size"]
        completed = np.isin(fate, _COMPLETED)

        def count(rows: np.ndarray[Any, Any], weights: Any = None) -> list[int]:
            counted = np.bincount(rows, weights, len(self._codes) + 1)[:-1]
            return [int(value) for value in counted.tolist()]

        #: fields of a report, by name, each with a value a row
        self.columns = {
            "packets_in": count(came),
            "bytes_in": count(came, entered["size"]),
            "packets_out": count(went[completed]),
            "bytes_out": count(went[completed], size[completed]),
            # To a receiver a collision is a loss like any other.
            "lost": count(went[np.isin(fate, (RADIO_LOSS, COLLISION))]),
            "dropped_queue": count(went[np.isin(fate, (QUEUE_FULL, QUEUE_DELAY))]),
            "dropped_long": count(went[fate == TOO_LONG]),
            "dropped_down": count(went[fate == LINK_DOWN]),
        }
        #: rows on which anything happened
        self.any = np.bincount(np.concatenate((came, went)), minlength=len(self._codes) + 1)[:-1] > 0
        out = over[completed]
        # What the substrate had delayed already was taken off, and is part of what a packet saw.
        delays_ms = (out["due_ns"] - out["in_ns"] + out["credit_ns"]) / 1e6
        order = np.argsort(went[completed], kind="stable")
        self._delays_ms: np.ndarray[Any, Any] = delays_ms[order]
        self._first = np.searchsorted(went[completed][order], np.arange(len(self._codes) + 1))

    def samples_ms(self, row: int) -> np.ndarray[Any, Any]:
        """Delays of the packets that completed the hop of a row, in the order of the log, ms."""
        samples: np.ndarray[Any, Any] = self._delays_ms[self._first[row] : self._first[row + 1]]
        return samples

    def _rows_of(self, hops: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The table's row of each hop; one behind the last for those of links that it does not have."""
        codes = _code(hops["from_place"].astype(np.int64), hops["to_place"])
        known = self._codes[self._order]
        at = np.minimum(np.searchsorted(known, codes), max(0, len(known) - 1))
        if not len(known):
            return np.zeros(len(hops), np.int64)
        return np.where(known[at] == codes, self._order[at], len(known))


def _code(from_place: Any, to_place: Any) -> Any:
    return (from_place << 32) + to_place  # one number a link


def _thin(samples: np.ndarray[Any, Any], link: str, number: int) -> np.ndarray[Any, Any]:
    """MOST_SAMPLES of them, chosen at random, in order of time."""
    word = hashlib.blake2b(f"{link}/{number}".encode(), digest_size=8).digest()
    chosen = np.random.default_rng(int.from_bytes(word, "little")).choice(
        len(samples), MOST_SAMPLES, replace=False
    )
    thinned: np.ndarray[Any, Any] = samples[np.sort(chosen)]
    return thinned


def _truth(table: Any, index: int) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "delay_ms": int(table.delay_ns[index]) / 1e6,
        "rate_mbps": float(table.rate_bps[index]) / 1e6,
        "loss": float(table.loss[index]),
        "frame_error": float(table.frame_error[index]),
        "up": bool(table.up[index]),
        "modcod": int(table.modcod[index]),
    }
    for name in ("snr_db", "attenuation_db", "elevation_deg"):
        value = float(getattr(table, name)[index])
        if np.isfinite(value):
            fields[name] = value
    if np.isfinite(table.range_m[index]):
        fields["range_km"] = float(table.range_m[index]) / 1e3
    return fields
