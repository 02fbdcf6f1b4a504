"""What a plant in virtual time records: what a live run would, with the scenario's deviations in it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import pytest

from emulator.errors import WorldError
from emulator.orders import Orders
from nodes.node import CommandError
from nodes.wire import Record
from testbed.scenario import Scenario
from testbed.virtual.plant import START_NS, VirtualPlant

Make = Callable[..., Scenario]
Say = Callable[[VirtualPlant], None]

#: half of the spread of four stamps, both ways as asymmetric as they can be, ms
CLOCK_BOUND_MS = 0.12
#: of a Poisson flow of thousands of packets
LOAD_TOLERANCE = 0.1
#: what is on the line when the counting ends
BUSY_TOLERANCE = 0.03
#: a line's delay: serialisation of the longest packet, and jitter
DELAY_TOLERANCE_MS = 0.3


def _windows(scenario: Scenario, at: dict[int, Say] | None = None) -> list[list[Record]]:
    plant = VirtualPlant(scenario)
    records = []
    for number in range(round(scenario.run.duration_s / scenario.run.window_s)):
        if at and number in at:
            at[number](plant)
        records.append(plant.window(number))
    return records


def _of(windows: list[list[Record]], measurement: str, **tags: str) -> list[Record]:
    return [
        record
        for window in windows
        for record in window
        if record.measurement == measurement and tags.items() <= record.tags.items()
    ]


def _total(records: list[Record], field: str) -> float:
    return sum(float(record.fields[field]) for record in records)


def _run_s(record: Record) -> float:
    return (record.t_ns - START_NS) / 1e9


@pytest.fixture(scope="module")
def quiet(make: Make) -> list[list[Record]]:
    return _windows(make())


def test_the_same_seed_gives_the_same_records_and_another_one_others(make: Make) -> None:
    first, again, other = (_windows(make(duration_s=5.0, seed=seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_packets_of_every_link_are_accounted_for(quiet: list[list[Record]]) -> None:
    links = {record.tags["link"] for record in _of(quiet, "link")}
    assert len(links) >= 8
    for link in links:
        records = _of(quiet, "link", link=link)
        ended = sum(
            _total(records, name) for name in ("packets_out", "lost", "dropped_queue", "dropped_down")
        )
        assert ended == _total(records, "packets_in")


def test_every_node_reports_once_a_second_and_compares_its_clock(quiet: list[list[Record]]) -> None:
    for node in ("sensor-1", "gateway-1", "edge-1"):
        for measurement in ("node", "clock"):
            times = [_run_s(record) for record in _of(quiet, measurement, node=node)]
            assert times == pytest.approx([float(k + 1) for k in range(12)])


def test_a_flow_is_reported_by_its_receiver_with_delay_and_value(quiet: list[list[Record]]) -> None:
    reports = _of(quiet, "flow", node="gateway-1", source="sensor-1", flow="data")
    assert len(reports) == 12
    # a reading each 0.04 s
    assert _total(reports[1:], "packets") == pytest.approx(25 * 11, abs=1)
    assert {record.fields["repeated"] for record in reports} == {0}
    for record in reports[1:]:
        # up and down 1000 to 3000 km, and the processing of two radios
        assert 8.0 < float(record.fields["delay_mean_ms"]) < 35.0
        assert float(record.fields["value_sd"]) < 0.5


def test_tasks_take_their_cycles_at_the_servers_rate(quiet: list[list[Record]]) -> None:
    for server, rate_hz in (("edge-1", 3e9), ("edge-2", 2e9)):
        tasks = _of(quiet, "task", node=server)
        assert len(tasks) >= 12
        for task in tasks:
            assert 100e6 <= float(task.fields["cycles"]) <= 400e6
            assert float(task.fields["service_s"]) == pytest.approx(float(task.fields["cycles"]) / rate_hz)
    latencies = [float(r.fields["latency_s"]) for r in _of(quiet, "offload", node="sensor-1")]
    assert len(latencies) >= 10
    assert min(latencies) > 100e6 / 3e9 + 0.02


def test_a_slow_server_is_slow_from_its_moment_on(make: Make) -> None:
    windows = _windows(make({"kind": "slow_server", "target": "edge-1", "factor": 0.5}))
    for task in _of(windows, "task", node="edge-1"):
        began_s = _run_s(task) - float(task.fields["service_s"])
        nominal_s = float(task.fields["cycles"]) / 3e9
        if began_s > 6.0:
            assert float(task.fields["service_s"]) == pytest.approx(2 * nominal_s)
        elif _run_s(task) < 6.0:
            assert float(task.fields["service_s"]) == pytest.approx(nominal_s)


def test_deviations_are_noted_at_their_moments(make: Make) -> None:
    rain = {"kind": "rain", "target": "gateway-site", "attenuation_db": 3.0, "at": 0.25, "for": 0.5}
    events = _of(_windows(make(rain)), "plant_event")
    assert [(_run_s(e), e.fields["what"]) for e in events] == [(3.0, "start"), (9.0, "end")]


def _offset_ms(record: Record) -> float:
    t1, t2, t3, t4 = (int(record.fields[name]) for name in ("t1_ns", "t2_ns", "t3_ns", "t4_ns"))
    return ((t1 - t2) + (t4 - t3)) / 2e6


def test_a_clock_that_jumped_shows_in_its_stamps_and_in_the_delays_of_its_flows(
    make: Make, quiet: list[list[Record]]
) -> None:
    deviation = {"kind": "clock_offset", "target": "sensor-2", "offset_ms": 7.0, "skew_ppm": 100.0}
    windows = _windows(make(deviation))
    for record in _of(windows, "clock", node="sensor-2"):
        t_s = _run_s(record)
        expected = 7.0 + 0.1 * (t_s - 6.0) if t_s > 6.0 else 0.0
        assert _offset_ms(record) == pytest.approx(expected, abs=CLOCK_BOUND_MS)
    mine = {"node": "gateway-1", "source": "sensor-2", "flow": "data"}
    right, wrong = (_of(these, "flow", **mine)[-1].fields["delay_mean_ms"] for these in (quiet, windows))
    # stamps ahead make packets look younger; 0.55 ms more of it in the middle of the last second
    assert float(wrong) - float(right) == pytest.approx(-7.55, abs=0.01)


def test_capacity_loss_and_delay_reach_the_packets(make: Make, quiet: list[list[Record]]) -> None:
    line = "gateway-site>data-centre"
    deviations = (
        {"kind": "capacity", "target": line, "factor": 0.5, "at": 0.0},
        {"kind": "extra_delay", "target": line, "delay_ms": 20.0, "at": 0.0},
        {"kind": "extra_loss", "target": line, "loss": 0.3, "at": 0.0},
    )
    changed = _of(_windows(make(*deviations)), "link", link=line)
    normal = _of(quiet, "link", link=line)
    busy_s, bytes_in = (_total(changed, name) for name in ("busy_s", "bytes_in"))
    normally = _total(normal, "busy_s") / _total(normal, "bytes_in")
    assert busy_s / bytes_in == pytest.approx(2 * normally, rel=BUSY_TOLERANCE)
    delay_ms = [statistics.median(s for r in these for s in r.samples) for these in (normal, changed)]
    # and 0.5 ms more for 10,000 bits at half of 20 Mbit/s
    assert delay_ms[1] - delay_ms[0] == pytest.approx(20.5, abs=DELAY_TOLERANCE_MS)
    assert 0.15 < _total(changed, "lost") / _total(changed, "packets_in") < 0.45
    assert _total(normal, "lost") == 0


def test_a_stale_satellite_is_elsewhere_than_published(make: Make) -> None:
    ranges = []
    for km in (0.1, 30.0):
        deviation = {"kind": "stale_orbit", "target": "sat-1", "along_track_km": km}
        windows = _windows(make(deviation, duration_s=5.0))
        ranges.append({r.tags["link"]: float(r.fields["range_us"]) for r in _of(windows[:1], "link")
                       if "range_us" in r.fields})  # fmt: skip
    moved = {link for link in ranges[0] if abs(ranges[1][link] - ranges[0][link]) > 5.0}
    assert moved
    assert all("sat-1" in link.split(">") for link in moved)


def test_a_flood_loads_its_link_and_is_nobodys_node(make: Make, quiet: list[list[Record]]) -> None:
    deviation = {"kind": "flood", "target": "gateway-site>data-centre", "rate_mbps": 4.0, "at": 0.0}
    windows = _windows(make(deviation))
    normal, flooded = (
        _total(_of(these, "link", link="gateway-site>data-centre"), "bytes_in") for these in (quiet, windows)
    )
    assert 8 * (flooded - normal) / 12.0 == pytest.approx(4e6, rel=LOAD_TOLERANCE)
    sources = {record.tags["source"] for record in _of(windows, "flow", node="edge-1")}
    assert [source for source in sources if source.startswith("port-")]


def test_an_impostor_repeats_numbers_with_other_values(make: Make) -> None:
    windows = _windows(make({"kind": "impostor", "target": "sensor-3"}))
    mine = _of(windows, "flow", node="gateway-1", source="sensor-3", flow="data")
    before = [record for record in mine if _run_s(record) <= 6.0]
    after = [record for record in mine if _run_s(record) > 7.0]
    assert _total(before, "repeated") == 0
    assert min(int(record.fields["repeated"]) for record in after) >= 20
    assert min(float(record.fields["value_sd"]) for record in after) > 2.0
    assert not [r for r in _of(windows, "flow", node="gateway-1") if r.tags["source"].startswith("port-")]


def test_nodes_obey_pace_and_offload(make: Make) -> None:
    def ask(plant: VirtualPlant) -> None:
        plant.command("sensor-1", "pace", {"reading_interval_s": 0.2})
        plant.command("sensor-1", "offload", {"servers": {"edge-2": 1}})
        plant.command("sensor-2", "pace", {"task_interval_s": 0})

    windows = _windows(make(), {8: ask})
    readings = _of(windows, "flow", node="gateway-1", source="sensor-1", flow="data")
    assert readings[2].fields["packets"] == pytest.approx(25, abs=1)
    assert readings[8].fields["packets"] == pytest.approx(5, abs=1)
    late = [task for task in _of(windows, "task") if _run_s(task) > 6.0]
    assert {task.tags["node"] for task in late if task.tags["client"] == "sensor-1"} == {"edge-2"}
    assert sum(task.tags["client"] == "sensor-1" for task in late) >= 4
    assert not [task for task in late if task.tags["client"] == "sensor-2"]


def test_traffic_goes_in_the_class_that_is_ordered(make: Make) -> None:
    plant = VirtualPlant(make())
    assert plant.command("sensor-1", "priority", {"traffic_class": 3}) == "traffic class 3"


@pytest.mark.parametrize(
    ("node", "name", "arguments", "sentence"),
    [
        ("sensor-9", "pace", {}, "there is no node 'sensor-9'"),
        ("edge-1", "set_speed", {"factor": 0}, "must be a number from 0.001 to 1000"),
        ("edge-1", "pace", {"reading_interval_s": 1}, "edge-1 knows no command 'pace'"),
        ("sensor-1", "offload", {"servers": {"edge-9": 1}}, "server 'edge-9' is not one of"),
        ("sensor-1", "priority", {"traffic_class": 4}, "must be a whole number from 0 to 3"),
    ],
)
def test_commands_that_cannot_be_obeyed_are_refused_with_a_sentence(
    node: str, name: str, arguments: dict[str, Any], sentence: str, make: Make
) -> None:
    with pytest.raises(CommandError, match=sentence):
        VirtualPlant(make()).command(node, name, arguments)


def test_the_network_obeys_orders_and_refuses_those_it_cannot(make: Make) -> None:
    plant = VirtualPlant(make())
    served = {r.tags["link"] for r in plant.window(0) if r.tags.get("from") == "field-1"}
    (before,) = {link.split(">")[1] for link in served}
    plant.order(Orders(barred={("field-1", before)}))
    records = [record for number in range(1, 6) for record in plant.window(number)]
    left = [r for r in records if r.measurement == "handover" and r.tags["terminal"] == "field-1"]
    assert [r.tags["from"] for r in left] == [before]
    with pytest.raises(WorldError, match="sat-9"):
        plant.order(Orders(barred={("field-1", "sat-9")}))


def test_windows_come_in_order(make: Make) -> None:
    plant = VirtualPlant(make())
    plant.window(0)
    with pytest.raises(ValueError, match="window 2 asked, allowed: 1"):
        plant.window(2)
