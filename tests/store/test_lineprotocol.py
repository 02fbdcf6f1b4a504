"""Line protocol: names escaped, numbers all floats, what has no place left out."""

from __future__ import annotations

import math

from nodes.wire import Record
from testbed.store.lineprotocol import line, lines


def test_a_record_is_a_line_with_wall_clock_and_run() -> None:
    record = Record(
        5, "link", {"link": "a>b", "kind": "isl"}, {"packets_in": 40, "up": True, "note": "ok"}, [1.0]
    )
    expected = 'link,kind=isl,link=a>b,run=r-1 packets_in=40.0,up=1.0,note="ok" 1005'
    assert line(record, 1000, {"run": "r-1"}) == expected


def test_separators_in_names_and_text_are_escaped() -> None:
    record = Record(0, "a b,c", {"k =,": "v =,\nx"}, {"f =,": 'say "hi" \\ \nx', "time": 1})
    assert line(record, 0, {}) == r'a\ b\,c,k\ \=\,=v\ \=\,\ x f\ \=\,="say \"hi\" \\  x",time_=1.0 0'


def test_what_the_protocol_cannot_say_is_left_out() -> None:
    record = Record(
        0, "m", {"empty": "", "": "x"}, {"a": math.nan, "b": math.inf, "c": 1, "": 2, "d": 10**400}
    )
    assert line(record, 0, {}) == "m c=1.0 0"


def test_a_record_without_fields_has_no_line() -> None:
    assert (
        lines(
            [Record(0, "m", {}, {}), Record(0, "m", {}, {"x": math.nan}), Record(0, "", {}, {"x": 1})], 0, {}
        )
        == []
    )
