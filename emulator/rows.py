"""Rows of the link table: what is fixed about each link, and what radio makes of distance and weather.

`Profiles` holds the published figures of every kind of link; `Rows` is one set of links, made anew when
the set changes, with the arrays that do not change in between. Where the links run is decided in
`topology`; when they are evaluated, in `world`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.radio.budget import free_space_loss_db, snr_db
from emulator.radio.modcod import ModCodTable, modcod_table
from emulator.spec import ConstellationSpec, FixedLink, RadioSpec
from emulator.table import FIXED
from emulator.topology.routes import Routes

Floats = NDArray[np.float64]

#: bytes that a queue bounded in packets only may hold, per packet
_LARGEST_PACKET_BYTES = 1500


class Profiles:
    """Published figures by kind of link: one entry for ISLs, two a radio (up, down), one a fixed link."""

    _FIELDS = (
        "rate_bps", "fixed_ns", "jitter_ns", "loss", "queue_packets", "queue_bytes",
        "frequency_ghz", "bandwidth_mhz", "eirp_dbw", "g_over_t_db_k", "implementation_db",
        "margin_db", "hysteresis_db", "weather", "table", "radio", "frame_bits",
    )  # fmt: skip
    isl = 0

    def __init__(
        self, constellation: ConstellationSpec, radios: tuple[RadioSpec, ...], links: tuple[FixedLink, ...]
    ) -> None:
        self.tables: list[ModCodTable] = []
        self._radio_index = {radio.name: k for k, radio in enumerate(radios)}
        self._links_from = 1 + 2 * len(radios)
        self._links = links
        entries: list[dict[str, float]] = [self._isl_entry(constellation)]
        names: list[str] = []
        for radio in radios:
            _check_radio(radio)
            if radio.modcods not in names:
                names.append(radio.modcods)
                self.tables.append(modcod_table(radio.modcods))
            table = names.index(radio.modcods)
            for down in (False, True):
                entries.append(self._radio_entry(radio, down, table))
        entries.extend(self._fixed_entry(link) for link in links)
        self.columns = {
            name: np.array([entry.get(name, np.nan) for entry in entries]) for name in self._FIELDS
        }

    def of_radio(self, name: str) -> int:
        """Index of the profile up; the one down follows it."""
        return 1 + 2 * self._radio_index[name]

    def radio_number(self, name: str) -> int:
        """Index of the radio of that name, -2 (no row's) for an unknown one."""
        return self._radio_index.get(name, -2)

    def of_link(self, index: int) -> tuple[int, int]:
        """Profiles of the two directions of the spec's fixed link."""
        link = self._links[index]
        if link.radio:
            up = self.of_radio(link.radio)
            return up, up + 1
        return self._links_from + index, self._links_from + index

    def _isl_entry(self, constellation: ConstellationSpec) -> dict[str, float]:
        return {
            "rate_bps": constellation.isl_rate_mbps * 1e6,
            "fixed_ns": constellation.isl_processing_ms * 1e6,
            "jitter_ns": 0.0,
            "loss": 0.0,
            "queue_packets": constellation.isl_queue_packets,
            "queue_bytes": constellation.isl_queue_packets * _LARGEST_PACKET_BYTES,
            "table": -1,
            "radio": -1,
            "frame_bits": _LARGEST_PACKET_BYTES * 8,
        }

    def _radio_entry(self, radio: RadioSpec, down: bool, table: int) -> dict[str, float]:
        return {
            "rate_bps": 0.0,
            "fixed_ns": radio.processing_ms * 1e6,
            "jitter_ns": radio.jitter_ms * 1e6,
            "loss": radio.loss,
            "queue_packets": radio.queue_packets,
            "queue_bytes": radio.queue_kbytes * 1e3,
            "frequency_ghz": radio.down_frequency_ghz if down else radio.up_frequency_ghz,
            "bandwidth_mhz": radio.down_bandwidth_mhz if down else radio.up_bandwidth_mhz,
            "eirp_dbw": radio.down_eirp_dbw if down else radio.up_eirp_dbw,
            "g_over_t_db_k": radio.down_g_over_t_db_k if down else radio.up_g_over_t_db_k,
            "implementation_db": radio.implementation_loss_db,
            "margin_db": radio.margin_db,
            "hysteresis_db": radio.hysteresis_db,
            "weather": float(radio.weather),
            "table": table,
            "radio": self._radio_index[radio.name],
            "frame_bits": self.tables[table].frame_bits,
        }

    def _fixed_entry(self, link: FixedLink) -> dict[str, float]:
        if not link.rate_mbps > 0.0 or link.delay_ms < 0.0 or not 0.0 <= link.loss <= 1.0:
            raise WorldError(
                f"link {link.a} - {link.b}: rate must be above 0, delay not negative, loss within 0 and 1"
            )
        return {
            "rate_bps": link.rate_mbps * 1e6,
            "fixed_ns": link.delay_ms * 1e6,
            "jitter_ns": link.jitter_ms * 1e6,
            "loss": link.loss,
            "queue_packets": link.queue_packets,
            "queue_bytes": link.queue_kbytes * 1e3,
            "table": -1,
            "radio": -1,
            "frame_bits": _LARGEST_PACKET_BYTES * 8,
        }


def _check_radio(radio: RadioSpec) -> None:
    for name in ("up_frequency_ghz", "down_frequency_ghz", "up_bandwidth_mhz", "down_bandwidth_mhz"):
        if not getattr(radio, name) > 0.0:
            raise WorldError(f"radio {radio.name!r}: {name} is {getattr(radio, name):g}, it must be above 0")
    if not 0.0 <= radio.loss <= 1.0:
        raise WorldError(f"radio {radio.name!r}: loss is {radio.loss:g}, allowed: 0 to 1")


@dataclass
class Pairs:
    """Undirected links [m]: the first end owns the radio; `up` and `down` are profiles of a>b and b>a."""

    kind: NDArray[np.uint8]
    a: NDArray[np.int32]
    b: NDArray[np.int32]
    up: NDArray[np.int32]
    down: NDArray[np.int32]

    @staticmethod
    def of(rows: list[tuple[int, int, int, int, int]]) -> Pairs:
        """From (kind, a, b, up, down) tuples."""
        table = np.array(rows, dtype=np.int32).reshape(-1, 5)
        return Pairs(table[:, 0].astype(np.uint8), table[:, 1], table[:, 2], table[:, 3], table[:, 4])

    @staticmethod
    def joined(*parts: Pairs) -> Pairs:
        """One after the other."""
        return Pairs(
            *(np.concatenate([getattr(p, name) for p in parts]) for name in ("kind", "a", "b", "up", "down"))
        )

    def where(self, mask: NDArray[np.bool_]) -> Pairs:
        """Those for which the mask [m] holds."""
        return Pairs(self.kind[mask], self.a[mask], self.b[mask], self.up[mask], self.down[mask])


def _interleaved(first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.int32]:
    out = np.empty(2 * len(first), dtype=first.dtype)
    out[0::2] = first
    out[1::2] = second
    return out


class Rows:
    """The directed links of one set of pairs, with their ModCod state.

    `zenith_gas_db` [ground places, profiles]: clear-sky gases straight up.
    """

    def __init__(
        self,
        pairs: Pairs,
        profiles: Profiles,
        zenith_gas_db: Floats,
        hosts: NDArray[np.int32],
        places: int,
        before: Rows | None,
    ) -> None:
        self.pairs = pairs
        self.tables = profiles.tables
        self.src = _interleaved(pairs.a, pairs.b)
        self.dst = _interleaved(pairs.b, pairs.a)
        self.kind = np.repeat(pairs.kind, 2)
        profile = _interleaved(pairs.up, pairs.down)
        self.columns = {name: column[profile] for name, column in profiles.columns.items()}
        self.table = self.columns["table"].astype(np.int32)
        #: rows with a radio, and their pair
        self.radio = np.flatnonzero(self.table >= 0)
        self.radio_pair = self.radio // 2
        self.r = {name: column[self.radio] for name, column in self.columns.items()}
        owner = pairs.a[self.radio_pair]
        #: rows whose length adds to the delay: all but plain fixed links
        self.flies = (self.kind != FIXED) | (self.table >= 0)
        # gases on the short way between two places are left out
        through_air = (self.r["weather"] > 0.0) & (self.kind[self.radio] != FIXED)
        self.zenith_db = np.zeros(len(self.radio))
        self.zenith_db[through_air] = zenith_gas_db[owner[through_air], profile[self.radio][through_air]]
        self.jitter_ns, self.base_loss = self.columns["jitter_ns"], self.columns["loss"]
        self.frame_bits = self.columns["frame_bits"].astype(np.int32)
        self.queue_packets = self.columns["queue_packets"].astype(np.int32)
        self.queue_bytes = self.columns["queue_bytes"].astype(np.int64)
        self.radio_index = self.columns["radio"].astype(np.int32)
        self.routes = Routes(self.src, self.dst, hosts, places)
        self._row_of: dict[tuple[int, int], int] | None = None
        self.current = np.full(len(self.radio), -1, dtype=np.int16)
        if before is not None:
            self._carry_over(before, places)

    def row(self, src: int, dst: int) -> int:
        """The row of a directed link, -1 when it does not exist."""
        if self._row_of is None:
            ends = zip(self.src.tolist(), self.dst.tolist(), strict=True)
            self._row_of = {end: row for row, end in enumerate(ends)}
        return self._row_of.get((src, dst), -1)

    def _carry_over(self, before: Rows, places: int) -> None:
        """Links that stay keep their ModCod."""
        old = before.src[before.radio].astype(np.int64) * places + before.dst[before.radio]
        new = self.src[self.radio].astype(np.int64) * places + self.dst[self.radio]
        _, mine, theirs = np.intersect1d(new, old, return_indices=True)
        self.current[mine] = before.current[theirs]

    def radio_state(
        self, range_m: Floats, attenuation_db: Floats, extra_loss_db: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """(SNR dB, rate bit/s, frame error) of the radio rows, each ModCod brought up to date.

        All arrays [k], in the order of `radio`; attenuation beyond free space, and further losses.
        """
        r = self.r
        loss = (
            free_space_loss_db(range_m, r["frequency_ghz"])
            + attenuation_db
            + r["implementation_db"]
            + extra_loss_db
        )
        snr = snr_db(r["eirp_dbw"], r["g_over_t_db_k"], r["bandwidth_mhz"], loss)
        rate, error = np.zeros(len(snr)), np.zeros(len(snr))
        tables = self.table[self.radio]
        for number, table in enumerate(self.tables):
            mine = np.flatnonzero(tables == number)
            if len(mine) == 0:
                continue
            chosen = table.select(
                snr[mine], self.current[mine], r["margin_db"][mine], r["hysteresis_db"][mine]
            )
            self.current[mine] = chosen
            rate[mine] = table.efficiency[chosen] * r["bandwidth_mhz"][mine] * 1e6
            error[mine] = table.frame_error(snr[mine], chosen)
        return snr, rate, error
