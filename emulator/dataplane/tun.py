"""IP interfaces of the loop: frames from TUN devices into the network, and back out of it when due.

Every packet of a super-segment crosses the network by itself; those of one frame that are due together are
written as one super-segment again, header and a slice of what was read. Payloads are not touched. Until the
first interface is attached these cost a comparison a turn.

A packet marked as damaged gets a bit of what is behind its IP header flipped, in a copy of its own, after
its checksum was completed. A packet that is too long for a link is dropped, whether or not it may be
fragmented: places do not fragment.
"""

# mypy: no-warn-return-any
# To mypy the result of a compiled kernel is Any.

from __future__ import annotations

from typing import Any, Final

import numpy as np

from emulator.accounting import (
    DELIVERED,
    MALFORMED,
    NO_BUFFER,
    PEER_FULL,
    PEER_GONE,
    UNKNOWN_DESTINATION,
)
from emulator.dataplane import ip_device
from emulator.dataplane.histogram import record
from emulator.dataplane.ip_frames import LARGE_OCTETS, MIDDLE_OCTETS, leave_frame, take_frame
from emulator.dataplane.ip_plane import (
    ATTACHED,
    DESCRIPTOR,
    FIRST_PORT,
    FRAMES_READ,
    FRAMES_WRITTEN,
    MOST_READ,
    PACKETS_READ,
    PACKETS_WRITTEN,
    SPARE,
    WAITING_FIRST,
    WAITING_LAST,
    WATCHER,
    IpPlane,
    attach,
    close_ip_plane,
    detach,
    interface_counters,
    is_alive,
    is_asked,
    lose_interface,
    make_ip_plane,
    take_requests,
)
from emulator.dataplane.ip_reports import error_of, speak
from emulator.dataplane.libzmq import clock_ns
from emulator.hoplog import write_log
from emulator.inet import addresses
from emulator.inet.headers import IPV6_BYTES, SOUND, parse
from emulator.inet.icmp import asks_for_echo
from emulator.inet.octets import copy as copy_octets
from emulator.inet.octets import octet
from emulator.inet.segments import split, write_header, write_packet_header, write_segment
from emulator.inet.virtio import GSO_NONE, VIRTIO_BYTES
from emulator.inet.virtio import put as put_virtio
from emulator.jit import inline_packet_kernel
from emulator.layout import DELIVERED_BYTES, ENTERED, ENTERED_BYTES, HEADER_WORDS, READY
from emulator.links.faults import damage
from emulator.links.random import mix
from emulator.links.state import CORRUPT
from emulator.network import enter, release

__all__ = [
    "ATTACHED",
    "FIRST_PORT",
    "IpPlane",
    "attach",
    "close_ip_plane",
    "copy_frame",
    "detach",
    "hand_over_frames",
    "interface_counters",
    "is_alive",
    "make_ip_plane",
    "receive_frames",
]

#: packets taken from one interface before the next has its turn
_BURST: Final = 64
_HEADER_BYTES: Final = 8 * HEADER_WORDS
#: where the IP header of what is written begins in `out`
_OUT: Final = 16
_SALT: Final = np.uint64(0x9E3779B97F4A7C15)

# results of a read that is no frame
_NOTHING: Final = -1
_DROPPED: Final = -2


@inline_packet_kernel
def _port_at(port_place: Any, first: int, place: int, own: int) -> int:
    """A port from `first` on that is at a place, `own` rather than another; -1: there is none."""
    found = -1
    if port_place[own] == place:
        found = own
    else:
        for port in range(first, port_place.shape[0]):
            if port_place[port] == place:
                found = port
                break
    return found


@inline_packet_kernel
def _address_frame(port_place: Any, ip: Any, frame: int, port: int) -> bool:
    """Note where a frame goes; false: it says that it comes from somewhere else."""
    made = ip.frames[frame]
    first = ip.words[FIRST_PORT]
    to, number = addresses.destination(ip.octets, made.at)
    made.port = port
    made.place = port_place[port]
    made.to_place = 0
    made.target = -1
    if to == addresses.HOST:
        if first + number < port_place.shape[0]:
            made.target = first + number
    elif to == addresses.PLACE:
        made.target = _port_at(port_place, first, number, port)
        made.to_place = 1
    kind, sender = addresses.source(ip.octets, made.at)
    return (kind == addresses.HOST and first + sender == port) or to == addresses.MULTICAST


@inline_packet_kernel
def _read_frame(port_place: Any, totals: Any, entered: Any, fates: Any, ip: Any, interface: int) -> int:
    """The next frame of an interface, _NOTHING when there is none, _DROPPED when it is none."""
    spare = ip.words[SPARE]
    at = ip.frames[spare].at
    start = at - VIRTIO_BYTES
    count = ip_device.read(ip.interfaces[interface, DESCRIPTOR], ip.octets.ctypes.data + start, LARGE_OCTETS)
    frame = _NOTHING
    if count < 0:
        error = ip_device.last_error()
        if error != ip_device.EAGAIN and error != ip_device.EINTR:
            lose_interface(ip, interface)
    else:
        ip.interfaces[interface, FRAMES_READ] += 1
        length = count - VIRTIO_BYTES
        packet = parse(ip.octets, at, at + length)
        pieces = split(ip.octets, at, packet)
        packets = 1
        fate = MALFORMED
        if pieces.fault == SOUND:
            packets = pieces.packets
            # the other frame goes to the packet when it fits, and is the next to be read into when not
            other = take_frame(ip, count)
            if other < 0:
                fate = NO_BUFFER
            elif count <= MIDDLE_OCTETS:
                frame = other
                copy_octets(ip.octets, start, ip.octets, ip.frames[other].at - VIRTIO_BYTES, count)
            else:
                frame = spare
                ip.words[SPARE] = other
        if frame >= 0:
            made = ip.frames[frame]
            made.length = length
            made.packets = packets
            made.header_bytes = pieces.header_bytes
            made.payload_bytes = pieces.payload_bytes
            made.last_payload_bytes = pieces.last_payload_bytes
            made.hop_limit = packet.hop_limit
            made.traffic_class = packet.traffic_class
            sound = _address_frame(port_place, ip, frame, ip.words[FIRST_PORT] + interface)
            if not sound or packet.hop_limit == 0:
                leave_frame(ip, frame)
                frame = _NOTHING
            else:
                ip.interfaces[interface, PACKETS_READ] += packets
        if frame < 0:
            # never in the network, but in its books
            frame = _DROPPED
            totals[ENTERED] += packets
            totals[ENTERED_BYTES] += max(0, length)
            entered[0] += packets
            fates[0, fate] += packets
    return frame


@inline_packet_kernel
def _note_header(ip: Any, frame: int, segment: int) -> None:
    """Put the first octets of a packet of a frame where the log finds them; zeros behind its end."""
    made = ip.frames[frame]
    if made.header_bytes == 0 or segment == 0:
        length = made.length
        if length < _HEADER_BYTES:
            for word in range(HEADER_WORDS):
                ip.header[word] = 0
        copy_octets(ip.octets, made.at, ip.header_octets, 0, min(length, _HEADER_BYTES))
    else:
        count, start, end = write_packet_header(
            ip.octets, made.at, segment, segment, made.hop_limit, ip.out, _OUT
        )
        count = min(count, _HEADER_BYTES)
        copy_octets(ip.out, _OUT, ip.header_octets, 0, count)
        behind = min(_HEADER_BYTES - count, end - start)
        copy_octets(ip.octets, start, ip.header_octets, count, behind)
        for rest in range(count + behind, _HEADER_BYTES):
            ip.header_octets[rest] = 0


@inline_packet_kernel
def _enter_frames(net: Any, ip: Any, now_ns: int) -> int:
    """Every packet of the frames that wait enters the network; how many those are."""
    moved = 0
    while ip.words[WAITING_FIRST] != ip.words[WAITING_LAST]:
        frame = ip.waiting[ip.words[WAITING_FIRST] % ip.waiting.shape[0]]
        ip.words[WAITING_FIRST] += 1
        made = ip.frames[frame]
        packets = made.packets
        for segment in range(packets):
            size = made.header_bytes
            size += made.last_payload_bytes if segment == packets - 1 else made.payload_bytes
            _note_header(ip, frame, segment)
            slot = enter(
                net, now_ns, made.place, made.port, made.target, size,
                made.hop_limit, made.traffic_class, 0, ip.header,
            )  # fmt: skip
            if slot >= 0:
                ip.slot_frame[slot] = frame
                ip.slot_segment[slot] = segment
                made.users += 1
        leave_frame(ip, frame)
        moved += packets
    return moved


@inline_packet_kernel
def receive_frames(net: Any, ip: Any, now_ns: int) -> int:
    """Take what was read the last time into the network, at `now_ns`, and read again; how much that was.

    A frame enters at a time that was taken after it was read: the loop may be kept from running between the
    two, and a packet would else be due before its delay is over, which nothing would tell. So do the messages
    of places. No interface has more than a burst read before the others had their turn.
    """
    moved = 0
    if is_asked(ip):
        take_requests(ip)
    if ip.words[ATTACHED] != 0:
        moved = _enter_frames(net, ip, now_ns)
        events = ip_device.which_are_ready(ip.words[WATCHER], ip.events)
        for event in range(events):
            interface = ip_device.number_of_event(ip.events, event)
            left = _BURST if ip.interfaces[interface, DESCRIPTOR] >= 0 else 0
            while left > 0 and ip.words[WAITING_LAST] - ip.words[WAITING_FIRST] < MOST_READ:
                frame = _read_frame(net.port_place, net.totals, net.entered, net.fates, ip, interface)
                if frame == _NOTHING:
                    left = 0
                else:
                    moved += 1
                    left -= 1
                if frame >= 0:
                    left -= ip.frames[frame].packets - 1
                    ip.waiting[ip.words[WAITING_LAST] % ip.waiting.shape[0]] = frame
                    ip.words[WAITING_LAST] += 1
    return moved


@inline_packet_kernel
def _run_length(packets: Any, ready: Any, index: int, end: int, ip: Any) -> int:
    """How many of `ready[index:end]` are, from the first on, packets that follow each other in one frame."""
    slot = ready[index]
    packet = packets[slot]
    frame = ip.slot_frame[slot]
    segment = ip.slot_segment[slot]
    count = 1
    if packet.marks & CORRUPT == 0:
        going = True
        while going and index + count < end:
            slot = ready[index + count]
            other = packets[slot]
            going = (
                ip.slot_frame[slot] == frame
                and ip.slot_segment[slot] == segment + count
                and other.fate == DELIVERED
                and other.marks & CORRUPT == 0
                and other.ttl == packet.ttl
            )
            if going:
                count += 1
    return count


@inline_packet_kernel
def _put_damaged(ip: Any, packet: Any, slot: int) -> int:
    """Put a damaged copy of a packet, its virtio header before it, into `out`; its octets with that."""
    at = ip.frames[ip.slot_frame[slot]].at
    length = write_segment(
        ip.octets, at, ip.slot_segment[slot], np.int64(packet.ttl), ip.out, _OUT, ip.out.shape[0] - _OUT
    )
    put_virtio(ip.out, _OUT, 0, GSO_NONE, 0, 0, 0, 0)
    first = octet(ip.out, _OUT)
    header = (first & 0xF) * 4 if first >> 4 == 4 else IPV6_BYTES
    word = mix(np.uint64(packet.number) * _SALT + np.uint64(packet.port))
    damage(ip.out, _OUT + header, length - header, word)
    return VIRTIO_BYTES + length


@inline_packet_kernel
def _write_run(ip: Any, packet: Any, slot: int, count: int) -> int:
    """Write packets of a frame, the first in `slot`, to their interface; what becomes of them."""
    interface = packet.target - ip.words[FIRST_PORT]
    descriptor = -1
    if interface < ip.interfaces.shape[0]:
        descriptor = ip.interfaces[interface, DESCRIPTOR]
    fate = PEER_GONE
    if descriptor >= 0:
        if packet.marks & CORRUPT != 0:
            head = _put_damaged(ip, packet, slot)
            start = end = 0
        else:
            first = ip.slot_segment[slot]
            at = ip.frames[ip.slot_frame[slot]].at
            head, start, end = write_header(
                ip.octets, at, first, first + count - 1, np.int64(packet.ttl), ip.out, _OUT
            )
        ip.parts[0] = ip.out.ctypes.data + _OUT - VIRTIO_BYTES
        ip.parts[1] = head
        ip.parts[2] = ip.octets.ctypes.data + start
        ip.parts[3] = end - start
        written = ip_device.write_two(descriptor, ip.parts)
        if written >= 0:
            fate = DELIVERED
            ip.interfaces[interface, FRAMES_WRITTEN] += 1
            ip.interfaces[interface, PACKETS_WRITTEN] += count
        else:
            error = ip_device.last_error()
            if error == ip_device.EAGAIN:
                fate = PEER_FULL
            elif error == ip_device.EINVAL:
                fate = MALFORMED
            elif error != ip_device.EIO:
                lose_interface(ip, interface)
    return fate


@inline_packet_kernel
def _is_answered_for(ip: Any, packet: Any, slot: int) -> bool:
    """Whether a packet asks a node for an echo that has no interface now: its place answers for it."""
    interface = packet.target - ip.words[FIRST_PORT]
    answered = False
    if interface < ip.interfaces.shape[0] and ip.interfaces[interface, DESCRIPTOR] < 0:
        about = ip.frames[ip.slot_frame[slot]]
        if packet.marks & CORRUPT == 0 and about.packets == 1:
            answered = asks_for_echo(ip.octets, about.at)
    return answered


@inline_packet_kernel
def hand_over_frames(net: Any, ip: Any, index: int, now_ns: int) -> int:
    """Write `net.ready[index]`, a packet to or from an interface, and any that go with it in one frame.

    Counts, logs and frees what was handed over or dropped; how many entries of `ready` are done with.
    """
    slot = net.ready[index]
    packet = net.packets[slot]
    count = 1
    fate = packet.fate
    carried = fate == DELIVERED
    to_place = False
    if carried:
        if ip.slot_frame[slot] < 0:
            # a packet of ZeroMQ, for a port that takes IP
            fate = UNKNOWN_DESTINATION
        elif ip.frames[ip.slot_frame[slot]].to_place != 0 or _is_answered_for(ip, packet, slot):
            to_place = True
        else:
            count = _run_length(net.packets, net.ready, index, net.state[READY], ip)
            fate = _write_run(ip, packet, slot, count)
    actual_ns = clock_ns(ip.scratch)
    for entry in range(index, index + count):
        slot = net.ready[entry]
        packet = net.packets[slot]
        if carried:
            net.fates[packet.traffic_class, fate] += 1
            write_log(net, slot, fate, packet.due_ns, actual_ns, packet.link)
            if fate == DELIVERED:
                net.totals[DELIVERED_BYTES] += packet.length
                record(ip.lateness, actual_ns - packet.due_ns)
        frame = ip.slot_frame[slot]
        if frame >= 0:
            if to_place or error_of(fate) >= 0:
                mtu = np.int64(0)
                if packet.link >= 0:
                    mtu = np.int64(net.models[net.links[packet.link].model].mtu_bytes)
                speak(ip, packet, np.int64(slot), np.int64(fate), mtu, now_ns)
            leave_frame(ip, frame)
            ip.slot_frame[slot] = -1
        release(net, slot)
    return count


@inline_packet_kernel
def copy_frame(net: Any, ip: Any, copy: int) -> None:
    """Let the duplicate in slot `copy` carry what its original (`twin`) carries."""
    frame = ip.slot_frame[net.packets[copy].twin]
    ip.slot_frame[copy] = frame
    ip.slot_segment[copy] = ip.slot_segment[net.packets[copy].twin]
    if frame >= 0:
        ip.frames[frame].users += 1
