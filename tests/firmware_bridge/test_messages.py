import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import messages
from firmware_bridge.framing import Deframer, encode_frame
from firmware_bridge.messages import (
    Ack,
    Command,
    Data,
    Hello,
    Log,
    Message,
    MessageError,
    Packet,
    SequenceTracker,
    Status,
    TimeRequest,
    TimeResponse,
)

u8, u16, u32, u64 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32, 64))
some_message: st.SearchStrategy[Message] = st.one_of(
    st.builds(Hello, st.booleans(), u8, u32, u64, u32, st.tuples(u8, u8, u8), u16),
    st.builds(TimeRequest, u64),
    st.builds(TimeResponse, u64, u64, u64),
    st.builds(Data, u8, u32, st.binary(max_size=messages.MAX_PAYLOAD_BYTES)),
    st.builds(Command, u16, u8, u32),
    st.builds(Ack, u16, u8),
    st.builds(Status, u32, u32, u32, u32, u32, u32, u32, u32),
    st.builds(Log, u8, st.text(max_size=50)),
)
some_packet = st.builds(
    Packet, st.integers(0, messages.MAX_APID), st.booleans(), st.integers(0, 2**14 - 1), u64, some_message
)


@given(some_packet)
def test_every_packet_survives_the_line(packet: Packet) -> None:
    (raw,) = Deframer().feed(encode_frame(messages.encode(packet)))
    assert messages.decode(raw) == packet


def test_the_header_is_that_of_a_ccsds_space_packet() -> None:
    raw = messages.encode(Packet(5, False, 0x1234, 7, Ack(1, 0)))
    # version 0, telemetry, secondary header, APID 5 | unsegmented, count | data bytes less one
    assert raw[:6] == bytes.fromhex("0805 d234") + (len(raw) - 6 - 1).to_bytes(2, "big")
    assert messages.encode(Packet(5, True, 0x1234, 7, Ack(1, 0)))[0] == 0x18
    assert raw[6:16] == (7).to_bytes(8, "big") + bytes([6, messages.SCHEMA_VERSION])


@given(st.binary(max_size=60))
def test_what_is_no_packet_is_refused_by_one_error(data: bytes) -> None:
    try:
        packet = messages.decode(data)
    except MessageError:
        return
    assert messages.encode(packet) == data[:4] + (len(data) - 7).to_bytes(2, "big") + data[6:]


def test_a_foreign_schema_version_is_refused_by_name() -> None:
    raw = bytearray(messages.encode(Packet(1, False, 0, 0, TimeRequest(1))))
    raw[15] = 9
    with pytest.raises(MessageError, match="schema version 9"):
        messages.decode(bytes(raw))


def test_too_much_data_for_a_frame_is_refused() -> None:
    with pytest.raises(MessageError, match="at most"):
        messages.encode(Packet(1, True, 0, 0, Data(0, 0, bytes(messages.MAX_PAYLOAD_BYTES + 1))))


def test_a_value_beyond_its_field_is_refused() -> None:
    with pytest.raises(MessageError, match="does not fit"):
        messages.encode(Packet(1, True, 0, 0, Command(70_000, 1, 0)))


def test_a_long_log_line_is_cut_between_characters() -> None:
    packet = messages.decode(messages.encode(Packet(1, False, 0, 0, Log(6, "ä" * 200))))
    assert isinstance(packet.message, Log)
    assert set(packet.message.text) == {"ä"}


def test_gaps_in_the_sequence_are_counted_across_its_end() -> None:
    tracker = SequenceTracker()
    gaps = [tracker.see(count) for count in (16_380, 16_381, 16_383, 0, 3)]
    assert gaps == [0, 0, 1, 0, 2]
    assert tracker.lost == 3


def test_a_sender_that_starts_again_has_lost_nothing() -> None:
    tracker = SequenceTracker()
    tracker.see(9_000)
    tracker.reset()
    assert tracker.see(4) == 0
    assert tracker.lost == 0
