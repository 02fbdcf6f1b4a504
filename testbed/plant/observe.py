"""What can be observed of the links: counters, hop delays and modem reports, window by window.

Everything here is measured on packets or is a modem's own (noisy) report. What is true but hidden goes
into `plant_link` records, for the report after the run; the twin never receives those.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from emulator.accounting import DELIVERED, FORWARDED, LINK_DOWN, PEER_FULL, PEER_GONE, QUEUE_FULL, RADIO_LOSS
from emulator.links.state import KIND_NAMES
from emulator.network import Network
from nodes.wire import Record

#: hop delays kept of a window, per link
MOST_SAMPLES: Final = 200
_COMPLETED: Final = (FORWARDED, DELIVERED, PEER_GONE, PEER_FULL)
_ISL: Final = KIND_NAMES.index("isl")
_COUNTERS: Final = ("in_packets", "in_bytes", "out_packets", "out_bytes", "busy_ns")


class LinkObserver:
    """Turns packet-hops and counters into one `link` record per link and window."""

    def __init__(self, net: Network, places: Sequence[str], seed: int, snr_sigma_db: float) -> None:
        self._net = net
        self._places = places
        self._seed = seed
        self._snr_sigma_db = snr_sigma_db
        self._hops: list[np.ndarray[Any, Any]] = []
        self._before = {name: np.zeros(len(net.links), np.int64) for name in _COUNTERS}
        self._drops_before = np.zeros_like(net.link_drops)
        self._keys = net.links["key"].copy()

    def add(self, hops: np.ndarray[Any, Any]) -> None:
        """Take packet-hops that the network has logged."""
        if len(hops):
            done = np.isin(hops["fate"], _COMPLETED) & (hops["link"] >= 0)
            self._hops.append(hops[done])

    def close_window(
        self, end_ns: int, window_s: float, table: Any, rows: dict[tuple[int, int], int], number: int
    ) -> tuple[list[Record], list[Record]]:
        """End the window at `end_ns`; (observations, truth) of every link of the present table.

        `table` is the world's LinkTable, `rows` the network's row of each link, `number` counts windows.
        """
        hops = np.concatenate(self._hops) if self._hops else np.zeros(0, self._net.log.dtype)
        inside = hops["due_ns"] <= end_ns if len(hops) else np.zeros(0, bool)
        self._hops = [hops[~inside]] if len(hops) else []
        hops = hops[inside]
        delays_ms = (hops["due_ns"] - hops["in_ns"]) / 1e6 if len(hops) else np.zeros(0)
        order = np.argsort(hops["link"], kind="stable") if len(hops) else np.zeros(0, np.intp)
        by_link = hops["link"][order] if len(hops) else np.zeros(0, np.int64)
        # A row that the network has meanwhile given to another link counts from zero again. The key tells
        # when it did so; the table that says so was posted earlier.
        keys = self._net.links["key"].copy()
        others = keys != self._keys
        self._drops_before[others] = 0
        for counted in self._before.values():
            counted[others] = 0
        self._keys = keys
        now = {name: self._net.links[name].copy() for name in _COUNTERS}
        drops = self._net.link_drops.copy()
        queued = self._net.links["packets"].copy()
        noise = np.random.default_rng([self._seed, number, 7])
        observed, truth = [], []
        for index in range(len(table.src)):
            link = (int(table.src[index]), int(table.dst[index]))
            row = rows.get(link)
            if row is None:
                continue
            delta = {name: int(now[name][row] - self._before[name][row]) for name in _COUNTERS}
            if int(table.kind[index]) == _ISL and delta["in_packets"] == 0 and delta["out_packets"] == 0:
                continue
            dropped = drops[row] - self._drops_before[row]
            first, last = np.searchsorted(by_link, (row, row + 1))
            samples = delays_ms[order[first:last]]
            tags = {
                "link": f"{self._places[link[0]]}>{self._places[link[1]]}",
                "from": self._places[link[0]],
                "to": self._places[link[1]],
                "kind": KIND_NAMES[int(table.kind[index])],
            }
            fields: dict[str, Any] = {
                "window_s": window_s,
                "packets_in": delta["in_packets"],
                "bytes_in": delta["in_bytes"],
                "packets_out": delta["out_packets"],
                "bytes_out": delta["out_bytes"],
                "lost": int(dropped[RADIO_LOSS]),
                "dropped_queue": int(dropped[QUEUE_FULL]),
                "dropped_down": int(dropped[LINK_DOWN]),
                "busy_s": delta["busy_ns"] / 1e9,
                "queue_packets": int(queued[row]),
            }
            if len(samples):
                fields["delay_mean_ms"] = float(samples.mean())
            snr_db = float(table.snr_db[index])
            error_db = float(noise.normal(0.0, self._snr_sigma_db)) if self._snr_sigma_db > 0 else 0.0
            if np.isfinite(snr_db) and bool(table.up[index]):
                fields["snr_db"] = snr_db + error_db
            kept = samples if len(samples) <= MOST_SAMPLES else _thin(samples, tags["link"], number)
            observed.append(Record(end_ns, "link", tags, fields, [round(x, 5) for x in kept.tolist()]))
            truth.append(Record(end_ns, "plant_link", tags, _truth(table, index)))
        self._before, self._drops_before = now, drops
        return observed, truth


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
