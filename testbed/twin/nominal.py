"""The network as the published parameters have it, one row a directed link, at a moment.

`NominalNetwork` asks the emulator's own World, built from public knowledge alone, and lays the twin's
present belief about attenuation into it, so that ModCods, rates and error rates follow from the belief by
the same code as they do in the channel. Nothing here looks at an observation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from emulator.spec import Place, RadioSpec, WorldSpec

KINDS = ("access", "feeder", "isl", "fixed")
ISL = 2
SPEED_OF_LIGHT_M_S = 299_792_458.0


class NominalLink(NamedTuple):
    """One directed link as expected. `place` is the end whose weather and modem matter ("" if none).

    `delay_ms` is propagation plus processing, without serialisation; `propagation_ms` geometry alone;
    `snr_db` is nan where there is no radio; `group` names links that share a radio design.
    """

    id: str
    source: str
    sink: str
    kind: str
    place: str
    direction: str  # "up": away from `place`
    group: str
    delay_ms: float
    propagation_ms: float
    jitter_ms: float
    rate_bps: float
    snr_db: float
    loss: float
    frame_error: float
    frame_bits: int


#: (place, direction) -> attenuation believed there, dB (negative: better than nominal)
Attenuation = Callable[[str, str], float]


class NominalNetwork:
    """The emulator's World under public knowledge and a belief about attenuation."""

    def __init__(self, spec: WorldSpec, attenuation: Attenuation) -> None:
        from emulator.world import Adjustments, World

        self._attenuation = attenuation
        self._radio_of: dict[str, RadioSpec] = {}
        radios = {radio.name: radio for radio in spec.radios}
        self._places: dict[str, Place] = {place.id: place for place in spec.places}
        for place in spec.places:
            if place.radio in radios:
                self._radio_of[place.id] = radios[place.radio]
        #: links with a radio between two places: {a, b} -> (a, radio)
        self._terrestrial = {
            frozenset((link.a, link.b)): (link.a, radios.get(link.radio)) for link in spec.links
        }
        self._world = World(spec, Adjustments(attenuation_db=self._believed_db))

    @property
    def place_names(self) -> tuple[str, ...]:
        return tuple(self._world.places)

    def _believed_db(self, place: str, _t_s: float, _elevation_deg: float, frequency_ghz: float) -> float:
        radio = self._radio_of.get(place)
        up = radio is None or (
            abs(frequency_ghz - radio.up_frequency_ghz) <= abs(frequency_ghz - radio.down_frequency_ghz)
        )
        return self._attenuation(place, "up" if up else "down")

    def at(self, t_s: float, isl: frozenset[str] = frozenset()) -> list[NominalLink]:
        """Links that should exist at run time `t_s`; calls must not go back in time.

        Of the inter-satellite links, of which there may be thousands, only those named in `isl`.
        """
        table = self._world.epoch(max(t_s, 0.0))
        places = self._world.places
        wanted = (table.kind != ISL) & table.up
        index = self._world.place_index
        for name in isl:
            source, _, sink = name.partition(">")
            if source in index and sink in index:
                wanted |= (table.src == index[source]) & (table.dst == index[sink]) & table.up
        columns = (
            table.src, table.dst, table.kind, table.delay_ns, table.jitter_ns, table.rate_bps,
            table.snr_db, table.loss, table.frame_error, table.frame_bits, table.range_m,
        )  # fmt: skip
        rows = zip(*(column[wanted].tolist() for column in columns), strict=True)
        return [self._link(places, row) for row in rows]

    def _link(self, places: tuple[str, ...], row: tuple[Any, ...]) -> NominalLink:
        src, dst, kind_number, delay_ns, jitter_ns, rate, snr, loss, frame_error, frame_bits, range_m = row
        source, sink, kind = places[src], places[dst], KINDS[kind_number]
        place, direction, radio = "", "up", ""
        if kind in ("access", "feeder"):
            place, direction = (source, "up") if self._owns(source) else (sink, "down")
            radio = self._radio_of[place].name if place in self._radio_of else ""
        elif kind == "fixed" and math.isfinite(snr):
            owner, spec = self._terrestrial.get(frozenset((source, sink)), (source, None))
            place, direction, radio = owner, ("up" if source == owner else "down"), spec.name if spec else ""
        group = f"{kind}/{radio}/{direction}" if kind != "fixed" or radio else f"{kind}/{source}>{sink}"
        delay_ms = delay_ns / 1e6
        propagation_ms = range_m / SPEED_OF_LIGHT_M_S * 1e3 if math.isfinite(range_m) else delay_ms
        return NominalLink(
            f"{source}>{sink}", source, sink, kind, place, direction, group, delay_ms, propagation_ms,
            jitter_ns / 1e6, rate, snr, loss, frame_error, frame_bits,
        )  # fmt: skip

    def _owns(self, name: str) -> bool:
        place = self._places.get(name)
        return place is not None and place.kind != "satellite"
