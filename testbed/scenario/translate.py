"""From a scenario's tables to what the channel is built from, and to what the twin may know.

`world_spec` is the published world. `public` wraps it with the nominal numbers an operator has; it is
built from named keys only, so that deviations, seed and plant cannot slip in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from emulator import spec
from testbed.scenario import tracks
from testbed.scenario.node_tables import EdgeNode, Node
from testbed.scenario.radio_tables import Radio
from testbed.scenario.world_tables import PlaceTable

if TYPE_CHECKING:
    from testbed.scenario.scenario import Scenario


def world_spec(scenario: Scenario) -> spec.WorldSpec:
    """The world as published: places, constellation, radios, links, access."""
    document = scenario.document
    return spec.WorldSpec(
        start_utc=document.run.start_utc,
        duration_s=document.run.duration_s,
        epoch_s=document.run.epoch_s,
        places=tuple(_place(name, table, document.run.start_utc) for name, table in scenario.places.items()),
        constellation=_constellation(scenario),
        radios=tuple(_radio(name, table) for name, table in document.radios.items()),
        links=tuple(
            spec.FixedLink(**{**document.links[index].model_dump(), "a": a, "b": b})
            for a, b, index in scenario.link_pairs()
        ),
        access=spec.AccessSpec(
            **{**document.access.model_dump(), "layers": tuple(document.access.layers)},
        ),
    )


def _radio(name: str, table: Radio) -> spec.RadioSpec:
    values = table.model_dump(exclude={"preset", "place_antenna", "far_antenna"})
    return spec.RadioSpec(
        name=name,
        place_antenna=spec.Antenna(**table.place_antenna.model_dump()),
        far_antenna=spec.Antenna(**table.far_antenna.model_dump()),
        **values,
    )


def _place(name: str, table: PlaceTable, start_utc: str) -> spec.Place:
    passed = tracks.waypoints(table, start_utc)
    latitude_deg, longitude_deg, altitude_m = tracks.position(table, passed)
    return spec.Place(
        id=name,
        kind=table.kind,
        latitude_deg=latitude_deg,
        longitude_deg=longitude_deg,
        altitude_m=altitude_m,
        satellite=table.satellite,
        radio=table.radio,
        access=table.access,
        min_elevation_deg=table.min_elevation_deg,
        max_links=table.max_links,
        max_range_km=table.max_range_km,
        waypoints=passed,
    )


def _constellation(scenario: Scenario) -> spec.ConstellationSpec:
    c = scenario.document.constellation
    region = None
    if c.over_region is not None:
        values = c.over_region.model_dump()
        at_s = values.pop("at_share") * scenario.document.run.duration_s
        region = spec.OverRegion(**values, at_s=at_s)
    return spec.ConstellationSpec(
        elements=c.elements_text,
        elements_format=c.elements_format,
        elements_choice=c.elements_choice,
        geostationary=tuple(spec.Geostationary(**satellite.model_dump()) for satellite in c.geostationary),
        shells=tuple(spec.CircularShell(**shell.model_dump()) for shell in c.shells),
        over_region=region,
        isl=c.isl,
        isl_neighbours=c.isl_neighbours,
        isl_max_range_km=c.isl_max_range_km,
        interlayer=c.interlayer,
        isl_rate_mbps=c.isl_rate_mbps,
        isl_processing_ms=c.isl_processing_ms,
        isl_queue_packets=c.isl_queue_packets,
    )


def public(scenario: Scenario) -> dict[str, Any]:
    """What an operator knows, JSON-able: all that the twin is given before a run."""
    run = scenario.document.run
    return {
        "format": 1,
        "name": run.name,
        "start_utc": run.start_utc,
        "duration_s": run.duration_s,
        "window_s": run.window_s,
        "world": msgspec.to_builtins(world_spec(scenario)),
        "nodes": {name: _public_node(node) for name, node in scenario.nodes.items()},
        "twin": scenario.document.twin.model_dump(),
    }


def _public_node(node: Node) -> dict[str, Any]:
    known: dict[str, Any] = {"role": node.role, "place": node.place, "via": getattr(node, "via", "")}
    if isinstance(node, EdgeNode):
        known |= {"service_rate_mhz": node.service_rate_mhz, "cores": node.cores}
    return known
