"""Element files: what is read, and what is said about lines that are wrong."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pytest
from sgp4.api import WGS72, Satrec
from sgp4.exporter import export_omm, export_tle

from emulator.errors import ElementsError
from emulator.orbits.elements import (
    detect_format,
    elements_to_text,
    load_elements,
    parse_elements,
    usable,
)
from emulator.orbits.tle import tle_lines
from tests.emulator.worlds import shared, starlink_text, verification_text

one_millimetre_km = 1e-6

NAME = "STARLINK-1008"
LINE_1 = "1 44714U 19074B   25274.25001157  .00024085  00000+0  14203-2 0  9990"
LINE_2 = "2 44714  53.0512 297.4466 0001403  92.1466 267.9687 15.12317462    12"


def _sealed(line: str) -> str:
    """The line with the checksum it should have."""
    total = sum(int(c) if c.isdigit() else c == "-" for c in line[:68])
    return line[:68] + str(total % 10)


GOOD_1, GOOD_2 = _sealed(LINE_1), _sealed(LINE_2)
GOOD = f"{NAME}\n{GOOD_1}\n{GOOD_2}\n"


def _complaint(text: str) -> str:
    with pytest.raises(ElementsError) as caught:
        parse_elements(text, "tle")
    return str(caught.value)


def test_three_and_two_line_sets_give_the_same_orbit() -> None:
    ((name, three),) = parse_elements(GOOD)
    ((number, two),) = parse_elements(f"{GOOD_1}\n{GOOD_2}")
    assert (name, number) == (NAME, "NORAD-44714")
    assert three.sgp4(2460950.0, 0.25) == two.sgp4(2460950.0, 0.25)


def test_a_name_line_may_start_with_zero() -> None:
    assert parse_elements(f"0 {GOOD}")[0][0] == NAME


def test_blank_lines_comments_and_windows_line_ends_are_passed_over() -> None:
    assert len(parse_elements("# from a catalogue\r\n\r\n" + GOOD.replace("\n", "\r\n"))) == 1


def test_a_wrong_checksum_names_line_and_digits() -> None:
    bad = GOOD_1[:68] + str((int(GOOD_1[68]) + 4) % 10)
    expected = f"line 2: checksum is {bad[68]}, should be {GOOD_1[68]}"
    assert _complaint(f"{NAME}\n{bad}\n{GOOD_2}\n") == expected


def test_a_short_line_names_its_length() -> None:
    assert _complaint(f"{NAME}\n{GOOD_1}\n{GOOD_2[:60]}") == "line 3: line 2 has 60 characters, should be 69"


def test_a_number_out_of_range_is_named_with_what_is_allowed() -> None:
    bad = _sealed(GOOD_2[:8] + "253.0512" + GOOD_2[16:])
    assert _complaint(f"{GOOD_1}\n{bad}") == "line 2: inclination is 253.051, allowed: 0 to 180"


def test_a_field_that_is_no_number_is_quoted() -> None:
    bad = _sealed(GOOD_2[:17] + "29x.4466" + GOOD_2[25:])
    assert _complaint(f"{GOOD_1}\n{bad}") == "line 2: right ascension is '29x.4466', should be a number"


@pytest.mark.parametrize(
    ("line", "columns", "text", "complaint"),
    [
        (1, (53, 61), " ABCDE-5", "line 2: drag term is ' ABCDE-5', should be like ' 12345-3'"),
        (1, (53, 61), " 99999+9", r"line 2: drag term is ' 99999\+9', .* at most 10"),
        (1, (62, 63), "4", r"line 2: ephemeris type is 4 \(SGP4-XP\), should be that of SGP4"),
        (1, (2, 7), "ABCDE", "line 2: satellite number is 'ABCDE', should be digits"),
        (1, (2, 7), "I0001", "line 2: satellite number is 'I0001', .* a letter but I and O"),
        (1, (2, 7), "     ", "line 2: satellite number is '     ', should be digits"),
        (2, (9, 16), "51.6_16", "line 3: inclination is ' 51.6_16', should be a number"),
        (2, (26, 33), "000\u0663703", "line 3: line 2 has other characters than those of ASCII"),
    ],
)
def test_what_a_lenient_reader_would_misread_is_refused(
    line: int, columns: tuple[int, int], text: str, complaint: str
) -> None:
    lines = GOOD.splitlines()
    start, end = columns
    lines[line] = _sealed(lines[line][:start] + text + lines[line][end:])
    with pytest.raises(ElementsError, match=complaint):
        parse_elements("\n".join(lines))


def test_a_mark_of_the_byte_order_is_no_part_of_a_name() -> None:
    ((name, _),) = parse_elements("\ufeff" + GOOD)
    assert name == parse_elements(GOOD)[0][0]


def test_a_file_that_is_no_text_of_elements_is_quoted_briefly(tmp_path: Path) -> None:
    path = tmp_path / "zeros.tle"
    path.write_bytes(bytes(100_000))
    with pytest.raises(ElementsError) as caught:
        load_elements(path)
    assert len(str(caught.value)) < len(str(path)) + 200


def test_lines_of_two_satellites_do_not_mix() -> None:
    other = _sealed("2 44715" + GOOD_2[7:])
    assert _complaint(f"{GOOD_1}\n{other}") == "line 2: satellite number is 44715, line 1 says 44714"


def test_a_missing_second_line_is_told() -> None:
    assert _complaint(GOOD + GOOD_1) == "line 4: line 1 without a line 2 after it"
    assert "expected line 2" in _complaint(f"{GOOD_1}\n{GOOD_1}")


def test_text_that_is_no_element_set_is_told_where_it_starts() -> None:
    assert _complaint("hello\nworld\n").startswith("line 2: expected line 1 of 'hello'")
    assert _complaint("") == "holds no satellite"


@pytest.mark.parametrize(
    "page", ["<!DOCTYPE html>\n<html><body>503<br></body></html>", "<html><body><p>gone</p></body></html>"]
)
def test_an_error_page_that_was_fetched_for_elements_is_called_one(page: str) -> None:
    with pytest.raises(ElementsError, match=r"^is a web page, not OMM"):
        parse_elements(page)


def test_an_error_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bad.tle"
    path.write_text(GOOD + GOOD_2)
    with pytest.raises(ElementsError, match=r"bad\.tle: line 4: a line 2 without"):
        load_elements(path)
    with pytest.raises(ElementsError, match=r"none\.tle: cannot be read \(No such file"):
        load_elements(tmp_path / "none.tle")


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "packed"
    path.write_bytes(gzip.compress(GOOD.encode()))
    assert [name for name, _ in load_elements(path)] == [NAME]


def test_another_satellite_of_the_same_name_is_told_apart() -> None:
    other = GOOD.replace("44714", "44715")
    other = "\n".join(_sealed(line) if line[1:2] == " " else line for line in other.splitlines())
    assert [name for name, _ in parse_elements(GOOD + other)] == [NAME, f"{NAME} #44715"]


def test_sets_of_one_satellite_carry_the_name_of_the_newest() -> None:
    later = GOOD.replace("25274.25001157", "25275.25001157").replace(NAME, "STARLINK-1008 [-]")
    later = "\n".join(_sealed(line) if line[1:2] == " " else line for line in later.splitlines())
    assert [name for name, _ in parse_elements(f"{later}\n{GOOD}")] == ["STARLINK-1008 [-]"] * 2


def test_catalogue_numbers_beyond_five_digits_identify_satellites() -> None:
    alpha_5 = "\n".join(_sealed(line) for line in GOOD.replace("44714", "T0001").splitlines()[1:])
    assert [name for name, _ in parse_elements(alpha_5)] == ["NORAD-270001"]
    record = json.loads(_omm_texts()["omm-json"])[0]
    many = [{**record, "NORAD_CAT_ID": 400_001 + k % 2} for k in range(4)]
    assert [name for name, _ in parse_elements(json.dumps(many))] == [NAME, f"{NAME} #400002"] * 2


def test_elements_written_and_read_again_are_the_same_orbit() -> None:
    ((_, before),) = parse_elements(GOOD)
    ((name, after),) = parse_elements(elements_to_text([(NAME, before)]))
    assert name == NAME
    assert after.sgp4(2460950.0, 0.5) == before.sgp4(2460950.0, 0.5)


def _omm_texts() -> dict[str, str]:
    ((name, satellite),) = parse_elements(GOOD)
    satellite.intldesg = "19074B"
    record = export_omm(satellite, name)
    table = io.StringIO()
    writer = csv.DictWriter(table, list(record))
    writer.writeheader()
    writer.writerow(record)
    leaves = "".join(f"<{key}>{escape(str(value))}</{key}>" for key, value in record.items())
    xml = f"<ndm><omm><body><segment><data>{leaves}</data></segment></body></omm></ndm>"
    return {"omm-json": json.dumps([record]), "omm-csv": table.getvalue(), "omm-xml": xml}


@pytest.mark.parametrize("form", ["omm-json", "omm-csv", "omm-xml"])
def test_an_omm_is_the_orbit_of_its_tle(form: str) -> None:
    text = _omm_texts()[form]
    assert detect_format(text) == form
    ((name, found),) = parse_elements(text)
    ((_, expected),) = parse_elements(GOOD)
    assert name == NAME
    apart = np.subtract(found.sgp4(2460950.0, 0.5)[1], expected.sgp4(2460950.0, 0.5)[1])
    # a TLE counts its epoch in 1e-8 days, an OMM in microseconds
    assert np.linalg.norm(apart) < 10.0 * one_millimetre_km


def test_an_omm_without_a_key_names_record_and_key() -> None:
    record = json.loads(_omm_texts()["omm-json"])[0]
    del record["MEAN_MOTION"]
    with pytest.raises(ElementsError, match="record 1: MEAN_MOTION is missing"):
        parse_elements(json.dumps([record]))
    with pytest.raises(ElementsError, match="line 1: not JSON"):
        parse_elements("[{]")


def _changed(**values: object) -> str:
    (message,) = json.loads(_omm_texts()["omm-json"])
    return json.dumps([{**message, **values}])


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("MEAN_ELEMENT_THEORY", "SGP4-XP", "MEAN_ELEMENT_THEORY is 'SGP4-XP', allowed: SGP4, SGP/SGP4"),
        ("REF_FRAME", "GCRF", "REF_FRAME is 'GCRF', allowed: TEME"),
        ("TIME_SYSTEM", "TAI", "TIME_SYSTEM is 'TAI', allowed: UTC"),
        ("CENTER_NAME", "MOON", "CENTER_NAME is 'MOON', allowed: EARTH"),
        ("MEAN_MOTION", math.nan, "MEAN_MOTION is nan, allowed: 0 to 20"),
        ("BSTAR", None, "BSTAR is missing"),
        ("INCLINATION", [1], r"INCLINATION is \[1\], should be a number"),
        ("EPOCH", "x" * 5000, "EPOCH is 'x+, should be like"),
        ("EPOCH", "2025-366T00:00:00", "EPOCH is '2025-366T00:00:00', should be like"),
        ("EPOCH", "9999-366T00:00:00", "EPOCH is '9999-366T00:00:00', should be like"),
        ("NORAD_CAT_ID", -1, "NORAD_CAT_ID is -1, allowed: 0 to 999999999"),
    ],
)
def test_a_message_that_is_not_meant_for_sgp4_is_refused(key: str, value: object, complaint: str) -> None:
    with pytest.raises(ElementsError, match=f"record 1: {complaint}"):
        parse_elements(_changed(**{key: value}))


@pytest.mark.parametrize("text", ["5", "null", '"set"'])
def test_json_that_holds_no_messages_is_refused(text: str) -> None:
    with pytest.raises(ElementsError, match="should be a list of OMM objects"):
        parse_elements(text, "omm-json")


def test_an_epoch_may_count_the_days_of_the_year() -> None:
    ((_, by_month),) = parse_elements(_changed(EPOCH="2024-12-31T23:59:59.5"))
    ((_, by_day),) = parse_elements(_changed(EPOCH="2024-366T23:59:59.5"))
    assert (by_day.jdsatepoch, by_day.jdsatepochF) == (by_month.jdsatepoch, by_month.jdsatepochF)


def test_satellites_that_cannot_be_propagated_are_set_aside_by_name() -> None:
    # drag this strong brings it down within days
    sunk = _sealed("1 44715" + GOOD_1[7:53] + " 99999+0" + GOOD_1[61:])
    elements = parse_elements(f"{GOOD}SINKER\n{sunk}\n{_sealed('2 44715' + GOOD_2[7:])}\n")
    far = [(2460949.5 + 400.0, 0.0)]
    assert usable(elements, [(2460949.5, 0.75)])[1] == {}
    kept, skipped = usable(elements[1:] + elements[:1], [(2460949.5 + 60.0, 0.0)])
    assert ([name for name, _ in kept], skipped) == (
        [NAME],
        {"SINKER": "mean eccentricity is outside 0 to 1"},
    )
    with pytest.raises(ElementsError, match="none of the 1 satellites can be propagated"):
        usable(elements[1:], far)


def test_published_verification_states_are_met_within_a_millimetre() -> None:
    text = verification_text()
    records = {satellite.satnum: satellite for _, satellite in parse_elements(text, "tle")}
    worst, compared, current = 0.0, 0, None
    for line in shared("sgp4_verification/tcppver_subset.out").read_text().splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[1] == "xx":
            current = records.get(int(fields[0]))
        elif current is not None and len(fields) >= 7:
            minutes, *expected = (float(field) for field in fields[:4])
            error, found, _ = current.sgp4_tsince(minutes)
            if error == 0:
                compared += 1
                worst = max(worst, math.dist(found, expected))
    assert compared > 300
    assert worst < one_millimetre_km


def test_what_is_written_is_what_the_reference_writer_writes() -> None:
    for _, record in parse_elements(starlink_text())[::50] + parse_elements(verification_text()):
        assert tle_lines(record) == tuple(line[:69] for line in export_tle(record))


def test_a_real_file_of_a_whole_constellation_is_read() -> None:
    elements = parse_elements(starlink_text())
    assert len(elements) == 8389
    assert len({name for name, _ in elements}) == 8389


def test_an_epoch_in_a_year_that_a_tle_does_not_tell_is_not_written() -> None:
    record = Satrec()
    days_since_1950 = 2_472_364.5 - 2_433_281.5  # 2057-01-01
    record.sgp4init(WGS72, "i", 5, days_since_1950, 0.0, 0.0, 0.0, 0.0, 0.0, 0.9, 0.0, 0.0656, 0.0)
    with pytest.raises(ElementsError, match=r"Julian day 2472364.5, a TLE is for the years 1957 to 2056"):
        tle_lines(record)
