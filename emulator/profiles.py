"""Published figures of every kind of link: a profile for inter-satellite links, two a radio, one a wire.

A profile is an index; what is known under it are columns. Which links there are, and over which distance,
is not known here.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.links.model import PLAIN, ModelSet
from emulator.radio.budget import Figures, check_radio
from emulator.radio.modcod import ModCodStack, ModCodTable, modcod_table
from emulator.ranges import above_zero, not_below_zero, probability, room_for_a_packet
from emulator.spec import ConstellationSpec, FixedLink, RadioSpec

#: bytes that a queue bounded in packets only may hold, per packet
_LARGEST_PACKET_BYTES = 1500


class Profiles:
    """Columns by profile; raises `WorldError` for figures that no link can have."""

    _FLOATS = (
        "rate_bps", "fixed_ns", "jitter_ns", "loss", "margin_db", "hysteresis_db", "weather", "interference",
    )  # fmt: skip
    _INTEGERS: ClassVar = {
        "queue_packets": np.int32, "queue_bytes": np.int64, "frame_bits": np.int32,
        "table": np.int32, "radio": np.int32, "model": np.int32,
    }  # fmt: skip
    isl = 0
    #: profile of the first radio; `figures` begins there
    first_radio = 1

    def __init__(
        self,
        constellation: ConstellationSpec,
        radios: tuple[RadioSpec, ...],
        links: tuple[FixedLink, ...],
        models: ModelSet | None = None,
    ) -> None:
        models = models or ModelSet()
        tables: list[ModCodTable] = []
        self._radio_index = {radio.name: k for k, radio in enumerate(radios)}
        self._links_from = self.first_radio + 2 * len(radios)
        self._links = links
        entries: list[dict[str, float]] = [
            _isl_entry(constellation)
            | {"model": _model(models, constellation.isl_model, "constellation.isl_model")}
        ]
        names: list[str] = []
        for number, radio in enumerate(radios):
            check_radio(radio)
            if radio.modcods not in names:
                names.append(radio.modcods)
                try:
                    tables.append(modcod_table(radio.modcods))
                except WorldError as error:
                    raise WorldError(f"radio {radio.name!r}: {error}") from None
            table = names.index(radio.modcods)
            entry = _radio_entry(radio, number, table, tables[table].frame_bits)
            for key in ("up_model", "down_model"):
                model = _model(models, getattr(radio, key), f"radio {radio.name!r}: {key}")
                entries.append(entry | {"model": model})
        for link in links:
            for key, name in (("model", link.model), ("back_model", link.back_model or link.model)):
                model = _model(models, name, f"link {link.a} - {link.b}: {key}")
                entries.append(_fixed_entry(link) | {"model": model})
        self.columns: dict[str, NDArray[Any]] = {
            name: np.array([entry.get(name, np.nan) for entry in entries]) for name in self._FLOATS
        }
        for name, dtype in self._INTEGERS.items():
            self.columns[name] = np.array([entry[name] for entry in entries]).astype(dtype)
        #: radio figures of profiles `first_radio`, `first_radio` + 1, ...: up and down of every radio
        self.figures = Figures.of([(radio, down) for radio in radios for down in (False, True)])
        self.modcods = ModCodStack(tables)

    def of_radio(self, name: str) -> int:
        """Index of the profile up; the one down follows it."""
        return self.first_radio + 2 * self._radio_index[name]

    def radio_number(self, name: str) -> int:
        """Index of the radio of that name, -2 (no row's) for an unknown one."""
        return self._radio_index.get(name, -2)

    def of_link(self, index: int) -> tuple[int, int]:
        """Profiles of the two directions of the spec's fixed link."""
        link = self._links[index]
        if link.radio:
            up = self.of_radio(link.radio)
            return up, up + 1
        return self._links_from + 2 * index, self._links_from + 2 * index + 1


def _model(models: ModelSet, name: str, what: str) -> int:
    if name and name not in models.names:
        raise WorldError(f"{what} is {name!r}, allowed: {', '.join(models.names)}")
    return models.index(name or PLAIN)


def _isl_entry(constellation: ConstellationSpec) -> dict[str, float]:
    if constellation.isl != "none" or constellation.interlayer != "none":
        above_zero(constellation, "constellation.", "isl_rate_mbps")
        not_below_zero(constellation, "constellation.", "isl_processing_ms")
        room_for_a_packet(constellation, "constellation.", "isl_queue_packets")
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


def _radio_entry(radio: RadioSpec, number: int, table: int, frame_bits: int) -> dict[str, float]:
    return {
        "rate_bps": 0.0,
        "fixed_ns": radio.processing_ms * 1e6,
        "jitter_ns": radio.jitter_ms * 1e6,
        "loss": radio.loss,
        "queue_packets": radio.queue_packets,
        "queue_bytes": radio.queue_kbytes * 1e3,
        "margin_db": radio.margin_db,
        "hysteresis_db": radio.hysteresis_db,
        "weather": float(radio.weather),
        "interference": float(radio.interference),
        "table": table,
        "radio": number,
        "frame_bits": frame_bits,
    }


def _fixed_entry(link: FixedLink) -> dict[str, float]:
    what = f"link {link.a} - {link.b}: "
    above_zero(link, what, "rate_mbps", "queue_kbytes")
    not_below_zero(link, what, "delay_ms", "jitter_ms")
    room_for_a_packet(link, what, "queue_packets")
    probability(link, what, "loss")
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
