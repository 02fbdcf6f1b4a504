"""What must fit together in a scenario although every single key is valid.

Each check yields `(key, value, what is allowed)` for what it finds; the loader turns the first into a
sentence. Nothing here reads a file except to see that the element file exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from testbed.scenario import clashes, link_traces, measured_models, tracks, weather
from testbed.scenario import node_tables as n
from testbed.scenario.elements import satellite_names, satellites_by_source
from testbed.scenario.messages import Origin, nearest, shown
from testbed.scenario.world_tables import Constellation, LinkTable
from testbed.store.influx_settings import unfit

if TYPE_CHECKING:
    from testbed.scenario.scenario import Scenario

Finding = tuple[str, object, str]

#: `emulator.links.model.PLAIN`, which would bring the compiler along
PLAIN: Final = "plain"
#: what every link of the internet carries (RFC 791, section 3.2)
SHORTEST_MTU_BYTES: Final = 68


def findings(scenario: Scenario) -> Iterator[Finding]:
    """Everything that does not fit together, in the order of the file."""
    yield from _duplicates(scenario)
    yield from clashes.endpoints(scenario)
    yield from clashes.sizes(scenario)
    yield from _constellation(scenario)
    yield from clashes.names(scenario, satellite_names(scenario.document.constellation))
    yield from tracks.findings(scenario.document.places, scenario.run)
    yield from _antennas(scenario)
    yield from _models(scenario)
    yield from _radios_and_places(scenario)
    yield from _links(scenario)
    yield from _nodes(scenario)
    yield from clashes.selves(scenario)
    yield from _deviations(scenario)
    yield from weather.findings(scenario, rain_targets(scenario))
    yield from _store(scenario)


def describe(origin: Origin, finding: Finding) -> str:
    """A finding as a sentence."""
    key, value, allowed = finding
    given = value if value in ("missing", "given") else shown(value)
    return f"{origin.of(key)}: {key} is {given}, but must be {allowed}"


def _duplicates(scenario: Scenario) -> Iterator[Finding]:
    for table, expanded in (("places", scenario.place_names), ("nodes", scenario.node_names)):
        seen: dict[str, str] = {}
        for group, names in expanded.items():
            for name in names:
                if name in seen:
                    yield f"{table}.{group}", name, f"another id: {table}.{seen[name]} makes it already"
                seen[name] = group


def _constellation(scenario: Scenario) -> Iterator[Finding]:
    c = scenario.document.constellation
    if not (c.elements_text or c.shells or c.geostationary or c.over_region is not None):
        allowed = (
            "given a source: elements, [[constellation.shells]], [[constellation.geostationary]] or "
            "[constellation.over_region]"
        )
        yield "constellation", "empty", allowed
    if c.elements_text and not c.elements_format:
        yield "constellation.elements_format", "", "the format of elements_text"
    for index, shell in enumerate(c.shells):
        key = f"constellation.shells.{index}"
        if shell.satellites % shell.planes:
            yield f"{key}.satellites", shell.satellites, f"a multiple of planes = {shell.planes}"
        if shell.phasing >= shell.planes:
            yield f"{key}.phasing", shell.phasing, f"less than planes = {shell.planes}"
        if shell.name in [other.name for other in c.shells[:index]]:
            yield f"{key}.name", shell.name, "a name no other shell has"
    if c.isl == "plus-grid" and c.over_region is not None and not (c.shells or c.elements_text):
        yield "constellation.isl", c.isl, '"none" or "nearest": satellites over a region have no planes'
    for index, satellite in enumerate(c.geostationary):
        if satellite.name in [other.name for other in c.geostationary[:index]]:
            yield f"constellation.geostationary.{index}.name", satellite.name, "a name no other one has"
    yield from _shared_names(c)


def _shared_names(constellation: Constellation) -> Iterator[Finding]:
    """Names that satellites of two sources have."""
    seen: dict[str, str] = {}
    for source, names in satellites_by_source(constellation):
        for name in sorted(names & seen.keys()):
            yield f"constellation.{source}", name, f"another name: a satellite of {seen[name]} has it"
        seen.update(dict.fromkeys(names, source))


#: antenna patterns whose width follows from their size
_SIZED = ("dish-s465", "aperture", "satellite-s1528", "phased-array")


def _antennas(scenario: Scenario) -> Iterator[Finding]:
    for name, radio in scenario.document.radios.items():
        for end in ("place_antenna", "far_antenna"):
            antenna = getattr(radio, end)
            if antenna.pattern in _SIZED and not (antenna.diameter_m or antenna.gain_dbi):
                allowed = f'above 0 with pattern = "{antenna.pattern}", or gain_dbi given'
                yield f"radios.{name}.{end}.diameter_m", antenna.diameter_m, allowed


def _models(scenario: Scenario) -> Iterator[Finding]:
    document = scenario.document
    yield from link_traces.findings(document.models)
    yield from measured_models.findings(document.models)
    for name, model in document.models.items():
        if name == PLAIN:
            yield f"models.{name}", name, "another name: it is that of links without a model"
        if 0 < model.mtu_bytes < SHORTEST_MTU_BYTES:
            yield f"models.{name}.mtu_bytes", model.mtu_bytes, f"0 (any) or at least {SHORTEST_MTU_BYTES}"
        frame_kbytes = getattr(model.access, "frame_kbytes", 0)
        if 0 < frame_kbytes < 0.001:
            yield f"models.{name}.access.frame_kbytes", frame_kbytes, "0 (any) or at least 0.001"
    used = [("constellation.isl_model", document.constellation.isl_model)]
    for name, radio in document.radios.items():
        used += [(f"radios.{name}.{key}", getattr(radio, key)) for key in ("up_model", "down_model")]
    for index, link in enumerate(document.links):
        for key in ("model", "back_model"):
            used.append((f"links.{index}.{key}", getattr(link, key)))
            if link.radio and getattr(link, key):
                allowed = "absent with a radio, whose up_model and down_model say it"
                yield f"links.{index}.{key}", getattr(link, key), allowed
    for key, name in used:
        if name and name not in document.models:
            yield key, name, "a model" + nearest(name, document.models)


def _radios_and_places(scenario: Scenario) -> Iterator[Finding]:
    document, satellites = scenario.document, satellite_names(scenario.document.constellation)
    for name, place in document.places.items():
        key = f"places.{name}"
        many = [field for field in ("spread", "points") if getattr(place, field)]
        if place.kind == "satellite":
            if not place.satellite:
                yield f"{key}.satellite", "", "the name of a satellite"
            elif satellites is not None and place.satellite not in satellites:
                yield (
                    f"{key}.satellite",
                    place.satellite,
                    "a satellite" + nearest(place.satellite, satellites),
                )
            if place.latitude_deg is not None or place.longitude_deg is not None or many:
                yield f"{key}.kind", place.kind, "ground, ship or aerial to have coordinates"
            if place.access != "none":
                yield f"{key}.access", place.access, '"none" on a satellite'
            continue
        if place.satellite:
            yield f"{key}.satellite", place.satellite, 'empty unless kind = "satellite"'
        if many and (place.latitude_deg is not None or place.longitude_deg is not None):
            yield f"{key}.{many[0]}", "given", "absent beside latitude_deg and longitude_deg"
        if len(many) > 1:
            yield f"{key}.points", "given", "absent beside spread"
        for coordinate in ("latitude_deg", "longitude_deg"):
            if not (many or tracks.moves(place)) and getattr(place, coordinate) is None:
                yield f"{key}.{coordinate}", "missing", "given, in degrees"
        if place.spread is not None:
            for box in ("latitude_deg", "longitude_deg"):
                low, high = getattr(place.spread, box)
                if low > high:
                    yield f"{key}.spread.{box}", [low, high], "[low, high]"
        for index, (latitude, longitude) in enumerate(place.points):
            if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
                yield f"{key}.points.{index}", [latitude, longitude], "[latitude_deg, longitude_deg]"
        if place.max_range_km and place.access != "station":
            yield f"{key}.max_range_km", place.max_range_km, 'absent unless access = "station"'
        if place.max_links and place.access not in ("station", "gateway"):
            yield f"{key}.max_links", place.max_links, 'absent unless access = "gateway" or "station"'
        if place.radio and place.radio not in document.radios:
            yield f"{key}.radio", place.radio, "a radio" + nearest(place.radio, document.radios)
        if place.access != "none" and not place.radio:
            yield f"{key}.radio", "", f'given with access = "{place.access}"'


def _links(scenario: Scenario) -> Iterator[Finding]:
    for index, link in enumerate(scenario.document.links):
        key = f"links.{index}"
        for end in ("a", "b"):
            name = getattr(link, end)
            if not scenario.places_called(name):
                yield f"{key}.{end}", name, "a place" + nearest(name, scenario.places)
        if link.a == link.b:
            yield f"{key}.b", link.b, "another place than a"
        for field in ("rate_mbps", "delay_ms", "loss") if link.radio else ():
            # Not by what the file gives: a run's own scenario.json gives every key.
            if getattr(link, field) != LinkTable.model_fields[field].default:
                yield f"{key}.{field}", getattr(link, field), "absent with a radio, whose budget gives it"
        if link.radio and link.radio not in scenario.document.radios:
            yield f"{key}.radio", link.radio, "a radio" + nearest(link.radio, scenario.document.radios)
    seen = set()
    for a, b, index in scenario.link_pairs():
        if frozenset((a, b)) in seen:
            yield f"links.{index}", f"{a} to {b}", "given once: a link already has both directions"
        seen.add(frozenset((a, b)))


#: key of a node's table -> role the named node must have (empty: any)
_REFERENCES = {"sink": "", "via": "relay", "servers": "edge", "broker": "broker", "target": ""}


def _nodes(scenario: Scenario) -> Iterator[Finding]:
    for name, node in scenario.document.nodes.items():
        key = f"nodes.{name}"
        if node.place not in scenario.place_names and node.place not in scenario.places:
            yield f"{key}.place", node.place, "a place" + nearest(node.place, scenario.places)
        for field, role in _REFERENCES.items():
            value = getattr(node, field, "")
            for wanted in [value] if isinstance(value, str) else value:
                if not wanted:
                    continue
                fitting = [i for i, other in scenario.nodes.items() if role in ("", other.role)]
                if wanted not in fitting:
                    what = f"a node of role {role}" if role else "a node"
                    yield f"{key}.{field}", wanted, what + nearest(wanted, fitting)
        if isinstance(node, n.SensorNode):
            low, high = node.task_megacycles
            if low > high:
                yield f"{key}.task_megacycles", node.task_megacycles, "[low, high]"
            if node.task_interval_s > 0 and not node.servers:
                yield f"{key}.servers", [], "given when task_interval_s is more than 0"
            if node.broker and node.sink:
                yield f"{key}.sink", node.sink, "empty beside a broker"
        reads = isinstance(node, n.SensorNode | n.MicrocontrollerNode) and node.reading_interval_s > 0
        if reads and not (getattr(node, "sink", "") or getattr(node, "broker", "")):
            yield f"{key}.sink", "", "given when reading_interval_s is more than 0"
        if isinstance(node, n.GatewayNode) and node.topics and not node.broker:
            yield f"{key}.broker", "", "given with topics"


def _deviations(scenario: Scenario) -> Iterator[Finding]:
    satellites = satellite_names(scenario.document.constellation)
    for index, deviation in enumerate(scenario.document.deviations):
        key, target = f"deviations.{index}", deviation.target
        if deviation.for_ == 0:
            yield f"{key}.for", 0, "more than 0"
        if isinstance(deviation, n.Rain):
            ground = rain_targets(scenario)
            if target not in ground:
                yield (
                    f"{key}.target",
                    target,
                    "a place with a radio that feels weather" + nearest(target, ground),
                )
            if (deviation.attenuation_db is None) == (deviation.rain_rate_mm_h is None):
                given = "missing" if deviation.attenuation_db is None else deviation.attenuation_db
                yield f"{key}.attenuation_db", given, "given, or rain_rate_mm_h, but not both"
        elif isinstance(deviation, n.SlowServer):
            edges = [i for i, node in scenario.nodes.items() if node.role == "edge"]
            if target not in edges:
                yield f"{key}.target", target, "a node of role edge" + nearest(target, edges)
        elif isinstance(deviation, n.StaleOrbit):
            if satellites is not None and target not in satellites:
                yield f"{key}.target", target, "a satellite" + nearest(target, satellites)
        elif isinstance(deviation, n.ClockOffset):
            if deviation.offset_ms == 0.0 == deviation.skew_ppm:
                yield f"{key}.offset_ms", 0, "other than 0, or skew_ppm given"
            own = [i for i, node in scenario.nodes.items() if node.role != "guest"]
            if target not in own:
                yield f"{key}.target", target, "a node that is no guest" + nearest(target, own)
        elif isinstance(deviation, n.LostTelemetry):
            known = {**scenario.nodes, **scenario.place_names, **scenario.places}
            if target not in known:
                yield f"{key}.target", target, "a node or a place" + nearest(target, known)
            if deviation.share == 0.0:
                yield f"{key}.share", 0, "more than 0"
        elif isinstance(deviation, n.Impostor):
            readers = [i for i, node in scenario.nodes.items() if getattr(node, "reading_interval_s", 0.0)]
            if target not in readers:
                yield f"{key}.target", target, "a node that sends readings" + nearest(target, readers)
        else:
            found = list(clashes.link_target(f"{key}.target", target, scenario, satellites))
            yield from found
            if isinstance(deviation, n.Flood) and not found and target.partition(">")[0] in satellites:
                yield f"{key}.target", target, "a link away from a place: no node is on the satellite itself"


def rain_targets(scenario: Scenario) -> Mapping[str, object]:
    """The places rain can reach, and the names of their groups: with a radio that feels weather."""
    wet = {name for name, radio in scenario.document.radios.items() if radio.weather}
    linked = {
        place for place, _, index in scenario.link_pairs() if scenario.document.links[index].radio in wet
    }
    linked |= {
        place for _, place, index in scenario.link_pairs() if scenario.document.links[index].radio in wet
    }
    return {
        name: None
        for name, table in {**scenario.document.places, **scenario.places}.items()
        if table.kind != "satellite"
        and (table.radio in wet or any(place in linked for place in scenario.places_called(name)))
    }


def _store(scenario: Scenario) -> Iterator[Finding]:
    table = scenario.document.store.influxdb
    found = unfit(table.url, table.org, table.bucket) if table.url else None
    if found is not None:
        key, value, allowed = found
        yield f"store.influxdb.{key}", value, allowed
