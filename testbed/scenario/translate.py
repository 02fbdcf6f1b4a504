"""From a scenario's tables to what the channel is built from, and to what the twin may know.

`world_spec` is the published world. `public` wraps it with the nominal numbers an operator has; it is
built from named keys only, so that deviations, seed and plant cannot slip in.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from emulator import spec
from testbed.scenario import link_traces, measured_models, tracks
from testbed.scenario.link_models import ModelTable
from testbed.scenario.node_tables import MicrocontrollerNode, Node
from testbed.scenario.radio_tables import Radio
from testbed.scenario.world_tables import PlaceTable

if TYPE_CHECKING:
    from emulator.links.model import LinkModel
    from testbed.scenario.scenario import Scenario


def world_spec(scenario: Scenario) -> spec.WorldSpec:
    """The world the channel is built from: places, constellation, radios, links, access, link models."""
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
        models=tuple(
            link_model(name, table, document.run.start_utc) for name, table in document.models.items()
        ),
    )


def link_model(name: str, table: ModelTable, start_utc: str) -> LinkModel:
    """The link model of a table in a run that starts then.

    Raises ValueError, one sentence, when its content cannot be read.
    """
    from emulator.links.model import Faults, LinkModel, Traces
    from emulator.links.tables import SETTINGS, settings_of

    recorded = {
        key: link_traces.series(key, trace)
        for key in link_traces.QUANTITIES
        if (trace := getattr(table, key)) is not None
    }
    model = LinkModel(
        name=name,
        **{field: settings_of(field, getattr(table, field).model_dump()) for field in SETTINGS},
        faults=Faults(table.duplicate, table.corrupt),
        traces=Traces(
            rate=recorded.get("rate_trace"),
            delay=recorded.get("delay_trace"),
            loss=recorded.get("loss_trace"),
            deliveries=recorded.get("mahimahi"),
        ),
        keep_order=table.keep_order,
        reroute=table.on_lost_link == "reroute",
        overhead_bytes=table.overhead_bytes,
        overhead_ms=table.overhead_ms,
        mtu_bytes=table.mtu_bytes,
    )
    if table.measured is not None:
        start_s = datetime.fromisoformat(start_utc).timestamp()
        model = replace(model, **measured_models.played(table.measured, start_s))
    return model


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
        isl_model=c.isl_model,
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
        "epoch_s": run.epoch_s,
        "world": _public_world(world_spec(scenario)),
        "nodes": {name: _public_node(node) for name, node in scenario.nodes.items()},
        "groups": {
            name: list(ids)
            for name, ids in scenario.node_names.items()
            if scenario.document.nodes[name].count
        },
        "twin": scenario.document.twin.model_dump(),
    }


def _public_world(world: spec.WorldSpec) -> dict[str, Any]:
    """The world without what only the plant knows of link models: loss, jitter, faults and recordings.

    What is left of a model may be the plain one. Then no name tells that there was more.
    """
    if not world.models:
        return dict(msgspec.to_builtins(world))
    from emulator.links.model import LinkModel
    from emulator.links.tables import table_of

    models = {
        model.name: LinkModel(
            name=model.name,
            queue=model.queue,
            access=model.access,
            reroute=model.reroute,
            overhead_bytes=model.overhead_bytes,
            overhead_ms=model.overhead_ms,
            mtu_bytes=model.mtu_bytes,
        )
        for model in world.models
    }
    known = {name: model for name, model in models.items() if model != LinkModel(name=name)}

    def public_name(name: str) -> str:
        return name if name in known else ""

    published = replace(
        world,
        constellation=replace(world.constellation, isl_model=public_name(world.constellation.isl_model)),
        radios=tuple(
            replace(r, up_model=public_name(r.up_model), down_model=public_name(r.down_model))
            for r in world.radios
        ),
        links=tuple(
            replace(link, model=public_name(link.model), back_model=public_name(link.back_model))
            for link in world.links
        ),
        models=(),
    )
    return {**msgspec.to_builtins(published), "models": [table_of(model) for model in known.values()]}


def _public_node(node: Node) -> dict[str, Any]:
    """What an operator configured of a node; what it does to this machine's processors is not of it.

    `hardware`: whether it is more than a process that the run starts.
    """
    known: dict[str, Any] = node.model_dump(exclude=_OF_THE_MACHINE)
    foreign = isinstance(node, MicrocontrollerNode) and node.device != "model"
    # A guest's program is the user's own, and takes no orders unless it wants to.
    hardware = foreign or (node.external and node.role != "guest")
    return {**known, "via": getattr(node, "via", ""), "hardware": hardware}


#: keys that place a node on this machine
_OF_THE_MACHINE = {"count", "external", "cpu_share", "device"}
