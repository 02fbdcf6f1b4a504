"""The scenarios that come with the testbed: each loads, and is what it says."""

from __future__ import annotations

import inspect
import tomllib
from typing import get_args

import msgspec
import pytest

from emulator.spec import WorldSpec
from nodes import node, roles
from nodes.inprocess import Network
from testbed.scenario import load, shipped
from testbed.scenario.node_tables import EdgeNode, Node, SensorNode

NAMES = [name for name, _, _ in shipped()]


def test_four_scenarios_are_shipped_and_say_what_they_are() -> None:
    assert [name for name, _, _ in shipped()] == ["iot-direct", "laptop", "multilayer", "starlink"]
    assert all(len(about) > 20 for _, about, _ in shipped())


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_and_the_public_world_decodes_to_the_same_world(name: str) -> None:
    scenario = load(name)
    assert scenario.name == name
    decoded = msgspec.convert(
        msgspec.json.decode(msgspec.json.encode(scenario.public()["world"])), type=WorldSpec
    )
    assert decoded == scenario.world_spec()


@pytest.mark.parametrize("name", NAMES)
def test_it_holds_in_a_run_of_the_shortest_length(name: str) -> None:
    scenario = load(name, duration_s=5)
    assert all(0 <= d.start_s(5) < d.end_s(5) <= 5 for d in scenario.deviations)


def test_the_laptop_run_has_the_cast_of_the_story() -> None:
    scenario = load("laptop")
    roles = [node.role for node in scenario.nodes.values()]
    assert scenario.run.duration_s == 60
    assert {role: roles.count(role) for role in sorted(set(roles))} == {
        "edge": 2, "gateway": 1, "microcontroller": 1, "relay": 1, "sensor": 10,
    }  # fmt: skip
    assert sum(getattr(node, "via", "") == "relay-1" for node in scenario.nodes.values()) == 3
    region = scenario.world_spec().constellation.over_region
    assert region is not None
    assert (region.columns * region.rows, region.altitude_km, region.side_km) == (4, 1000, 2000)
    assert region.at_s == 30
    assert [d.kind for d in scenario.deviations] == ["rain", "slow_server"]


def test_the_laptop_servers_keep_up_even_when_one_is_slow() -> None:
    scenario = load("laptop")
    clients = [n for n in scenario.nodes.values() if isinstance(n, SensorNode) and n.task_interval_s > 0]
    load_megacycles_s = dict.fromkeys(scenario.nodes, 0.0)
    for client in clients:
        for server in client.servers:
            work = sum(client.task_megacycles) / 2
            load_megacycles_s[server] += work / client.task_interval_s / len(client.servers)
    slowed = {d.target: getattr(d, "factor", 1.0) for d in scenario.deviations}
    for name, server in scenario.nodes.items():
        if isinstance(server, EdgeNode):
            nominal = load_megacycles_s[name] / server.service_rate_mhz
            assert 0.1 < nominal <= 0.6
            assert nominal / slowed.get(name, 1.0) < 0.9


def test_the_starlink_run_decides_on_the_grid_of_real_terminals() -> None:
    spec = load("starlink").world_spec()
    assert (spec.access.decision_interval_s, spec.access.decision_offset_s) == (15, 12)
    (shell,) = spec.constellation.shells
    assert (shell.satellites, shell.planes, shell.altitude_km, shell.inclination_deg) == (1584, 72, 550, 53)


def test_the_multilayer_run_has_every_layer_and_places_that_move() -> None:
    scenario = load("multilayer")
    spec = scenario.world_spec()
    assert {place.kind for place in spec.places} == {"ground", "ship", "aerial", "satellite"}
    assert {place.access for place in spec.places} == {"terminal", "gateway", "station", "none"}
    assert {place.id for place in spec.places if place.waypoints} == {"drone", "ship", "airliner"}
    c = spec.constellation
    assert (c.isl, c.interlayer, len(c.shells), len(c.geostationary)) == ("plus-grid", "nearest", 2, 2)
    sharing = [radio for radio in spec.radios if radio.interference]
    assert {radio.up_frequency_ghz for radio in sharing} == {1.995}
    assert {radio.modcods for radio in sharing} == {"nr"}
    assert any(radio.environment == "urban" for radio in spec.radios)
    assert scenario.document.weather.rain == "p1853"


def test_every_value_of_the_laptop_file_is_explained_where_it_first_appears() -> None:
    """The file teaches: the first time a key is used, its line or table carries a comment."""
    (path,) = [path for name, _, path in shipped() if name == "laptop"]
    explained: set[str] = set()
    unexplained = []
    for line in path.read_text().splitlines():
        key, equals, _ = line.partition(" = ")
        if not equals or line.startswith("#"):
            continue
        if "#" in line:
            explained.add(key)
        elif key not in explained:
            unexplained.append(line)
    # Coordinates and their like are plain from the same keys with a comment a few lines above.
    assert [
        line for line in unexplained if not line.startswith(("down_", "bucket", "decision_offset_s", "b ="))
    ] == []


def test_the_shipped_files_need_no_default_they_do_not_state_for_the_run() -> None:
    for _, _, path in shipped():
        table = tomllib.loads(path.read_text())["run"]
        assert {"name", "duration_s", "seed", "start_utc"} <= set(table)


@pytest.mark.parametrize("name", NAMES)
def test_every_node_is_given_a_table_that_its_role_accepts(name: str) -> None:
    scenario = load(name)
    tables = {
        node: (table.role, scenario.node_config(node))
        for node, table in scenario.nodes.items()
        if table.role != "microcontroller"
    }
    # The microcontroller's role is the bridge, which needs a port; it is a gateway here only to be known.
    others = {node: ("gateway", {}) for node in scenario.nodes if node not in tables}
    assert set(Network({**tables, **others}).nodes) == set(scenario.nodes)


def test_the_tables_have_exactly_the_keys_the_roles_read() -> None:
    """A key that no role reads would be a promise nobody keeps."""
    for model in get_args(get_args(Node)[0]):
        (role,) = get_args(model.model_fields["role"].annotation)
        if role in ("guest", "microcontroller"):
            continue
        source = inspect.getsource(inspect.getmodule(roles.load(role)))  # type: ignore[arg-type]
        source += inspect.getsource(node)  # what every role leaves to its node
        own = set(model.model_fields) - {"role", "place", "count", "external"}
        assert {key for key in own if f'"{key}"' not in source} == set(), role
