"""Control messages on the wire: what is not one is told apart from what is, whatever the bytes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes import wire

_RECORD = wire.Record(1, "temperature", {"unit": "K"}, {"value": 21.5, "text": "abc"}, [1.0])
_MESSAGES = (
    wire.Register("my-app", "guest", 7, place="board"),
    wire.Telemetry([_RECORD]),
    wire.Command(1, "add_port", {"port": 1, "more": [1, {"a": None}]}, "supervisor"),
    wire.Bye({"sent": 3}),
)


@given(st.sampled_from(_MESSAGES), st.data())
def test_a_damaged_message_is_a_message_or_a_wire_error(message: wire.Message, data: st.DataObject) -> None:
    frame = bytearray(wire.encode(message))
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with suppress(wire.WireError):
        wire.decode(bytes(frame[: data.draw(st.integers(0, len(frame)))]))


def test_text_that_is_not_utf_8_is_a_wire_error() -> None:
    frame = wire.encode(wire.Refused("abc")).replace(b"abc", b"a\xe4c")
    with pytest.raises(wire.WireError, match="not a control message"):
        wire.decode(frame)


def test_values_nested_without_end_are_a_wire_error() -> None:
    frame = wire.encode(wire.Command(1, "x", {"a": None}, "me")).replace(b"\xc0", b"\x91" * 20_000 + b"\xc0")
    with pytest.raises(wire.WireError, match="not a control message"):
        wire.decode(frame)
