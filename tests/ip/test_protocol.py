"""Messages between `testbed exec` and the plant: whole, in parts, too long, and not ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.ip.protocol import (
    LARGEST_REQUEST,
    LENGTH,
    Attach,
    Attached,
    Granted,
    Handover,
    Host,
    Joined,
    ProtocolError,
    Refused,
    answer_in,
    encode,
    request_in,
)

GRANTED = Granted("10.64.0.1", "fd6a:1e0:0:1::1", 1400, [Host("b", "10.64.0.2", "fd6a:1e0:0:1::2")], 7)


@pytest.mark.parametrize("request_", [Attach("edge-ground"), Handover(), Joined()])
def test_a_request_arrives_as_it_was_sent(request_: Attach | Handover | Joined) -> None:
    assert request_in(bytearray(encode(request_))) == request_


@pytest.mark.parametrize("answer", [GRANTED, Attached(), Refused("no such node", 2)])
def test_an_answer_arrives_as_it_was_sent(answer: Granted | Attached | Refused) -> None:
    assert answer_in(bytearray(encode(answer))) == answer


@given(st.integers(1, 30))
def test_messages_are_put_together_from_parts_of_any_size(size: int) -> None:
    sent = encode(Attach("a")) + encode(Handover()) + encode(Attach("b" * 100))
    received, found = bytearray(), []
    for at in range(0, len(sent), size):
        received += sent[at : at + size]
        while (message := request_in(received)) is not None:
            found.append(message)
    assert found == [Attach("a"), Handover(), Attach("b" * 100)]


def test_a_request_that_is_too_long_is_refused_before_it_has_come() -> None:
    with pytest.raises(ProtocolError, match=f"{LARGEST_REQUEST} are allowed"):
        request_in(bytearray(LENGTH.pack(LARGEST_REQUEST + 1)))


@given(st.binary(max_size=60))
def test_what_is_not_a_message_is_told(body: bytes) -> None:
    received = bytearray(LENGTH.pack(len(body)) + body)
    try:
        message = request_in(received)
    except ProtocolError:
        return
    assert isinstance(message, Attach | Handover | Joined)


def test_an_answer_is_no_request() -> None:
    with pytest.raises(ProtocolError):
        request_in(bytearray(encode(Attached())))
