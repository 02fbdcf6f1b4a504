"""Recorded rain rates: reading, the rate at a time, its attenuation, and what is wrong with a file."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from emulator.errors import WorldError
from emulator.radio.rain import slant_attenuation_db
from emulator.radio.rain_record import RecordedRain, parse, read_text
from emulator.spec import Place

SITE = Place("site", "ground", 48.0, 11.0, 500.0)
OTHER = Place("other", "ground", 49.0, 11.0, 100.0)
SHOWER = "t_s,rain_rate_mm_h\n10,0\n20,30\n40,10\n"
CLOCKED = "utc,rain_rate_mm_h\n2025-10-01T12:00:00Z,0\n2025-10-01T12:01:00Z,60\n"
APART = "place,t_s,rain_rate_mm_h\nsite,0,10\nother,0,20\nsite,60,10\nother,60,20\n"
HEIGHTS = {"site": 3.0, "other": 3.0}
START = "2025-10-01T12:00:00Z"


def rain(text: str, **more: float) -> RecordedRain:
    return RecordedRain([SITE, OTHER], parse(text), START, rain_height_km=HEIGHTS, **more)


@pytest.mark.parametrize(
    ("t_s", "rate"),
    [(9.9, 0.0), (10.0, 0.0), (15.0, 15.0), (20.0, 30.0), (30.0, 20.0), (40.0, 10.0), (41.0, 0.0)],
)
def test_a_rate_is_linear_between_rows_and_nothing_outside(t_s: float, rate: float) -> None:
    assert rain(SHOWER).rate_mm_h("site", t_s) == pytest.approx(rate)


def test_times_of_day_count_from_the_start_of_the_run() -> None:
    assert rain(CLOCKED).rate_mm_h("site", 30.0) == pytest.approx(30.0)


def test_a_run_may_begin_within_the_record() -> None:
    assert rain(SHOWER, offset_s=15.0).rate_mm_h("site", 5.0) == pytest.approx(30.0)


def test_a_record_may_tell_places_apart() -> None:
    found = rain(APART)
    assert (found.rate_mm_h("site", 5.0), found.rate_mm_h("other", 5.0)) == (10.0, 20.0)
    assert parse(APART).places == ("site", "other")


def test_a_place_without_rain_has_none() -> None:
    assert rain(SHOWER).rate_mm_h("elsewhere", 20.0) == 0.0
    assert rain(SHOWER).attenuation_db("elsewhere", 20.0, 30.0, 19.7) == 0.0


def test_the_rate_attenuates_as_on_a_slant_path() -> None:
    expected = slant_attenuation_db(30.0, 19.7, 35.0, 48.0, 3.0, 0.5)
    assert expected > 1.0
    assert rain(SHOWER).attenuation_db("site", 20.0, 35.0, 19.7) == pytest.approx(expected)


def test_below_five_degrees_it_attenuates_as_at_five() -> None:
    at_five = rain(SHOWER).attenuation_db("site", 20.0, 5.0, 19.7)
    for elevation in (4.9, 1.0, 0.0, -3.0):
        assert rain(SHOWER).attenuation_db("site", 20.0, elevation, 19.7) == at_five > 0.0


def test_a_packed_file_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "rain.csv.gz"
    path.write_bytes(gzip.compress(SHOWER.encode()))
    assert read_text(path) == SHOWER


MISTAKES = [
    ("", 'line 1: the header is "", but must have rain_rate_mm_h and one of utc and t_s'),
    ("t_s,rain\n0,1\n", 'the header is "t_s,rain", but must have rain_rate_mm_h'),
    ("t_s,utc,rain_rate_mm_h\n", "and one of utc and t_s"),
    ("t_s,rain_rate_mm_h,wind\n0,1,2\n", "and besides them only place"),
    ("t_s,rain_rate_mm_h\n", "has no rows below its header, but must have one at least"),
    ("t_s,rain_rate_mm_h\n0,-3\n", 'line 2: rain_rate_mm_h is "-3", but must be a number from 0 to 2000'),
    ("t_s,rain_rate_mm_h\n0,1\n1,heavy\n", 'line 3: rain_rate_mm_h is "heavy", but must be a number'),
    ("t_s,rain_rate_mm_h\n0,nan\n", 'line 2: rain_rate_mm_h is "nan", but must be a number'),
    ("t_s,rain_rate_mm_h\nnoon,1\n", 'line 2: t_s is "noon", but must be a number'),
    ("t_s,rain_rate_mm_h\n0,1\n0,2\n", "line 3: t_s is 0, but must be later than in the row before"),
    ("t_s,rain_rate_mm_h\n0,1\n\n5\n", "line 4: has 1 fields, but must have 2 as the header has"),
    ("utc,rain_rate_mm_h\n2025-10-01 12:00,1\n", 'line 2: utc is "2025-10-01 12:00", but must be a UTC time'),
]


@pytest.mark.parametrize(("text", "sentence"), MISTAKES)
def test_a_mistake_is_named_with_file_line_value_and_what_is_allowed(text: str, sentence: str) -> None:
    with pytest.raises(WorldError) as caught:
        parse(text, "rain.csv")
    assert str(caught.value).startswith("rain.csv")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\x1f\x8bnot gzip", b"\xff\xfe\x00"])
def test_a_file_that_is_no_text_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rain.csv"
    path.write_bytes(content)
    with pytest.raises(WorldError, match=r"rain\.csv: (is not text|cannot be read)"):
        read_text(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match=r"none\.csv: cannot be read \(No such file"):
        read_text(tmp_path / "none.csv")
