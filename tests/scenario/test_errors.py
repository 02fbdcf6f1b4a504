"""What is wrong with a scenario is said in one sentence: where, which key, what value, what is allowed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from testbed.errors import BadInput
from testbed.scenario import ScenarioError, load, shipped

CASES = [
    # a single key
    ("run.durations_s=5", 'unknown key run.durations_s; did you mean "duration_s"?'),
    ("runs.seed=5", 'unknown key runs; did you mean "run"?'),
    ("run.duration_s=2", "run.duration_s is 2, but must be at least 5"),
    ("run.duration_s=-60", "run.duration_s is -60, but must be at least 5"),
    ('run.duration_s="60"', 'run.duration_s is "60", but must be a number'),
    ("run.duration_s=nan", "run.duration_s is nan, but must be a finite number"),
    ("run.seed=1.5", "run.seed is 1.5, but must be a whole number"),
    ("run.start_utc=2025-10-01T12:00:00+02:00", "must be a UTC time such as 2025-10-01T12:00:00Z"),
    ("run=3", "run is 3, but must be a table"),
    ("network.latency=fast", "network.latency is \"fast\", but must be one of 'spin', 'balanced'"),
    ("network.control_endpoint=tcp://0.0.0.0:7000", "must be tcp://127.0.0.1:PORT on this host"),
    ("network.guests=1", "network.guests is 1, but must be true or false"),
    ("store.influxdb.url=localhost:8086", "must be a URL that begins with http:// or https://"),
    ("store.influxdb.url=http://127.0.0.1:80860", "must be an address such as http://127.0.0.1:8086"),
    ("store.influxdb.url=http://ada:secret@db:8086", 'is "http://...@db:8086", but must be an address w'),
    ("store.influxdb={url='http://db:8086', bucket='b'}", 'store.influxdb.org is "", but must be the org'),
    ("radios.s-terminal.loss=1.0", "radios.s-terminal.loss is 1.0, but must be less than 1"),
    ("nodes.sensor.role=senser", "nodes.sensor.role is \"senser\", allowed are 'sensor', 'edge'"),
    ("nodes.new={place='board'}", "nodes.new.role is missing, allowed are 'sensor', 'edge'"),
    ("nodes.edge-sat.service_rate=3", 'unknown key nodes.edge-sat.service_rate; did you mean "service_'),
    ("nodes.sensor.task_megacycles=[1]", "must be a list of at least 2"),
    ("places.two words={}", "places.two words is not a name"),
    ("deviations.0.kind=snow", "deviations.0.kind is \"snow\", allowed are 'rain', 'slow_server'"),
    ("deviations.0.at=1.5", "deviations.0.at is 1.5, but must be less than 1"),
    ("deviations.0.size_db=3", "unknown key deviations.0.size_db"),
    ("deviations.0.at=1", "deviations.0.at is 1, but must be less than 1"),
    ("run.start_utc=0001-01-01T00:00:00Z", "from 1957 to 2099"),
    ("run.seed=99999999999999999999", "must be less than 9223372036854775808"),
    ("run.seed=1\nname='x'", "is more than one value"),
    ("run.seed=" + "[" * 5000, "the value is nested too deeply"),
    ("network.control_endpoint=tcp://127.0.0.1:99999", "1 to 65535, or * for any free port"),
    ("radios.s-terminal.up_bandwidth_mhz=1e-300", "must be at least 0.0001"),
    ("nodes.sensor.reading_interval_s=1e-9", "must be 0 (none) or at least 0.001"),
    ("run={name='x', start_utc='2025-06-01T12:00:00Z', duration_s=5, window_s=9}", "at most run.dur"),
    # names and targets that would go wrong without a word
    ("nodes.channel={role='gateway', place='board'}", 'nodes.channel is "channel", but must be another name'),
    ("nodes.twin={role='gateway', place='board'}", 'nodes.twin is "twin", but must be another name'),
    ("places.sat-1={latitude_deg=1, longitude_deg=1}", "must be another id: a satellite has this name"),
    ("nodes.sensor.sink=sensor-2", 'nodes.sensor.sink is "sensor-2", but must be another node than itself'),
    ("nodes.mcu-1={role='microcontroller', place='board', sink='gateway-1', device='/dev/a', count=2}",
     "nodes.mcu-1.count is 2, but must be 1 with device '/dev/a'"),
    ("links.1.rate_mbps=3", "links.1.rate_mbps is 3.0, but must be absent with a radio"),
    ("deviations=[{kind='link_down', target='field-1>field-2', at=0, for=1}]", "a link that can exist"),
    ("deviations=[{kind='link_down', target='valley-1>sat-1', at=0, for=1}]", "a link that can exist"),
    ("deviations=[{kind='link_down', target='on-board>board', at=0, for=1}]", 'are those of "sat-1"'),
    ("deviations=[{kind='link_down', target='field>sat-1', at=0, for=1}]", "one of field-1 to field-7?"),
    # keys that have to fit together
    ("nodes.sensor.place=feild", 'nodes.sensor.place is "feild", but must be a place'),
    ("nodes.sensor.sink=gatewy-1", 'must be a node; did you mean "gateway-1"?'),
    ("nodes.sensor.servers=['gateway-1']", "must be a node of role edge; known are edge-ground, edge-sat"),
    ("nodes.remote.via=sensor-1", "must be a node of role relay"),
    ("nodes.sensor.servers=[]", "nodes.sensor.servers is [], but must be given when task_interval_s"),
    ("nodes.sensor.task_megacycles=[9, 1]", "must be [low, high]"),
    ("nodes.sensor-1={role='gateway', place='board'}", "nodes.sensor makes it already"),
    ("places.field-1={latitude_deg=1, longitude_deg=1}", "places.field makes it already"),
    ("places.field.radio=x-band", 'places.field.radio is "x-band", but must be a radio'),
    ("places.field.radio=", 'must be given with access = "terminal"'),
    ("places.field.latitude_deg=4", "absent beside latitude_deg and longitude_deg"),
    ("places.board.latitude_deg=91", "must be at most 90"),
    ("places.here={}", "places.here.latitude_deg is missing, but must be given, in degrees"),
    ("places.on-board.satellite=sat-9", 'must be a satellite; did you mean "sat-4"?'),
    ("links.0.a=nowhere", 'links.0.a is "nowhere", but must be a place'),
    ("links.0.b=gateway-site", "must be another place than a"),
    ("constellation.isl=plus-grid", 'must be "none" or "nearest": satellites over a region'),
    (
        'constellation.geostationary=[{name="a", longitude_deg=3}, {name="a", longitude_deg=9}]',
        "a name no other one has",
    ),
    ("places.board.max_range_km=5", 'absent unless access = "station"'),
    ("places.board.max_links=5", 'absent unless access = "gateway" or "station"'),
    ('radios.ka-feeder.far_antenna.pattern="aperture"', "diameter_m is 0.0, but must be above 0 with"),
    ('radios.ka-feeder.preset="tr38821-set9"', "but must be a named set"),
    ("radios.ka-feeder.up_frequency_ghz=-3", "must be"),
    ("places.board.altitude_m=-600", "must be"),
    ('radios.ka-feeder.modcods="dvb-s3"', "must be one of"),
    ('access.policy="nearest"', "must be one of"),
    ('radios.ka-feeder.far_antenna.pattern="cone"', "must be one of 'isotropic'"),
    ("deviations.0.target=edge-sat", "must be a place with a radio that feels weather"),
    ("deviations.0.target=board", "must be a place with a radio that feels weather"),
    ("deviations.0.rain_rate_mm_h=20", "must be given, or rain_rate_mm_h, but not both"),
    ("deviations.1.target=sensor-1", "must be a node of role edge"),
    ("deviations.1.for=0.0", "deviations.1.for is 0, but must be more than 0"),
    ("deviations=[{kind='link_down', target='board', at=0, for=1}]", 'must be a directed link, "a>b"'),
    ("deviations=[{kind='link_down', target='board>sat-7', at=0, for=1}]", "between places or satellites"),
    ("deviations=[{kind='stale_orbit', target='board', at=0, for=1, along_track_km=5}]", "be a satellite"),
    ("deviations=[{kind='capacity', target='board', at=0, for=1, factor=0.5}]", 'a directed link, "a>b"'),
    (
        "deviations=[{kind='capacity', target='board>sat-1', at=0, for=1, factor=0.01}]",
        "factor is 0.01, but must be at least 0.05",
    ),
    ("deviations=[{kind='clock_offset', target='sensr-1', at=0, for=1, offset_ms=5}]", '"sensor-1"'),
    ("deviations=[{kind='clock_offset', target='sensor-1', at=0, for=1}]", "offset_ms is 0, but must"),
    ("deviations=[{kind='lost_telemetry', target='sat-1', at=0, for=1, share=0.5}]", "a node or a place"),
    ("deviations=[{kind='lost_telemetry', target='board', at=0, for=1, share=0}]", "share is 0, but must"),
    (
        "deviations=[{kind='flood', target='sat-1>board', at=0, for=1, rate_mbps=5}]",
        "a link away from a place",
    ),
    ("deviations=[{kind='impostor', target='relay-1', at=0, for=1}]", "a node that sends readings"),
    # the option itself
    ("run.seed", "must be PATH=VALUE"),
    ("=3", "must be PATH=VALUE"),
    ("deviations=[", "the value is not TOML"),
    ("deviations.7.at=0", "the list has 2 entries, counted from 0"),
    ("run.seed.x=1", "run.seed is a value, not a table"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), CASES)
def test_a_wrong_change_is_said_in_one_sentence(change: str, expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load("laptop", [change])
    text = str(caught.value)
    assert expected in text
    assert text.split(":")[0].split(" ")[0] in ("--set", "laptop.toml")
    assert "--set" in text
    assert "\n" not in text


def test_the_file_is_named_when_the_file_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(_laptop().replace("epoch_s = 0.1", "epoch_s = 0.0"))
    with pytest.raises(
        ScenarioError, match=r"^mine\.toml: run\.epoch_s is 0\.0, but must be at least 0\.01$"
    ):
        load(path)


def test_an_option_is_named_when_the_option_is_wrong() -> None:
    with pytest.raises(ScenarioError, match=r"^--duration: run\.duration_s is 2, but must be at least 5$"):
        load("laptop", duration_s=2)
    with pytest.raises(ScenarioError, match=r"^--seed: run\.seed is -1, but must be at least 0$"):
        load("laptop", seed=-1)


def test_further_mistakes_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(_laptop().replace("seed = 1  ", "seed = -1  ").replace("epoch_s = 0.1", "epoch_s = 99"))
    with pytest.raises(ScenarioError, match=r"run\.seed is -1.* \(and 1 more\)$"):
        load(path)


def test_a_missing_table_is_named_with_what_it_is_for() -> None:
    with pytest.raises(ScenarioError, match=r"places\.x\.spread\.count is missing \(how many places\)"):
        load("laptop", ["places.x={spread={latitude_deg=[1, 2], longitude_deg=[1, 2]}}"])


@pytest.mark.parametrize("given", ["laptopp", "/no/such/file.toml"])
def test_a_scenario_that_is_not_there_is_named(given: str) -> None:
    with pytest.raises(ScenarioError, match="no such file, and no shipped scenario has that name"):
        load(given)


def test_a_file_that_is_not_toml_is_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[run]\nname =\n")
    with pytest.raises(ScenarioError, match=r"mine\.toml: is not TOML: .*line 2"):
        load(path)


def test_it_is_bad_input_to_the_command_line() -> None:
    assert issubclass(ScenarioError, BadInput)
    assert ScenarioError("x").exit_status == 2


# --- element files -----------------------------------------------------------------------------------

TLE = """ISS (ZARYA)
1 25544U 98067A   08264.51782528 -.00002182  00000-0 -11606-4 0  2927
2 25544  51.6416 247.4627 0006703 130.5360 325.0288 15.72125391563537
"""


def test_an_element_file_takes_the_place_of_the_shell(tmp_path: Path) -> None:
    path = tmp_path / "iss.tle.gz"
    path.write_bytes(gzip.compress(TLE.encode()))
    spec = load("starlink", [f"constellation.elements={path}"]).world_spec().constellation
    assert (spec.elements, spec.elements_format, spec.shells) == (TLE, "tle", ())


def test_a_scenario_with_an_element_file_loads_again_without_the_file(tmp_path: Path) -> None:
    path = tmp_path / "iss.tle"
    path.write_text(TLE)
    scenario = load("starlink", [f"constellation.elements={path}"])
    path.unlink()
    (tmp_path / "scenario.json").write_text(json.dumps(scenario.resolved()))
    assert load(tmp_path).document == scenario.document


def test_an_element_file_in_a_scenario_is_found_beside_it(tmp_path: Path) -> None:
    (tmp_path / "iss.tle").write_text(TLE)
    text = _shipped("starlink").replace("[[constellation.shells]]", "[unused]").split("[unused]")
    body = 'elements = "iss.tle"\n' + text[1].split("# --- radios", 1)[1].split("\n", 1)[1]
    (tmp_path / "mine.toml").write_text(text[0] + body)
    assert load(tmp_path / "mine.toml").world_spec().constellation.elements == TLE


def test_a_missing_element_file_is_named() -> None:
    with pytest.raises(ScenarioError, match=r"^--set: constellation\.elements: no file /no/such\.tle$"):
        load("starlink", ["constellation.elements=/no/such.tle"])


def test_a_malformed_line_of_an_element_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.tle"
    path.write_text(TLE.replace("0  2927", "0  2928"))
    with pytest.raises(ScenarioError, match=r"constellation\.elements: .*line 2: checksum"):
        load("starlink", [f"constellation.elements={path}"])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty; expected TLE or OMM"),
        (gzip.compress(TLE.encode() * 9)[:60], "cannot be read (Compressed file ended before"),
        (b"\x1f\x8b\x08\x00" + b"\xff" * 80, "cannot be read (Error -3 while decompressing"),
        (TLE.encode()[:90], "line 3: line 2 has"),
        (b"[" * 100_000, "not JSON of OMM (maximum recursion depth exceeded"),
        (b"[1" + b"0" * 5000 + b"]", "not JSON of OMM (exceeds the limit"),
        (b'[{"MEAN_MOTION": 1' + b"0" * 400 + b"}]", "record 1: MEAN_MOTION is 1000000"),
        (b"MEAN_MOTION,A\n" + b"x" * 200_000, "not CSV (field larger than field limit"),
        (TLE.encode().replace(b"ISS (ZARYA)", b"a>b"), "names of satellites without >"),
    ],
)
def test_a_damaged_element_file_is_named_with_what_is_wrong(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    path = tmp_path / "elements"
    path.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        load("starlink", [f"constellation.elements={path}"])
    assert expected in str(caught.value)
    assert str(path) in str(caught.value) or ">" in expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("deep.toml", "x = " + "[" * 5000, "is nested too deeply to be a scenario"),
        ("deep.json", '{"run":' + "[" * 200_000, "is nested too deeply to be a scenario"),
        ("long.json", '{"run": ' + "1" * 5000 + "}", "is not JSON: Exceeds the limit"),
        ("empty.toml", "", "run is missing"),
        ("cut.toml", "[run", "is not TOML"),
    ],
)
def test_a_damaged_scenario_file_is_named(tmp_path: Path, name: str, text: str, expected: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path / name)
    assert expected in str(caught.value)
    assert name in str(caught.value)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xef\xbb\xbf" + _shipped("laptop").encode())
    assert load(tmp_path / "mine.toml").name == "laptop"


def test_a_folder_and_an_impossible_name_are_no_scenarios(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"is a folder without a scenario\.json"):
        load(tmp_path)
    with pytest.raises(ScenarioError, match="no such file"):
        load("a" * 5000)


def test_two_endpoints_with_one_port_are_refused() -> None:
    port = "endpoint=tcp://127.0.0.1:5555"
    with pytest.raises(ScenarioError, match=r"another port than network\.control"):
        load("laptop", [f"network.control_{port}", f"network.data_{port}"])


def _shipped(name: str) -> str:
    (path,) = [path for known, _, path in shipped() if known == name]
    return path.read_text()


def _laptop() -> str:
    return _shipped("laptop")


@pytest.mark.parametrize(
    "link", ["ship>quay", "platform>wind-farm", "observer-01-01>edrs-a", "town>leo-01-01"]
)
def test_links_to_stations_and_between_layers_can_deviate(link: str) -> None:
    change = f"deviations=[{{kind='link_down', target='{link}', at=0, for=1}}]"
    assert load("multilayer", [change]).deviations[0].target == link


@pytest.mark.parametrize("link", ["town>berth-1", "quay>leo-01-01", "gateway-site>platform"])
def test_links_that_nobody_can_choose_cannot_deviate(link: str) -> None:
    with pytest.raises(ScenarioError, match="a link that can exist"):
        load("multilayer", [f"deviations=[{{kind='link_down', target='{link}', at=0, for=1}}]"])
