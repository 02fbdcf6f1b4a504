"""Which addresses are hosts, places, groups, or none of ours."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6

from emulator.inet import addresses
from emulator.inet.addresses import (
    FOREIGN,
    HOST,
    LINK_LOCAL,
    MULTICAST,
    NOWHERE,
    PLACE,
    PLACES,
    PORTS,
    host_ipv4,
    host_ipv6,
    place_ipv4,
    place_ipv6,
)
from tests.emulator.inet.frames import AT, HOST_A4, HOST_A6, frame

ports = st.integers(0, PORTS - 1)
places = st.integers(0, PLACES - 1)


def _destination(address: str) -> tuple[int, int]:
    packet = IPv6(src=HOST_A6, dst=address) if ":" in address else IP(src=HOST_A4, dst=address)
    found: tuple[int, int] = addresses.destination(frame(packet), AT)
    return found


@given(port=ports)
@settings(deadline=None)
def test_a_packet_to_the_address_of_a_port_is_for_that_port(port: int) -> None:
    assert _destination(host_ipv4(port)) == _destination(host_ipv6(port)) == (HOST, port)


@given(place=places)
@settings(deadline=None)
def test_a_packet_to_the_address_of_a_place_is_for_that_place(place: int) -> None:
    assert _destination(place_ipv4(place)) == _destination(place_ipv6(place)) == (PLACE, place)


def test_addresses_are_the_published_ones() -> None:
    assert [host_ipv4(1), host_ipv4(256), host_ipv4(PORTS - 1)] == [
        "10.64.0.1",
        "10.64.1.0",
        "10.127.255.255",
    ]
    assert [place_ipv4(0), place_ipv4(PLACES - 1)] == ["10.128.0.0", "10.255.255.255"]
    assert [host_ipv6(1), host_ipv6(0x1234)] == ["fd6a:1e0:0:1::1", "fd6a:1e0:0:1::1234"]
    assert [place_ipv6(2), place_ipv6(0x12345)] == ["fd6a:1e0:0:2::2", "fd6a:1e0:0:2::1:2345"]


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        (FOREIGN, "10.63.255.255"),
        (FOREIGN, "11.0.0.0"),
        (FOREIGN, "8.8.8.8"),
        (FOREIGN, "fd6a:1e0:0:3::1"),
        (FOREIGN, "fd6a:1e0:0:1::40:0"),
        (FOREIGN, "fd6a:1e0:0:2::80:0"),
        (FOREIGN, "fd6a:1e0:0:1:0:1:0:1"),
        (FOREIGN, "2001:db8::1"),
        (FOREIGN, "fec0::1"),
        (FOREIGN, "::2"),
        (MULTICAST, "224.0.0.251"),
        (MULTICAST, "239.255.255.255"),
        (MULTICAST, "255.255.255.255"),
        (MULTICAST, "ff02::2"),
        (LINK_LOCAL, "169.254.3.4"),
        (LINK_LOCAL, "fe80::1"),
        (LINK_LOCAL, "febf::1"),
        (NOWHERE, "0.0.0.0"),
        (NOWHERE, "127.0.0.1"),
        (NOWHERE, "240.0.0.1"),
        (NOWHERE, "::"),
        (NOWHERE, "::1"),
    ],
)
def test_an_address_of_nobody_here_has_a_kind_and_no_number(kind: int, address: str) -> None:
    assert _destination(address) == (kind, -1)


def test_the_source_is_told_like_the_destination() -> None:
    assert addresses.source(frame(IP(src=place_ipv4(7), dst=HOST_A4)), AT) == (PLACE, 7)
    assert addresses.source(frame(IPv6(src=host_ipv6(9), dst=HOST_A6)), AT) == (HOST, 9)


def test_the_port_of_a_destination_is_minus_one_where_it_is_no_host() -> None:
    assert addresses.port_of_destination(frame(IP(dst=host_ipv4(5))), AT) == 5
    for address in (place_ipv4(5), "8.8.8.8", "224.0.0.1"):
        assert addresses.port_of_destination(frame(IP(dst=address)), AT) == -1


@pytest.mark.parametrize(
    ("function", "number", "sentence"),
    [
        (host_ipv4, -1, "port -1 has no IP address: allowed are 0 to 4194303"),
        (host_ipv6, PORTS, "port 4194304 has no IP address: allowed are 0 to 4194303"),
        (place_ipv4, PLACES, "place 8388608 has no IP address: allowed are 0 to 8388607"),
        (place_ipv6, -5, "place -5 has no IP address: allowed are 0 to 8388607"),
    ],
)
def test_a_number_without_address_is_refused_in_one_sentence(function, number, sentence) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the sentence is compared
        function(number)
    assert str(caught.value) == sentence
