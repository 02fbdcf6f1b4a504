"""Which address belongs to which port and place of the emulated network.

Hosts are 10.64.0.0 + port in 10.64.0.0/10 and fd6a:1e0:0:1:: + port; places (routers, for example satellites)
are 10.128.0.0 + index in 10.128.0.0/9 and fd6a:1e0:0:2:: + index. Kernels read addresses of packets, plain
Python writes them out; neither knows which ports and places there are.
"""

# mypy: no-warn-return-any
# To mypy the result of a compiled kernel is Any.

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Final

from emulator.inet.octets import Octets, big32, octet, put_big32
from emulator.jit import inline_kernel, kernel

#: kinds of address. HOST and PLACE come with a number, the others with -1
HOST: Final = 0
PLACE: Final = 1
#: groups of hosts: multicast, and IPv4's limited broadcast
MULTICAST: Final = 2
#: what never leaves its own link: 169.254.0.0/16 (RFC 3927) and fe80::/10 (RFC 4291 section 2.5.6)
LINK_LOCAL: Final = 3
#: no single host either: unspecified, loopback, class E (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5)
NOWHERE: Final = 4
#: anywhere else
FOREIGN: Final = 5

#: one more than the highest port that has an address
PORTS: Final = 1 << 22
#: one more than the highest place that has an address
PLACES: Final = 1 << 23

_HOSTS_V4: Final = 0x0A400000
_PLACES_V4: Final = 0x0A800000
#: the first 32 bits of all IPv6 addresses; the second 32 are 1 (hosts) or 2 (places), the third 0
_V6: Final = 0xFD6A01E0
_HOSTS_V6: Final = 1
_PLACES_V6: Final = 2


@inline_kernel
def _kind_v4(address: int) -> tuple[int, int]:
    if address >> 22 == _HOSTS_V4 >> 22:
        return HOST, address & (PORTS - 1)
    if address >> 23 == _PLACES_V4 >> 23:
        return PLACE, address & (PLACES - 1)
    first = address >> 24
    if address >> 16 == 0xA9FE:
        return LINK_LOCAL, -1
    if 224 <= first < 240 or address == 0xFFFFFFFF:
        return MULTICAST, -1
    if first in (0, 127) or first >= 240:
        return NOWHERE, -1
    return FOREIGN, -1


@inline_kernel
def _kind_v6(octets: Octets, index: int) -> tuple[int, int]:
    first, second = big32(octets, index), big32(octets, index + 4)
    third, number = big32(octets, index + 8), big32(octets, index + 12)
    if first == _V6 and third == 0:
        if second == _HOSTS_V6 and number < PORTS:
            return HOST, number
        if second == _PLACES_V6 and number < PLACES:
            return PLACE, number
    if first >> 24 == 0xFF:
        return MULTICAST, -1
    if first >> 22 == 0xFE80 >> 6:
        return LINK_LOCAL, -1
    if first == 0 and second == 0 and third == 0 and number <= 1:
        return NOWHERE, -1
    return FOREIGN, -1


@kernel
def source(frame: Octets, at: int) -> tuple[int, int]:
    """Kind and number of the source address of the IP packet at `at` (4 or 6, header complete)."""
    if octet(frame, at) >> 4 == 4:
        return _kind_v4(big32(frame, at + 12))
    return _kind_v6(frame, at + 8)


@kernel
def destination(frame: Octets, at: int) -> tuple[int, int]:
    """Kind and number of the destination address of the IP packet at `at` (4 or 6, header complete)."""
    if octet(frame, at) >> 4 == 4:
        return _kind_v4(big32(frame, at + 16))
    return _kind_v6(frame, at + 24)


@kernel
def port_of_destination(frame: Octets, at: int) -> int:
    """The port that the IP packet at `at` is for; -1: no host of this network."""
    kind, number = destination(frame, at)
    return number if kind == HOST else -1


@inline_kernel
def put_place_v4(octets: Octets, index: int, place: int) -> None:
    """Write the IPv4 address of a place."""
    put_big32(octets, index, _PLACES_V4 + place)


@inline_kernel
def put_place_v6(octets: Octets, index: int, place: int) -> None:
    """Write the IPv6 address of a place."""
    put_big32(octets, index, _V6)
    put_big32(octets, index + 4, _PLACES_V6)
    put_big32(octets, index + 8, 0)
    put_big32(octets, index + 12, place)


def host_ipv4(port: int) -> str:
    """The IPv4 address of a port, 0 to 4194303, as text; ValueError for another."""
    return str(IPv4Address(_HOSTS_V4 + _in_range("port", port, PORTS)))


def host_ipv6(port: int) -> str:
    """The IPv6 address of a port, 0 to 4194303, as text; ValueError for another."""
    return _ipv6(_HOSTS_V6, _in_range("port", port, PORTS))


def place_ipv4(place: int) -> str:
    """The IPv4 address of a place, 0 to 8388607, as text; ValueError for another."""
    return str(IPv4Address(_PLACES_V4 + _in_range("place", place, PLACES)))


def place_ipv6(place: int) -> str:
    """The IPv6 address of a place, 0 to 8388607, as text; ValueError for another."""
    return _ipv6(_PLACES_V6, _in_range("place", place, PLACES))


def _ipv6(subnet: int, number: int) -> str:
    return str(IPv6Address((_V6 << 96) + (subnet << 64) + number))


def _in_range(what: str, number: int, count: int) -> int:
    if not 0 <= number < count:
        raise ValueError(f"{what} {number} has no IP address: allowed are 0 to {count - 1}")
    return number
