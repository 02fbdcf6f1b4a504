"""The network as the published parameters have it, one row a directed link, at a moment.

`NominalNetwork` asks the emulator's own World, built from public knowledge alone, and lays the twin's
present belief about attenuation into it, so that ModCods, rates and error rates follow from the belief by
the same code as they do in the channel. Nothing here looks at an observation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from emulator.orders import Orders
from emulator.spec import Place, RadioSpec, WorldSpec
from emulator.table import ISL, KIND_NAMES
from emulator.units import EARTH_ROTATION_RAD_S, SPEED_OF_LIGHT_M_S
from testbed.twin.adaptation import Ladder

#: half the time over which satellites' velocities are taken, s
_STEP_S = 0.05


class Sighting(NamedTuple):
    """The satellite of a radio link, as its orbit is believed."""

    satellite: str
    #: km by which it is believed to run ahead of its published elements
    ahead_km: float
    #: km by which the link gets longer when it runs 1 km further ahead: cosine between its motion and the
    #: way from the place to it
    range_per_km: float
    speed_km_s: float
    #: age of its published elements, s; 0 for one without elements of a date
    elements_age_s: float


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
    #: of links between a satellite and a place that is none
    sighting: Sighting | None = None
    elevation_deg: float = math.nan


class RadioBelief(Protocol):
    """What the twin believes about the radio at a place, in a direction."""

    def fade_db(self, place: str, direction: str) -> float:
        """By how much weather lowers the SNR below that of the published sky, dB."""

    def bias_db(self, place: str, direction: str) -> float:
        """How much better than published the modem does, dB."""


@runtime_checkable
class OrbitBelief(Protocol):
    """What the twin believes about orbits."""

    def along_track_km(self) -> Mapping[str, float]:
        """By satellite: km by which it runs ahead of its published elements; none named: as published."""


class NominalNetwork:
    """The emulator's World under public knowledge and a belief about radio conditions (and about orbits, if
    the belief has any)."""

    def __init__(self, spec: WorldSpec, belief: RadioBelief) -> None:
        from emulator.world import Adjustments, World

        self._belief = belief
        self._ladder = Ladder(spec)
        radios = {radio.name: radio for radio in spec.radios}
        self._places = {place.id: place for place in spec.places if place.kind != "satellite"}
        self._radio_of = {place.id: radios[place.radio] for place in spec.places if place.radio in radios}
        stations = [self._radio_of[place.id] for place in spec.places if place.access == "station"]
        #: radios that weather at a place can act on: its own, and for terminals those of stations
        self._heard = {
            place.id: [radios[name] for name in (place.radio,) if name in radios]
            + stations * (place.access == "terminal")
            for place in self._places.values()
        }
        #: links with a radio between two places: {a, b} -> (a, radio's name)
        self._terrestrial = {frozenset((link.a, link.b)): (link.a, link.radio) for link in spec.links}
        self._adjustments = Adjustments(attenuation_db=self._attenuation_db)
        self._world = World(spec, self._adjustments)
        #: elevation in degrees at which a place last had a link
        self._elevation: dict[str, float] = {}
        #: when the links were last asked for, and the ModCod of each that has a radio then
        self._asked_s = -1.0
        self._modcods: dict[str, int] = {}

    def _radio_at(self, place: str, frequency_ghz: float) -> tuple[RadioSpec | None, str]:
        """The radio at a place that a frequency stands for, and its direction; both the same: up."""
        nearest: tuple[float, RadioSpec | None, str] = (math.inf, None, "up")
        for radio in self._heard.get(place, ()):
            ends = (("up", radio.up_frequency_ghz), ("down", radio.down_frequency_ghz))
            for direction, frequency in ends:
                if abs(frequency - frequency_ghz) < nearest[0]:
                    nearest = (abs(frequency - frequency_ghz), radio, direction)
        return nearest[1:]

    def _attenuation_db(self, place: str, _t_s: float, elevation_deg: float, frequency_ghz: float) -> float:
        radio, direction = self._radio_at(place, frequency_ghz)
        fall = max(self._belief.fade_db(place, direction), 0.0)
        if fall == 0.0 or radio is None or direction == "up":
            return fall
        return _attenuation_of(fall, self._places[place], radio, elevation_deg)

    def other_rates(self, link: NominalLink, doubt_db: float) -> tuple[float, ...]:
        """Rates over the believed one of ModCods that a link may use instead (see `adaptation.Ladder`)."""
        return self._ladder.others(link, doubt_db)

    def attenuation_of_fall(self, place: str, direction: str, fall_db: float) -> float:
        """The attenuation in dB that lowers the SNR of a place's own radio by so much, noise risen too."""
        radio = self._radio_of.get(place)
        if radio is None or direction != "down" or place not in self._places:
            return fall_db
        return _attenuation_of(fall_db, self._places[place], radio, self._elevation.get(place, 45.0))

    def _modem_loss_db(self, place: str) -> float:
        """The bias of both directions, as the World takes it: one loss a place."""
        return -0.5 * (self._belief.bias_db(place, "up") + self._belief.bias_db(place, "down"))

    def _applied_db(self, source: str, sink: str, kind: str, place: str, radio: RadioSpec | None) -> float:
        """What the World has taken off a link's SNR for the belief: it knows no direction of a bias, and
        lets attenuation act on radios that feel weather only."""
        modem = self._adjustments.implementation_loss_bias_db
        applied = modem.get(source, 0.0) + modem.get(sink, 0.0)
        if kind in ("access", "feeder") and radio is not None and radio.weather:
            direction = "up" if source == place else "down"
            applied += max(self._belief.fade_db(place, direction), 0.0)
        return applied

    def obey(self, orders: Orders) -> None:
        """What the network was ordered: it counts from the next epoch on."""
        self._world.orders = orders

    def at(self, t_s: float, isl: frozenset[str] = frozenset()) -> list[NominalLink]:
        """Links that should exist at run time `t_s`; calls must not go back in time.

        Of the inter-satellite links, of which there may be thousands, only those named in `isl`.
        """
        modem = self._adjustments.implementation_loss_bias_db
        modem.update((place, self._modem_loss_db(place)) for place in self._radio_of)
        if isinstance(self._belief, OrbitBelief):
            self._adjustments.along_track_km = dict(self._belief.along_track_km())
        table = self._world.epoch(max(t_s, 0.0))
        places = self._world.places
        self._asked_s = max(t_s, 0.0)
        radios = table.modcod >= 0
        rows_of_radios = zip(
            *(column[radios].tolist() for column in (table.src, table.dst, table.modcod)), strict=True
        )
        self._modcods = {f"{places[src]}>{places[dst]}": modcod for src, dst, modcod in rows_of_radios}
        wanted = (table.kind != ISL) & table.up
        index = self._world.place_index
        for name in isl:
            source, _, sink = name.partition(">")
            if source in index and sink in index:
                wanted |= (table.src == index[source]) & (table.dst == index[sink]) & table.up
        columns = (
            table.src, table.dst, table.kind, table.delay_ns, table.jitter_ns, table.rate_bps,
            table.snr_db, table.loss, table.frame_error, table.frame_bits, table.range_m,
            table.elevation_deg,
        )  # fmt: skip
        rows = zip(*(column[wanted].tolist() for column in columns), strict=True)
        sightings = self._sightings(table.src[wanted], table.dst[wanted], self._asked_s)
        return [self._link(places, row, sightings.get(k)) for k, row in enumerate(rows)]

    def _sightings(self, src: NDArray[np.int32], dst: NDArray[np.int32], t_s: float) -> dict[int, Sighting]:
        """By number of a link to a satellite: what its range says about the orbit."""
        first, names, ages_s = self._world.first_satellite, self._world.places, self._world.element_ages_s
        seen = np.flatnonzero((src >= first) != (dst >= first))
        if not len(seen):
            return {}
        start_s = max(t_s - _STEP_S, 0.0)
        begin, end = self._world.positions(start_s), self._world.positions(t_s + _STEP_S)
        satellite = np.maximum(src, dst)[seen]
        ground = np.minimum(src, dst)[seen]
        at = 0.5 * (begin + end)
        motion = (end[satellite] - begin[satellite]) / (t_s + _STEP_S - start_s)
        # a satellite ahead of time is so along its way among the stars, not along that over the ground
        motion[:, 0] -= EARTH_ROTATION_RAD_S * at[satellite, 1]
        motion[:, 1] += EARTH_ROTATION_RAD_S * at[satellite, 0]
        way = at[satellite] - at[ground]
        speed = np.linalg.norm(motion, axis=1)
        per_km = np.einsum("ij,ij->i", way, motion) / (np.linalg.norm(way, axis=1) * speed)
        ahead = self._adjustments.along_track_km
        found: dict[int, Sighting] = {}
        for row, which, cosine, metres in zip(
            seen.tolist(), satellite.tolist(), per_km.tolist(), speed.tolist(), strict=True
        ):
            name, age_s = names[which], float(ages_s[which - first])
            found[row] = Sighting(name, ahead.get(name, 0.0), cosine, metres / 1e3, age_s)
        return found

    def resume(self) -> None:
        """Lets a new World go on from where another one was that this network has been told of.

        All in a World follows from the time and the belief, but for one thing: a modem keeps its ModCod until
        the SNR has left it by more than the hysteresis.
        """
        if self._asked_s < 0.0:
            return
        modcods = dict(self._modcods)
        self.at(self._asked_s)
        world = self._world
        assert world._rows is not None
        rows = world._rows
        ends = zip(rows.src[rows.radio].tolist(), rows.dst[rows.radio].tolist(), strict=True)
        for k, (src, dst) in enumerate(ends):
            name = f"{world.places[src]}>{world.places[dst]}"
            if name in modcods:
                rows._radio.current[k] = modcods[name]
        self._modcods = modcods

    def serving(self, t_s: float) -> dict[str, str]:
        """Terminal -> satellite or station that serves it, "" for none, by the last decision up to `t_s`.

        Calls must not go back in time, as for `at`.
        """
        return dict(self._world.epoch(max(t_s, 0.0)).serving)

    def _link(self, places: tuple[str, ...], row: tuple[Any, ...], sighting: Sighting | None) -> NominalLink:
        src, dst, kind_number, delay_ns, jitter_ns, rate, snr, loss, frame_error, frame_bits = row[:10]
        range_m, elevation_deg = row[10:]
        source, sink, kind = places[src], places[dst], KIND_NAMES[kind_number]
        place, direction, group_radio = "", "up", ""
        radio: RadioSpec | None = None
        if kind in ("access", "feeder"):
            place, far = self._owner(source, sink)
            direction = "up" if place == source else "down"
            # a station serves with its own radio
            radio = self._radio_of.get(far if far in self._places else place)
            group_radio = radio.name if radio is not None else ""
            self._elevation[place] = elevation_deg
        elif kind == "fixed" and math.isfinite(snr):
            place, group_radio = self._terrestrial.get(frozenset((source, sink)), (source, ""))
            direction = "over" if source == place else "back"
        if place and math.isfinite(snr):
            believed = self._belief.fade_db(place, direction) - self._belief.bias_db(place, direction)
            snr += self._applied_db(source, sink, kind, place, radio) - believed
        group = (
            f"{kind}/{group_radio}/{direction}"
            if kind != "fixed" or group_radio
            else (f"{kind}/{source}>{sink}")
        )
        delay_ms = delay_ns / 1e6
        propagation_ms = range_m / SPEED_OF_LIGHT_M_S * 1e3 if math.isfinite(range_m) else delay_ms
        return NominalLink(
            f"{source}>{sink}", source, sink, kind, place, direction, group, delay_ms, propagation_ms,
            jitter_ns / 1e6, rate, snr, loss, frame_error, frame_bits, sighting if place else None,
            elevation_deg,
        )  # fmt: skip

    def _owner(self, source: str, sink: str) -> tuple[str, str]:
        """The place whose weather and modem matter on an access or feeder link, and the other end."""
        if source in self._places and sink in self._places:
            terminal = self._places[source].access == "terminal"
            return (source, sink) if terminal else (sink, source)
        return (source, sink) if source in self._places else (sink, source)


def _attenuation_of(fall_db: float, place: Place, radio: RadioSpec, elevation_deg: float) -> float:
    """Attenuation in dB on the way down that, with the noise it adds, lowers the SNR by `fall_db`."""
    if not (radio.weather and radio.down_system_noise_k > 0.0):
        return fall_db
    from emulator.radio.budget import path_request
    from emulator.radio.noise import attenuation_of_drop_db, g_over_t_loss_db
    from emulator.radio.slant_path import slant_path

    path = slant_path(path_request(radio, place, True))
    clear_db = float(path.gas_db(elevation_deg))
    known = path.attenuation(elevation_deg, radio.weather_percent)
    counted_db = float(known.gas_db + known.rain_db + known.cloud_db)
    # what is counted on anyway has raised the noise already
    rise_db = float(g_over_t_loss_db(counted_db - clear_db, clear_db, radio.down_system_noise_k))
    noise_k = radio.down_system_noise_k * 10.0 ** (0.1 * rise_db)
    return float(attenuation_of_drop_db(fall_db, counted_db, noise_k))
