"""IP packets of every shape, for hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP, IPOption_RR
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.packet import Raw

from tests.emulator.inet.frames import HOST_A4, HOST_A6, HOST_B4, HOST_B6

_TCP_OPTIONS = (
    [],
    [("Timestamp", (7, 9)), ("NOP", None), ("NOP", None)],
    [("NOP", None), ("NOP", None), ("SAck", (1, 2, 3, 4))],
    [("MSS", 1400)],
)
_IPV4_OPTIONS: tuple[list[Any], ...] = (
    [],
    [IPOption_NOP()] * 4,
    [IPOption_RR(length=39, routers=["0.0.0.0"] * 9)],
)
_EXTENSIONS: tuple[Any, ...] = (
    None,
    IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 12)]),
    IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]),
    IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting(addresses=[HOST_A6], segleft=0) / IPv6ExtHdrDestOpt(),
)


@st.composite
def ip_headers(draw: Any) -> Any:
    """An IPv4 or IPv6 header with what may follow before the transport."""
    limit = draw(st.integers(1, 255))
    service = draw(st.integers(0, 255))
    if draw(st.booleans()):
        options = draw(st.sampled_from(_IPV4_OPTIONS))
        number, flags = draw(st.integers(0, 65535)), draw(st.sampled_from(["", "DF"]))
        return IP(src=HOST_A4, dst=HOST_B4, ttl=limit, tos=service, id=number, flags=flags, options=options)
    header = IPv6(src=HOST_A6, dst=HOST_B6, hlim=limit, tc=service, fl=draw(st.integers(0, 0xFFFFF)))
    extension = draw(st.sampled_from(_EXTENSIONS))
    return header if extension is None else header / extension


@st.composite
def packets(draw: Any, most: int = 20_000) -> Any:
    """A TCP or UDP packet with lengths and checksums filled in."""
    payload = draw(st.binary(min_size=1, max_size=64))
    size = draw(st.one_of(st.integers(0, 40), st.integers(0, most)))
    data = (payload * (size // len(payload) + 1))[:size]
    if draw(st.booleans()):
        transport: Any = UDP(sport=1234, dport=draw(st.integers(0, 65535)))
    else:
        flags = draw(st.sampled_from(["A", "PA", "FPA", "CPA", "CFA", "SEC"]))
        options = draw(st.sampled_from(_TCP_OPTIONS))
        transport = TCP(
            sport=1234, dport=80, seq=draw(st.integers(0, 2**32 - 1)), flags=flags, options=options
        )
    whole = draw(ip_headers()) / transport / Raw(data)
    return type(whole)(bytes(whole))
