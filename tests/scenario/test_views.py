"""Who is given which part of a scenario, and how tables expand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.scenario import json_schema, load
from testbed.scenario.expand import scatter
from testbed.scenario.world_tables import Spread

SECRETS = [
    "deviations=[]",
    "deviations.0.attenuation_db=12",
    "deviations.1.factor=0.2",
    "run.seed=99",
    "plant.processing_sigma=0.5",
    "plant.implementation_loss_sigma_db=2.0",
    "plant.snr_report_sigma_db=1.0",
    "plant.range_report_sigma_us=5.0",
    "plant.range_bias_sigma_us=7.0",
]


def _bytes(sets: list[str]) -> bytes:
    return json.dumps(load("laptop", sets).public(), sort_keys=False).encode()


@pytest.mark.parametrize("secret", SECRETS)
def test_the_twin_is_given_the_same_bytes_whatever_the_secrets_are(secret: str) -> None:
    assert _bytes([secret]) == _bytes([])


def test_the_twin_is_given_what_is_public() -> None:
    assert _bytes(["nodes.edge-sat.service_rate_mhz=2000"]) != _bytes([])
    public = load("laptop").public()
    assert public["nodes"]["edge-sat"] == {
        "role": "edge", "place": "on-board", "via": "", "service_rate_mhz": 3000.0, "cores": 1,
        "queue_tasks": 64, "hardware": False,
    }  # fmt: skip
    remote = public["nodes"]["remote-2"]
    assert (remote["role"], remote["place"], remote["via"]) == ("sensor", "valley-2", "relay-1")
    assert (remote["reading_interval_s"], remote["servers"]) == (0.2, ["edge-ground", "edge-sat"])
    assert public["groups"]["remote"] == ["remote-1", "remote-2", "remote-3"]


def test_the_twin_is_told_which_nodes_are_hardware() -> None:
    changed = load("laptop", ["nodes.mcu-1.device=/dev/ttyACM0", "nodes.gateway-1.external=true"]).public()
    assert [name for name, node in changed["nodes"].items() if node["hardware"]] == ["gateway-1", "mcu-1"]
    assert "/dev" not in json.dumps(changed)


def test_nothing_that_names_a_secret_is_in_what_the_twin_is_given() -> None:
    text = _bytes([]).decode()
    assert not [word for word in ("seed", "deviation", "slow_server", "sigma", "plant") if word in text]


@pytest.mark.parametrize("name", ["laptop", "starlink", "iot-direct"])
def test_a_resolved_scenario_loads_again_to_the_same(name: str, tmp_path: Path) -> None:
    scenario = load(name, ["run.seed=7"], duration_s=33)
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps(scenario.resolved()))
    again = load(path)
    assert again.document == scenario.document
    assert again.world_spec() == scenario.world_spec()


def test_nodes_are_numbered_and_stand_at_the_points_of_a_spread() -> None:
    scenario = load("laptop")
    assert [n for n in scenario.nodes if n.startswith("sensor")] == [f"sensor-{i}" for i in range(1, 8)]
    assert [scenario.nodes[f"sensor-{i}"].place for i in (1, 7)] == ["field-1", "field-7"]


def test_more_nodes_than_points_take_them_in_turn() -> None:
    scenario = load("laptop", ["nodes.sensor.count=9"])
    assert scenario.nodes["sensor-8"].place == "field-1"


def test_a_link_to_a_spread_is_one_link_for_each_point() -> None:
    pairs = [(link.a, link.b) for link in load("laptop").world_spec().links if link.radio]
    assert pairs == [(f"valley-{i}", "platform") for i in (1, 2, 3)]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300), st.integers(0, 1000))
def test_a_scattered_point_lies_in_the_box_and_does_not_depend_on_how_many_there_are(
    count: int, seed: int
) -> None:
    few, more = (
        scatter(Spread(count=n, latitude_deg=[-10, 20], longitude_deg=[5, 6], seed=seed))
        for n in (count, count + 5)
    )
    assert more[:count] == few
    assert all(-10 <= latitude <= 20 and 5 <= longitude <= 6 for latitude, longitude in more)
    assert len(set(more)) == count + 5


def test_a_node_is_given_its_own_table_and_a_seed_of_its_own() -> None:
    scenario = load("laptop")
    config = scenario.node_config("remote-2")
    assert (config["sink"], config["via"], config["place"]) == ("gateway-1", "relay-1", "valley-2")
    assert config["seed"] != scenario.node_config("remote-1")["seed"]
    assert config == load("laptop").node_config("remote-2")
    assert config["seed"] != load("laptop", seed=2).node_config("remote-2")["seed"]


def test_the_processor_budget_is_shared_by_the_servers() -> None:
    within = load("laptop")
    assert within.node_config("edge-sat")["cpu_share"] == pytest.approx(0.1)
    tight = load("laptop", ["compute.cpu_budget_cores=0.1"])
    assert tight.node_config("edge-sat")["cpu_share"] == pytest.approx(0.05)


def test_deviations_keep_their_share_of_any_duration() -> None:
    rain = load("laptop", duration_s=20).deviations[0]
    assert rain.start_s(20) == pytest.approx(7.0)
    assert rain.end_s(20) == pytest.approx(13.0)


def test_a_change_is_toml_and_a_bare_word_is_text() -> None:
    scenario = load("laptop", ["network.latency=spin", "nodes.sensor.count=2", "deviations.0.ramp_s=0"])
    assert scenario.network.latency == "spin"
    assert scenario.document.nodes["sensor"].count == 2
    assert scenario.deviations[0].ramp_s == 0


def test_every_key_of_the_schema_is_described() -> None:
    schema = json_schema()
    tables = [schema, *schema["$defs"].values()]
    silent = [
        f"{table.get('title')}.{key}"
        for table in tables
        for key, value in table["properties"].items()
        if not value.get("description")
    ]
    assert silent == []
