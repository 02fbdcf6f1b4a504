"""ZeroMQ peers of the loop: messages of a ROUTER socket into the network, and back out of it when due.

A message stays the structure libzmq received it in; content is never copied, save that of a packet whose
bits are to be damaged. What is no packet, or from nobody's port, is counted and let go.

Messages are received first and enter the network afterwards, at a time that was taken in between: the loop
may be kept from running at any moment, and a packet that entered at a time before it came would be due
before its delay is over. All of a burst enter at the same time, in the order of their ports: a replay knows
time, port and number, and so has them in the same order.
"""

# mypy: no-warn-return-any
# To mypy the result of a compiled kernel is Any.

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from emulator.accounting import DELIVERED, MALFORMED, PEER_FULL, PEER_GONE
from emulator.dataplane.libzmq import (
    DONTWAIT,
    EAGAIN,
    MSG_BYTES,
    SNDMORE,
    clock_ns,
    memcpy,
    word_at,
    zmq_errno,
    zmq_msg_close,
    zmq_msg_copy,
    zmq_msg_data,
    zmq_msg_init,
    zmq_msg_init_size,
    zmq_msg_more,
    zmq_msg_recv,
    zmq_msg_send,
    zmq_msg_size,
    zmq_send,
)
from emulator.dataplane.measures import UNKNOWN, credit_ns, handed_over, note_pick_up, pick_up_ns
from emulator.jit import inline_packet_kernel, packet_kernel
from emulator.layout import ENTERED, ENTERED_BYTES, HEADER_WORDS, SERVICE
from emulator.links.faults import damage
from emulator.links.random import mix
from emulator.links.state import CLASSES, CORRUPT
from emulator.network import ingress, release
from nodes.wire import CHANNEL_PORT, HEADER_BYTES, MAGIC, MAX_PACKET_BYTES, VERSION

# words of `words`
UNKNOWN_PEERS: Final = 0  # messages of an identity that is no port's
RECEIVED: Final = 1
DAMAGED: Final = 2  # packets sent on with a bit flipped
WAITING: Final = 3  # messages received that have not entered

_IDENTITY_BYTES: Final = 5
_IDENTITY_MASK: Final = (1 << 8 * _IDENTITY_BYTES) - 1
_MAGIC_VERSION: Final = MAGIC | (VERSION << 16)
#: messages that are received before they enter the network
BURST: Final = 16
#: messages besides those of packets and of a burst: the sender's identity, a damaged one
_SPARE: Final = 2

# columns of `waiting`, followed by the words of the header
_PORT: Final = 0
_SIZE: Final = 1
_HEADER: Final = 2


class Peers(NamedTuple):
    """What the loop has for its ZeroMQ peers. Made by `make_peers`."""

    messages: Any  # uint8 [slots + BURST + _SPARE, MSG_BYTES]
    of_slot: (
        Any  # int32 [slots]: message of the packet in each slot of the network, an empty one in free slots
    )
    of_burst: Any  # int32 [BURST]: messages received that have not entered
    waiting: Any  # int64 [BURST, _HEADER + HEADER_WORDS]: and what they say
    order: Any  # int64 [BURST]: of the burst, by port
    identity: Any  # int64 [1]: of the peer being sent to
    damaged: Any  # uint8 [MAX_PACKET_BYTES]: where bits are flipped
    words: Any  # int64 [8], see above


def make_peers(slots: int) -> Peers:
    """Room for the messages of a network of `slots` packets."""
    return Peers(
        messages=np.zeros((slots + BURST + _SPARE, MSG_BYTES), np.uint8),
        of_slot=np.arange(slots, dtype=np.int32),
        of_burst=np.arange(slots, slots + BURST, dtype=np.int32),
        waiting=np.zeros((BURST, _HEADER + HEADER_WORDS), np.int64),
        order=np.zeros(BURST, np.int64),
        identity=np.zeros(1, np.int64),
        damaged=np.zeros(MAX_PACKET_BYTES, np.uint8),
        words=np.zeros(8, np.int64),
    )


@inline_packet_kernel
def _message(peers: Any, number: int) -> int:
    """Address of a message."""
    return peers.messages.ctypes.data + number * MSG_BYTES


@packet_kernel
def open_messages(peers: Any) -> None:
    """Make every message an empty one."""
    for number in range(peers.messages.shape[0]):
        zmq_msg_init(_message(peers, number))


@packet_kernel
def close_messages(peers: Any) -> None:
    """Let go of whatever messages still hold."""
    for number in range(peers.messages.shape[0]):
        zmq_msg_close(_message(peers, number))


@inline_packet_kernel
def _send_identity(peers: Any, socket: int, port: int) -> int:
    peers.identity[0] = 1 | (port << 8)
    return zmq_send(socket, peers.identity.ctypes.data, _IDENTITY_BYTES, SNDMORE | DONTWAIT)


@packet_kernel
def _discard_rest(message: int, socket: int) -> None:
    while zmq_msg_more(message) != 0:
        if zmq_msg_recv(message, socket, DONTWAIT) < 0:
            break


@packet_kernel
def _echo(peers: Any, socket: int, port: int, body: int) -> None:
    """A packet to the channel itself goes straight back; a peer that does not read loses it."""
    if _send_identity(peers, socket, port) >= 0:
        zmq_msg_send(body, socket, DONTWAIT)


@inline_packet_kernel
def _receive_one(net: Any, peers: Any, socket: int) -> int:
    """Take one message from the socket, to wait if it is a packet; 0 when there was none."""
    sender = _message(peers, peers.messages.shape[0] - 1)
    if zmq_msg_recv(sender, socket, DONTWAIT) < 0:
        return 0
    peers.words[RECEIVED] += 1
    # The identity is in the message structure itself, so the word may be read whole.
    port = -1
    if zmq_msg_size(sender) == _IDENTITY_BYTES:
        identity = word_at(zmq_msg_data(sender)) & _IDENTITY_MASK
        if identity & 0xFF == 1:
            port = identity >> 8
    count = peers.words[WAITING]
    body = _message(peers, peers.of_burst[count])
    if zmq_msg_more(sender) == 0 or zmq_msg_recv(body, socket, DONTWAIT) < 0:
        return 1
    single = zmq_msg_more(body) == 0
    if not single:
        _discard_rest(body, socket)
    if port <= 0 or port >= net.port_place.shape[0] or net.port_place[port] < 0:
        peers.words[UNKNOWN_PEERS] += 1
        return 1
    size = int(zmq_msg_size(body))
    waiting = peers.waiting[count]
    valid = single and HEADER_BYTES <= size <= MAX_PACKET_BYTES
    if valid:
        content = zmq_msg_data(body)
        for word in range(HEADER_WORDS):
            waiting[_HEADER + word] = word_at(content + 8 * word)
        valid = (waiting[_HEADER] & 0xFFFFFF) == _MAGIC_VERSION
    if not valid:
        net.totals[ENTERED] += 1
        net.totals[ENTERED_BYTES] += size
        net.entered[0] += 1
        net.fates[0, MALFORMED] += 1
    elif waiting[_HEADER + 1] & 0xFFFFFFFF == CHANNEL_PORT:
        net.totals[SERVICE] += 1
        _echo(peers, socket, port, body)
    else:
        waiting[_PORT] = port
        waiting[_SIZE] = size
        peers.words[WAITING] = count + 1
    return 1


@inline_packet_kernel
def receive(net: Any, peers: Any, socket: int) -> int:
    """Take messages from the socket until it has none or a burst is full; how many there were.

    They enter the network with `enter_received`, which must be called before this is again.
    """
    received = 0
    while received < BURST and _receive_one(net, peers, socket) != 0:
        received += 1
    return received


@inline_packet_kernel
def _sort(peers: Any, count: int) -> None:
    """Put those that wait in the order of their ports, those of one port as they came."""
    order, waiting = peers.order, peers.waiting
    for index in range(count):
        port = waiting[index, _PORT]
        here = index
        while here > 0 and waiting[order[here - 1], _PORT] > port:
            order[here] = order[here - 1]
            here -= 1
        order[here] = index


@inline_packet_kernel
def enter_received(net: Any, peers: Any, measures: Any, now_ns: int) -> None:
    """Let what was received enter the network, which was advanced to `now_ns`, a time read since."""
    count = peers.words[WAITING]
    _sort(peers, count)
    for place in range(count):
        index = peers.order[place]
        waiting = peers.waiting[index]
        header = waiting[_HEADER:]
        port = waiting[_PORT]
        destination = header[1] & 0xFFFFFFFF
        via = (header[1] >> 32) & 0xFFFFFFFF
        picked_up_ns = pick_up_ns(header, port, now_ns)
        credit = credit_ns(measures, picked_up_ns)
        if picked_up_ns != UNKNOWN:
            note_pick_up(measures, port, picked_up_ns)
        traffic_class = min((header[5] >> 32) & 0xFF, CLASSES - 1)
        target = via if via != 0 else destination
        slot = ingress(net, now_ns, port, target, waiting[_SIZE], traffic_class, credit, header)
        if slot >= 0:
            measures.picked_up[slot] = picked_up_ns
            measures.credit[slot] = credit
            # They change places: an empty message, for the one that came.
            empty = peers.of_slot[slot]
            peers.of_slot[slot] = peers.of_burst[index]
            peers.of_burst[index] = empty
    peers.words[WAITING] = 0


@packet_kernel
def _send_damaged(net: Any, peers: Any, slot: int, socket: int) -> int:
    """Send a copy of a message with one bit of its payload flipped; as zmq_msg_send.

    The header stays whole: with it the testbed keeps its books, and real links protect theirs. Which bit is
    a function of the packet, so a replay of the run flips the same. A duplicate shares the content of
    its original, so it is not touched itself.
    """
    packet = net.packets[slot]
    message = _message(peers, peers.of_slot[slot])
    made = _message(peers, peers.messages.shape[0] - 2)
    size = packet.length
    frame = peers.damaged
    memcpy(frame.ctypes.data, zmq_msg_data(message), size)
    damage(
        frame, HEADER_BYTES, size - HEADER_BYTES, mix(np.uint64(packet.number) ^ net.links[packet.link].key)
    )
    zmq_msg_close(made)
    if zmq_msg_init_size(made, size) != 0:
        # No memory: it goes as it is.
        zmq_msg_init(made)
        return zmq_msg_send(message, socket, DONTWAIT)
    memcpy(zmq_msg_data(made), frame.ctypes.data, size)
    peers.words[DAMAGED] += 1
    return zmq_msg_send(made, socket, DONTWAIT)


@inline_packet_kernel
def send(net: Any, peers: Any, measures: Any, slot: int, socket: int, scratch: Any) -> None:
    """Send a delivered packet to its peer; its `fate` says what came of it."""
    packet = net.packets[slot]
    measures.released[slot] = clock_ns(scratch)
    if packet.fate == DELIVERED:
        if _send_identity(peers, socket, packet.target) < 0:
            packet.fate = PEER_FULL if zmq_errno() == EAGAIN else PEER_GONE
        elif packet.marks & CORRUPT:
            if _send_damaged(net, peers, slot, socket) < 0:
                packet.fate = PEER_GONE
        elif zmq_msg_send(_message(peers, peers.of_slot[slot]), socket, DONTWAIT) < 0:
            packet.fate = PEER_GONE


@inline_packet_kernel
def finish(net: Any, peers: Any, measures: Any, slot: int, now_ns: int) -> None:
    """Book a packet that was sent, or dropped on the way, and free its slot."""
    packet = net.packets[slot]
    fate = packet.fate
    if fate in (DELIVERED, PEER_FULL, PEER_GONE):
        handed_over(net, measures, slot, fate, now_ns)
    measures.picked_up[slot] = UNKNOWN
    if fate != DELIVERED or packet.marks & CORRUPT:
        # libzmq leaves an empty message where it has sent one.
        message = _message(peers, peers.of_slot[slot])
        zmq_msg_close(message)
        zmq_msg_init(message)
    release(net, slot)


@inline_packet_kernel
def copy_message(net: Any, peers: Any, copy: int) -> None:
    """Let the duplicate in slot `copy` carry what its original (`twin`) carries; the content is shared."""
    original = peers.of_slot[net.packets[copy].twin]
    zmq_msg_copy(_message(peers, peers.of_slot[copy]), _message(peers, original))
