import pytest

from firmware_bridge.boards.model import READING, Model, ModelSettings
from firmware_bridge.framing import Deframer
from firmware_bridge.messages import Data, Hello, Log, Message, decode


def messages_of(output: bytes) -> list[Message]:
    return [decode(raw).message for raw in Deframer().feed(output)]


def test_it_says_hello_at_boot_without_being_asked() -> None:
    model = Model(ModelSettings(unit_id=3), lambda: 77, 0)
    first, second = messages_of(model.exchange(b"", 0))
    assert isinstance(first, Hello)
    assert (first.boot_id, first.unit_id, first.answer) == (77, 3, False)
    assert isinstance(second, Log)


def test_the_next_reading_is_due_when_it_says() -> None:
    model = Model(
        ModelSettings(interval_ms=250, clock_drift_ppm=-1_000, clock_offset_us=9_000), lambda: 1, 500
    )
    model.exchange(b"", 500)
    due_us = model.next_due_us
    assert due_us is not None
    assert due_us == pytest.approx(500 + 250_000 * 1.001, abs=2)
    assert model.exchange(b"", due_us - 5) == b""
    assert [type(m) for m in messages_of(model.exchange(b"", due_us + 1))] == [Data]


def test_readings_have_the_size_asked_for_and_repeat_with_the_seed() -> None:
    runs = []
    for _ in range(2):
        model = Model(ModelSettings(interval_ms=10, reading_bytes=40, seed=4), lambda: 1, 0)
        model.exchange(b"", 0)
        runs.append([model.exchange(b"", at) for at in range(10_000, 100_000, 10_000)])
    assert runs[0] == runs[1]
    (reading,) = messages_of(runs[0][0])
    assert isinstance(reading, Data)
    assert len(reading.payload) == 40
    temperature, battery_mv, number = READING.unpack_from(reading.payload)
    assert (battery_mv, number) == (3_700, 0)
    assert 1_900 < temperature < 2_100


def test_a_reading_may_be_shorter_than_what_is_measured() -> None:
    model = Model(ModelSettings(interval_ms=10, reading_bytes=3), lambda: 1, 0)
    model.exchange(b"", 0)
    (reading,) = messages_of(model.exchange(b"", 10_000))
    assert isinstance(reading, Data)
    assert len(reading.payload) == 3


def test_a_full_transmit_buffer_costs_whole_readings_and_counts_them() -> None:
    model = Model(ModelSettings(interval_ms=10), lambda: 1, 0)
    model.exchange(b"", 0)
    assert model.exchange(b"", 10_000, room=20) == b""
    assert len(messages_of(model.exchange(b"", 20_000, room=1_000))) == 1
    assert model._readings_dropped == 1


def test_after_a_long_absence_one_reading_is_taken_not_all() -> None:
    model = Model(ModelSettings(interval_ms=10), lambda: 1, 0)
    model.exchange(b"", 0)
    assert len(messages_of(model.exchange(b"", 5_000_000))) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("apid", 0), ("apid", 2_047), ("reading_bytes", 230), ("reading_bytes", 0), ("interval_ms", -1)],
)
def test_impossible_settings_are_refused_by_name(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}, allowed is"):
        ModelSettings(**{name: value})
