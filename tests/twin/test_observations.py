"""The whitelist: what reaches the twin, and what never does."""

from __future__ import annotations

import pytest

from nodes.wire import Record
from testbed.twin.observations import OBSERVABLE, filter_record, window_index


@pytest.mark.parametrize(
    "measurement", ["plant_link", "plant_event", "channel", "event", "prediction", "nonsense"]
)
def test_truth_and_everything_unlisted_is_withheld(measurement: str) -> None:
    record = Record(1, measurement, {"link": "a>b"}, {"snr_db": 9.0, "attenuation_db": 7.0}, [1.0])
    assert filter_record(record) is None


def test_only_listed_fields_pass() -> None:
    record = Record(
        1, "link", {"link": "a>b", "kind": "feeder", "secret": "x"},
        {"snr_db": 9.0, "attenuation_db": 7.0, "rate_mbps": 3.0, "loss": 0.1}, [1.0, 2.0],
    )  # fmt: skip
    kept = filter_record(record)
    assert kept == Record(1, "link", {"link": "a>b", "kind": "feeder"}, {"snr_db": 9.0}, [1.0, 2.0])


def test_a_record_without_any_listed_field_is_withheld() -> None:
    assert filter_record(Record(1, "task", {"node": "e"}, {"true_factor": 0.5})) is None


def test_samples_of_other_measurements_are_cut() -> None:
    kept = filter_record(Record(1, "task", {"node": "e"}, {"cycles": 1.0, "service_s": 1.0}, [0.5]))
    assert kept is not None
    assert kept.samples == []


def test_no_name_of_a_plant_parameter_is_listed() -> None:
    fields = {name for names in OBSERVABLE.values() for name in names}
    assert not fields & {"attenuation_db", "rate_mbps", "delay_ms", "elevation_deg", "factor", "frame_error"}


@pytest.mark.parametrize(("late_ns", "window"), [(0, 6), (3_000_000, 6), (240_000_000, 6), (-1_000_000, 6)])
def test_a_report_is_of_the_window_that_just_ended(late_ns: int, window: int) -> None:
    start, length = 10**12, 500_000_000
    assert window_index(start + 7 * length + late_ns, start, length) == window
