"""The real-time loop, compiled: ZeroMQ packets in, the network in between, packets out when due.

One thread runs it without the GIL. It receives what has come, lets the network advance to the present,
hands over what is due, and sleeps until the next thing is due or a packet comes. Nothing is allocated
and no message is copied: libzmq's message structures are moved from slot to slot.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from emulator.accounting import DELIVERED, MALFORMED, PEER_FULL, PEER_GONE
from emulator.dataplane import libzmq
from emulator.dataplane.histogram import record
from emulator.dataplane.libzmq import (
    DONTWAIT,
    EAGAIN,
    MSG_BYTES,
    SNDMORE,
    byte_at,
    clock_ns,
    wait_readable,
    word_at,
    zmq_errno,
    zmq_msg_close,
    zmq_msg_data,
    zmq_msg_init,
    zmq_msg_more,
    zmq_msg_move,
    zmq_msg_recv,
    zmq_msg_send,
    zmq_msg_size,
    zmq_send,
)
from emulator.hoplog import write_log
from emulator.jit import inline_packet_kernel, load_acquire, packet_kernel
from emulator.layout import DELIVERED_BYTES, ENTERED, ENTERED_BYTES, HEADER_WORDS, READY, SERVICE
from emulator.links.state import CLASSES
from emulator.network import advance, ingress, next_event_ns, release
from nodes.wire import CHANNEL_PORT, FLAG_HOST_CLOCK, HEADER_BYTES, MAGIC, MAX_PACKET_BYTES, VERSION

# words of `control`
STOP: Final = 0  # not zero: leave the loop
SPIN_NS: Final = 8  # stay awake this long before something is due
STARTED: Final = 9  # when the first packet came in, ns; 0: none yet
SLEEPS: Final = 10
UNKNOWN_PEERS: Final = 11  # frames from an identity that is no port's

#: messages received before the network is looked at again
_BURST: Final = 64
#: longest sleep: the mailbox is looked at this often even when nothing moves
_LONGEST_SLEEP_NS: Final = 5_000_000
_IDENTITY_BYTES: Final = 5
_MAGIC_VERSION: Final = MAGIC | (VERSION << 16)


class Plane(NamedTuple):
    """What the loop has besides the network."""

    control: Any  # int64 [16]
    messages: Any  # uint8 [slots + 2, MSG_BYTES]: one a packet, then the two being received
    identity: Any  # uint8 [8]: of the peer being sent to
    scratch: Any  # int64 [8]
    header: Any  # int64 [HEADER_WORDS]: of the packet being received
    lateness: Any  # histogram: actual minus due
    delay_error: Any  # histogram: send to hand-over as it was, minus as it should have been


@inline_packet_kernel
def _message(plane: Any, slot: int) -> int:
    return plane.messages.ctypes.data + slot * MSG_BYTES


@inline_packet_kernel
def _send_identity(plane: Any, socket: int, port: int) -> int:
    plane.identity[0] = 1
    for byte in range(4):
        plane.identity[1 + byte] = (port >> (8 * byte)) & 0xFF
    return zmq_send(socket, plane.identity.ctypes.data, _IDENTITY_BYTES, SNDMORE | DONTWAIT)


@inline_packet_kernel
def _discard_rest(message: int, socket: int) -> None:
    while zmq_msg_more(message) != 0:
        if zmq_msg_recv(message, socket, DONTWAIT) < 0:
            break


@inline_packet_kernel
def _receive(net: Any, plane: Any, socket: int) -> int:
    """Take one message from the socket into the network; 0 when there was none."""
    slots = net.packets.shape[0]
    sender = _message(plane, slots)
    body = _message(plane, slots + 1)
    if zmq_msg_recv(sender, socket, DONTWAIT) < 0:
        return 0
    port = -1
    if zmq_msg_size(sender) == _IDENTITY_BYTES:
        identity = zmq_msg_data(sender)
        if byte_at(identity) == 1:
            port = 0
            for byte in range(4):
                port |= int(byte_at(identity + 1 + byte)) << (8 * byte)
    if zmq_msg_more(sender) == 0 or zmq_msg_recv(body, socket, DONTWAIT) < 0:
        return 1
    frames = 1
    if zmq_msg_more(body) != 0:
        frames = 2
        _discard_rest(body, socket)
    if port <= 0 or port >= net.port_place.shape[0] or net.port_place[port] < 0:
        plane.control[UNKNOWN_PEERS] += 1
        return 1
    size = int(zmq_msg_size(body))
    now = clock_ns(plane.scratch)
    valid = frames == 1 and HEADER_BYTES <= size <= MAX_PACKET_BYTES
    header = plane.header
    if valid:
        content = zmq_msg_data(body)
        for word in range(HEADER_WORDS):
            header[word] = word_at(content + 8 * word)
        valid = (header[0] & 0xFFFFFF) == _MAGIC_VERSION
    if not valid:
        net.totals[ENTERED] += 1
        net.totals[ENTERED_BYTES] += size
        net.entered[0] += 1
        net.fates[0, MALFORMED] += 1
        return 1
    destination = header[1] & 0xFFFFFFFF
    via = (header[1] >> 32) & 0xFFFFFFFF
    if destination == CHANNEL_PORT:
        net.totals[SERVICE] += 1
        if _send_identity(plane, socket, port) >= 0:
            zmq_msg_send(body, socket, DONTWAIT)
        return 1
    if plane.control[STARTED] == 0:
        plane.control[STARTED] = now
    advance(net, now)
    traffic_class = min((header[5] >> 32) & 0xFF, CLASSES - 1)
    slot = ingress(net, now, port, via if via != 0 else destination, size, traffic_class, 0, header)
    if slot >= 0:
        zmq_msg_move(_message(plane, slot), body)
    return 1


@inline_packet_kernel
def _hand_over(net: Any, plane: Any, socket: int) -> int:
    """Send every packet that is due and free those that were dropped; how many there were."""
    ready = net.state[READY]
    for index in range(ready):
        slot = net.ready[index]
        packet = net.packets[slot]
        message = _message(plane, slot)
        if packet.fate == DELIVERED:
            fate = DELIVERED
            if _send_identity(plane, socket, packet.target) < 0:
                fate = PEER_FULL if zmq_errno() == EAGAIN else PEER_GONE
            elif zmq_msg_send(message, socket, DONTWAIT) < 0:
                fate = PEER_GONE
            now = clock_ns(plane.scratch)
            net.fates[packet.traffic_class, fate] += 1
            write_log(net, slot, fate, packet.due_ns, now, packet.link)
            if fate == DELIVERED:
                net.totals[DELIVERED_BYTES] += packet.length
                late = now - packet.due_ns
                record(plane.lateness, late)
                flags = (packet.header[5] >> 40) & 0xFF
                # A relayed packet carries the stamp of its first sender, not of the relay.
                if (flags & FLAG_HOST_CLOCK) != 0 and ((packet.header[0] >> 32) & 0xFFFFFFFF) == packet.port:
                    pick_up = packet.ingress_ns - packet.header[3]
                    record(plane.delay_error, late + pick_up)
        zmq_msg_close(message)
        zmq_msg_init(message)
        release(net, slot)
    net.state[READY] = 0
    return ready


@packet_kernel
def run(net: Any, plane: Any, socket: int, descriptor: int) -> None:
    """Run until control[STOP]. `socket` is a ROUTER's address, `descriptor` its ZMQ_FD."""
    slots = net.packets.shape[0]
    for slot in range(slots + 2):
        zmq_msg_init(_message(plane, slot))
    while load_acquire(plane.control, STOP) == 0:
        moved = 0
        while moved < _BURST and _receive(net, plane, socket) != 0:
            moved += 1
        advance(net, clock_ns(plane.scratch))
        moved += _hand_over(net, plane, socket)
        # ZMQ_FD tells of changes only: sleep after a turn in which there was nothing at all to do.
        if moved == 0:
            left = next_event_ns(net) - clock_ns(plane.scratch) - plane.control[SPIN_NS]
            if left > 0:
                plane.control[SLEEPS] += 1
                wait_readable(descriptor, min(left, _LONGEST_SLEEP_NS), plane.scratch)
    for slot in range(slots + 2):
        zmq_msg_close(_message(plane, slot))


@packet_kernel
def probe_timer(control: Any, histogram: Any, scratch: Any, never_ready: int, period_ns: int) -> None:
    """Until control[STOP]: sleep to the next multiple of `period_ns`, record how late the machine woke us.

    `never_ready` is a descriptor on which nothing ever comes. What this records is the machine's own part
    in every lateness.
    """
    due = clock_ns(scratch)
    while load_acquire(control, STOP) == 0:
        due += period_ns
        left = due - clock_ns(scratch)
        if left > 0:
            wait_readable(never_ready, left, scratch)
            record(histogram, clock_ns(scratch) - due)


@packet_kernel
def fill_idle_time(control: Any) -> None:
    """Spin until control[STOP], so that the core never goes to sleep; for a thread that yields to all."""
    while load_acquire(control, STOP) == 0:
        pass


#: libzmq must be loaded into the process before `run` is compiled or taken from the cache
LIBRARY: Final = libzmq.find_library()
