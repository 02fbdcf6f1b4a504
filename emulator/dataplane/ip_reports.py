"""What places say of their own: ICMP errors about packets that ended there, answers to those sent to them.

Which fates a router tells of is decided here; what the message looks like is `emulator.inet.icmp`'s. A
message waits until packets are taken in, enters the network at its place as a packet of port 0, and takes
the emulated way to the port of the sender. A place that loses its link, or drops from a full queue, or by
radio, says nothing, as a router would.

A place is reached at its own address where a node stands that packets can be carried to; any other is not
routable. The place of the sender itself is always reached.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from emulator.accounting import DELIVERED, HOP_LIMIT, NO_ROUTE, PEER_GONE, TOO_LONG, UNKNOWN_DESTINATION
from emulator.dataplane.ip_frames import leave_frame, take_frame
from emulator.dataplane.ip_plane import ANSWERS, FIRST_PORT, REPORTS, UNSENT, WAITING_FIRST, WAITING_LAST
from emulator.inet import icmp
from emulator.inet.headers import parse
from emulator.inet.rate_limit import take
from emulator.jit import inline_packet_kernel, packet_kernel

#: no error is to be sent
_SILENCE = -1


@inline_packet_kernel
def error_of(fate: int) -> int:
    """What a place says about a packet with this fate; below zero: nothing."""
    error = _SILENCE
    if fate == HOP_LIMIT:
        error = icmp.TIME_EXCEEDED
    elif fate == NO_ROUTE:
        error = icmp.NO_ROUTE
    elif fate == UNKNOWN_DESTINATION:
        error = icmp.HOST_UNKNOWN
    elif fate == PEER_GONE:
        error = icmp.HOST_UNREACHABLE
    elif fate == TOO_LONG:
        error = icmp.PACKET_TOO_BIG
    return error


@inline_packet_kernel
def _room(ip: Any, octets: int) -> int:
    """A frame for a message, -1 when there is no room for it."""
    frame = -1
    if ip.words[WAITING_LAST] - ip.words[WAITING_FIRST] < ip.waiting.shape[0]:
        frame = take_frame(ip, octets)
    if frame < 0:
        ip.words[UNSENT] += 1
    return frame


@packet_kernel
def speak(ip: Any, packet: Any, slot: int, fate: int, mtu: int, now_ns: int) -> None:
    """A packet of an interface has ended at a place: have that tell its sender what a router would.

    `packet` is what is in `slot`. `fate` DELIVERED: it was for the place itself, which answers an
    echo request and refuses anything else. `mtu`: of the link that it was too long for, bytes.
    """
    about = ip.frames[ip.slot_frame[slot]]
    frame = -1
    length = 0
    error = error_of(fate)
    if fate == DELIVERED:
        error = icmp.PORT_UNREACHABLE
        if about.packets == 1:
            frame = _room(ip, about.length + icmp.ERROR_ROOM)
            if frame >= 0:
                length = icmp.write_echo_reply(ip.octets, about.at, ip.octets, ip.frames[frame].at)
        if length > 0:
            ip.words[ANSWERS] += 1
            error = _SILENCE
    # nothing is said about what the network itself has sent
    if error >= 0 and packet.port >= ip.words[FIRST_PORT] and take(ip.bucket, now_ns):
        if frame < 0:
            frame = _room(ip, icmp.ERROR_ROOM)
        if frame >= 0:
            # a router quotes the packet as it came, before it counted itself
            hop_limit = 1 if fate == HOP_LIMIT else np.int64(packet.ttl)
            length = icmp.write_error(
                ip.octets, about.at, ip.slot_segment[slot], hop_limit, error, mtu, np.int64(packet.place),
                ip.octets, ip.frames[frame].at,
            )  # fmt: skip
            if length > 0:
                ip.words[REPORTS] += 1
    if length > 0:
        made = ip.frames[frame]
        parsed = parse(ip.octets, made.at, made.at + length)
        made.length = length
        made.packets = 1
        made.header_bytes = 0
        made.payload_bytes = length
        made.last_payload_bytes = length
        made.place = packet.place
        made.port = 0
        made.target = about.port
        made.hop_limit = parsed.hop_limit
        made.traffic_class = parsed.traffic_class
        made.to_place = 0
        ip.waiting[ip.words[WAITING_LAST] % ip.waiting.shape[0]] = frame
        ip.words[WAITING_LAST] += 1
    elif frame >= 0:
        leave_frame(ip, frame)
