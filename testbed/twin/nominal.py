"""The network as the published parameters have it, one row a directed link, at a moment.

`NominalNetwork` asks the emulator's own World, built from public knowledge alone, and lays the twin's
present belief about attenuation into it, so that ModCods, rates and error rates follow from the belief by
the same code as they do in the channel. Nothing here looks at an observation.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

from emulator.spec import WorldSpec

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
    direction: str  # "up" away from `place`, "down"; on a radio link between two places "over", "back"
    group: str
    delay_ms: float
    propagation_ms: float
    jitter_ms: float
    rate_bps: float
    snr_db: float
    loss: float
    frame_error: float
    frame_bits: int


class RadioBelief(Protocol):
    """What the twin believes about the radio at a place, in a direction."""

    def fade_db(self, place: str, direction: str) -> float:
        """Attenuation beyond the published gases, dB."""

    def bias_db(self, place: str, direction: str) -> float:
        """How much better than published the modem does, dB."""


class NominalNetwork:
    """The emulator's World under public knowledge and a belief about radio conditions."""

    def __init__(self, spec: WorldSpec, belief: RadioBelief) -> None:
        from emulator.world import Adjustments, World

        self._belief = belief
        radios = {radio.name: radio for radio in spec.radios}
        self._radio_of = {place.id: radios[place.radio] for place in spec.places if place.radio in radios}
        self._grounded = {place.id for place in spec.places if place.kind != "satellite"}
        #: links with a radio between two places: {a, b} -> (a, radio's name)
        self._terrestrial = {frozenset((link.a, link.b)): (link.a, link.radio) for link in spec.links}
        self._adjustments = Adjustments(attenuation_db=self._attenuation_db)
        self._world = World(spec, self._adjustments)

    @property
    def place_names(self) -> tuple[str, ...]:
        return tuple(self._world.places)

    def _direction(self, place: str, frequency_ghz: float) -> str:
        """The direction that a frequency stands for; both the same: up."""
        radio = self._radio_of.get(place)
        up = radio is None or (
            abs(frequency_ghz - radio.up_frequency_ghz) <= abs(frequency_ghz - radio.down_frequency_ghz)
        )
        return "up" if up else "down"

    def _attenuation_db(self, place: str, _t_s: float, _elevation_deg: float, frequency_ghz: float) -> float:
        return max(self._belief.fade_db(place, self._direction(place, frequency_ghz)), 0.0)

    def _modem_loss_db(self, place: str) -> float:
        """The bias of both directions, as the World takes it: one loss a place."""
        return -0.5 * (self._belief.bias_db(place, "up") + self._belief.bias_db(place, "down"))

    def _applied_db(self, source: str, sink: str, kind: str, place: str, direction: str) -> float:
        """What the World has taken off a link's SNR for the belief: it knows no direction of a bias, and
        lets attenuation act on radios that feel weather only."""
        modem = self._adjustments.implementation_loss_bias_db
        applied = modem.get(source, 0.0) + modem.get(sink, 0.0)
        radio = self._radio_of.get(place)
        if kind in ("access", "feeder") and radio is not None and radio.weather:
            frequency = radio.up_frequency_ghz if direction == "up" else radio.down_frequency_ghz
            applied += self._attenuation_db(place, 0.0, 0.0, frequency)
        return applied

    def at(self, t_s: float, isl: frozenset[str] = frozenset()) -> list[NominalLink]:
        """Links that should exist at run time `t_s`; calls must not go back in time.

        Of the inter-satellite links, of which there may be thousands, only those named in `isl`.
        """
        modem = self._adjustments.implementation_loss_bias_db
        modem.update((place, self._modem_loss_db(place)) for place in self._radio_of)
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
            place, direction = (source, "up") if source in self._grounded else (sink, "down")
            radio = self._radio_of[place].name if place in self._radio_of else ""
        elif kind == "fixed" and math.isfinite(snr):
            place, radio = self._terrestrial.get(frozenset((source, sink)), (source, ""))
            direction = "over" if source == place else "back"
        if place and math.isfinite(snr):
            believed = self._belief.fade_db(place, direction) - self._belief.bias_db(place, direction)
            snr += self._applied_db(source, sink, kind, place, direction) - believed
        group = f"{kind}/{radio}/{direction}" if kind != "fixed" or radio else f"{kind}/{source}>{sink}"
        delay_ms = delay_ns / 1e6
        propagation_ms = range_m / SPEED_OF_LIGHT_M_S * 1e3 if math.isfinite(range_m) else delay_ms
        return NominalLink(
            f"{source}>{sink}", source, sink, kind, place, direction, group, delay_ms, propagation_ms,
            jitter_ns / 1e6, rate, snr, loss, frame_error, frame_bits,
        )  # fmt: skip
