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

from emulator.accounting import HOP_LIMIT, NO_ROUTE, PEER_GONE, TOO_LONG, UNKNOWN_DESTINATION
from emulator.dataplane.ip_frames import leave_frame, take_frame
from emulator.dataplane.ip_plane import ANSWERS, FIRST_PORT, OWED_FIRST, OWED_LAST, REPORTS, UNSENT
from emulator.inet import icmp
from emulator.inet.headers import parse, stated_length
from emulator.inet.rate_limit import take
from emulator.jit import inline_packet_kernel, packet_kernel


@inline_packet_kernel
def _owe(net: Any, ip: Any, frame: int, length: int, place: int, target: int) -> None:
    """Have a frame enter the network at a place, at the next turn."""
    made = ip.frames[frame]
    made.length = length
    made.packets = 1
    made.header_bytes = 0
    made.payload_bytes = length
    made.last_payload_bytes = length
    made.place = place
    made.port = 0
    made.target = target
    parsed = parse(ip.octets, made.at, made.at + length)
    made.hop_limit = parsed.hop_limit
    made.traffic_class = parsed.traffic_class
    made.to_place = 0
    last = ip.words[OWED_LAST]
    ip.owed[last % ip.owed.shape[0]] = frame
    ip.words[OWED_LAST] = last + 1


@inline_packet_kernel
def _room(ip: Any, octets: int) -> int:
    """A frame for a message, -1 when there is no room for it."""
    frame = -1
    if ip.words[OWED_LAST] - ip.words[OWED_FIRST] < ip.owed.shape[0]:
        frame = take_frame(ip, octets)
    if frame < 0:
        ip.words[UNSENT] += 1
    return frame


@packet_kernel
def _send_error(net: Any, ip: Any, slot: int, error: int, hop_limit: int, mtu: int, now_ns: int) -> None:
    """Have the place where a packet ended tell its sender."""
    if take(ip.bucket, now_ns):
        frame = _room(ip, icmp.ERROR_ROOM)
        if frame >= 0:
            packet = net.packets[slot]
            about = ip.frames[ip.slot_frame[slot]]
            length = icmp.write_error(
                ip.octets, about.at, ip.slot_segment[slot], hop_limit, error, mtu, packet.place,
                ip.octets, ip.frames[frame].at,
            )  # fmt: skip
            if length > 0:
                ip.words[REPORTS] += 1
                _owe(net, ip, frame, length, packet.place, about.port)
            else:
                leave_frame(ip, frame)


@packet_kernel
def report(net: Any, ip: Any, slot: int, fate: int, now_ns: int) -> None:
    """A packet of an interface has ended: tell its sender, if a router would."""
    packet = net.packets[slot]
    error = -1
    mtu = 0
    hop_limit = packet.ttl
    if fate == HOP_LIMIT:
        error = icmp.TIME_EXCEEDED
        hop_limit = 1
    elif fate == NO_ROUTE:
        error = icmp.NO_ROUTE
    elif fate == UNKNOWN_DESTINATION:
        error = icmp.HOST_UNKNOWN
    elif fate == PEER_GONE:
        error = icmp.HOST_UNREACHABLE
    elif fate == TOO_LONG and packet.link >= 0:
        error = icmp.PACKET_TOO_BIG
        mtu = net.models[net.links[packet.link].model].mtu_bytes
    # nothing is said about what the network itself has sent
    if error >= 0 and packet.port >= ip.words[FIRST_PORT] and ip.slot_frame[slot] >= 0:
        _send_error(net, ip, slot, error, hop_limit, mtu, now_ns)


@packet_kernel
def answer(net: Any, ip: Any, slot: int, now_ns: int) -> None:
    """A packet has come to the address of a place: answer an echo request, refuse anything else."""
    packet = net.packets[slot]
    asked = ip.frames[ip.slot_frame[slot]]
    length = stated_length(ip.octets, asked.at)
    if asked.packets == 1:
        frame = _room(ip, length + 64)
        if frame >= 0:
            length = icmp.write_echo_reply(ip.octets, asked.at, ip.octets, ip.frames[frame].at)
            if length > 0:
                ip.words[ANSWERS] += 1
                _owe(net, ip, frame, length, packet.place, asked.port)
            else:
                leave_frame(ip, frame)
                _send_error(net, ip, slot, icmp.PORT_UNREACHABLE, packet.ttl, 0, now_ns)
    else:
        _send_error(net, ip, slot, icmp.PORT_UNREACHABLE, packet.ttl, 0, now_ns)
