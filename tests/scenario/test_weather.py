"""The table [weather]: what it may say, that a run's folder needs no other file, and that it stays secret."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from testbed.plant.deviations import Truth
from testbed.scenario import Scenario, ScenarioError, load
from testbed.scenario.checks import rain_targets
from testbed.scenario.weather import rained_on

RECORD = "t_s,rain_rate_mm_h\n0,0\n10,40\n20,40\n30,0\n"
ELSEWHERE = "place,t_s,rain_rate_mm_h\nnowhere,0,5\n"
WET = "gateway-site"
DAY_S = 86_400


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "rain.csv"
    path.write_text(RECORD)
    return path


def with_record(path: Path, *more: str) -> Scenario:
    return load("laptop", ["weather.rain=record", f"weather.record={path}", "deviations=[]", *more])


def amounts(scenario: Scenario, times_s: range = range(0, 60 * DAY_S, 1800)) -> list[float]:
    source = Truth(scenario).adjustments.attenuation_db
    assert callable(source)
    return [source(WET, float(t), 40.0, 19.7) for t in times_s]


@pytest.mark.parametrize(
    "secret", ["weather.rain=p1853", "weather.offset_s=500", f"weather.places=['{WET}']", "record"]
)
def test_the_twin_is_given_the_same_whatever_the_weather_is(secret: str, record: Path) -> None:
    scenario = with_record(record) if secret == "record" else load("laptop", [secret])
    public = json.dumps(scenario.public())
    assert public == json.dumps(load("laptop").public())
    assert "rain_rate" not in public


def test_the_sky_is_clear_unless_told_otherwise() -> None:
    assert load("laptop").document.weather.rain == "clear"
    assert Truth(load("laptop", ["deviations=[]"])).adjustments.attenuation_db is None


def test_synthetic_rain_falls_on_places_whose_radio_feels_it() -> None:
    pytest.importorskip("itur")
    scenario = load("laptop", ["weather.rain=p1853"])
    assert rained_on(scenario, rain_targets(scenario)) == [WET, "gateway-south"]
    found = amounts(scenario)
    assert max(found) > 0.1
    assert min(found) == 0.0


def test_synthetic_rain_follows_from_the_seed() -> None:
    pytest.importorskip("itur")
    sets = ["weather.rain=p1853", "deviations=[]"]
    assert amounts(load("laptop", sets)) == amounts(load("laptop", sets))
    assert amounts(load("laptop", sets)) != amounts(load("laptop", sets, seed=2))


def test_a_run_may_begin_anywhere_in_the_rain() -> None:
    pytest.importorskip("itur")
    sets = ["weather.rain=p1853", "deviations=[]"]
    later = amounts(load("laptop", [*sets, "weather.offset_s=1800"]))
    assert later[:-1] == amounts(load("laptop", sets))[1:]


def test_recorded_rain_falls_as_recorded(record: Path) -> None:
    at = dict(zip((0, 10, 20, 30, 40), amounts(with_record(record), range(0, 41, 10)), strict=True))
    assert at[10] == at[20] > 1.0
    assert (at[0], at[30], at[40]) == (0.0, 0.0, 0.0)


def test_scripted_rain_comes_on_top(record: Path) -> None:
    rain = f"{{kind='rain', target='{WET}', at=0.0, for=1.0, attenuation_db=3.0, ramp_s=0.0}}"
    both = amounts(with_record(record, f"deviations=[{rain}]"), range(15, 16))
    assert both[0] == pytest.approx(3.0 + amounts(with_record(record), range(15, 16))[0])


def test_a_run_folder_needs_no_other_file(record: Path, tmp_path: Path) -> None:
    packed = tmp_path / "rain.csv.gz"
    packed.write_bytes(gzip.compress(RECORD.encode()))
    scenario = with_record(packed)
    resolved = tmp_path / "scenario.json"
    resolved.write_text(json.dumps(scenario.resolved()))
    packed.unlink()
    assert load(resolved).document == scenario.document
    assert amounts(load(resolved), range(40)) == amounts(with_record(record), range(40))


def test_a_record_lies_beside_the_scenario_file(record: Path, tmp_path: Path) -> None:
    document = load("laptop", ["weather.rain=record", f"weather.record={record}"]).resolved()
    document["weather"].update(record="rain.csv", record_text="")
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(document))
    assert load(path).document.weather.record_text == RECORD


def test_a_record_may_name_a_group_of_places(tmp_path: Path) -> None:
    from testbed.plant.sky import rain_of

    path = tmp_path / "apart.csv"
    path.write_text("place,t_s,rain_rate_mm_h\nfield,0,50\nfield,60,50\n")
    radio = "radios.s-terminal.weather=true"
    source = rain_of(with_record(path, radio))
    assert source is not None
    assert min(source(place, 30.0, 40.0, 19.7) for place in ("field-3", "field-7")) > 1.0
    assert source(WET, 30.0, 40.0, 19.7) == 0.0


MISTAKES = [
    ("weather.rain=snow", "weather.rain is \"snow\", but must be one of 'clear', 'p1853'"),
    ("weather.rain=record", 'weather.record is "", but must be the path of a file of rain rates'),
    ("weather.record=none.csv", "weather.record: none.csv: cannot be read (No such file"),
    ("weather.places=['gateway-sit']", 'did you mean "gateway-site"?'),
    ("weather.places=['platform-x']", 'weather.places.0 is "platform-x", but must be a place'),
    ("weather.offset_s=inf", "weather.offset_s is inf, but must be"),
    ("weather.wind=3", "unknown key weather.wind"),
    ("weather=3", "weather is 3, but must be a table"),
    (
        "weather.record_text=soup",
        "weather.record_text is given, but must be such that it can be read; record_",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(change: str, sentence: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load("laptop", [change])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistake_in_a_record_names_file_and_line(record: Path) -> None:
    record.write_text("t_s,rain_rate_mm_h\n0,-3\n")
    with pytest.raises(
        ScenarioError, match=r"weather\.record: .*rain\.csv, line 2: rain_rate_mm_h is \"-3\""
    ):
        with_record(record)


def test_a_record_without_rain_of_that_kind_is_refused(record: Path) -> None:
    with pytest.raises(ScenarioError, match='absent with rain = "clear"'):
        load("laptop", [f"weather.record={record}"])


def test_a_record_of_unknown_places_is_refused(record: Path) -> None:
    record.write_text(ELSEWHERE)
    with pytest.raises(ScenarioError, match="a record of nowhere"):
        with_record(record)
