"""Compiled load for ZeroMQ sockets: messages sent flat out or at a pace, and received, without the GIL.

What benchmarks and soaks put on both sides of whatever carries the messages, so that it alone differs. The
two sides may be different processes: what they tell each other is in an array of shared memory, by which the
sender keeps to a window and so loses nothing.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from emulator.dataplane.histogram import record
from emulator.dataplane.libzmq import (
    MSG_BYTES,
    clock_ns,
    wait_ready,
    word_at,
    zmq_msg_close,
    zmq_msg_data,
    zmq_msg_init,
    zmq_msg_recv,
    zmq_msg_size,
    zmq_send,
)
from emulator.jit import load_acquire, packet_kernel, store_release
from nodes.wire import HEADER_BYTES

# words of the shared array, each on a cache line of its own
SENT: Final = 0
RECEIVED: Final = 8
STOP: Final = 16
FIRST_NS: Final = 24  # when the first message came
LAST_NS: Final = 32  # when the last one came
DISORDER: Final = 40  # messages that came after one of a higher number
FAILED: Final = 48  # sends and receives that ended with an error
SHARED_WORDS: Final = 64

# words of the packet header (nodes.wire)
_NUMBER: Final = 2
_SENT_NS: Final = 3

#: how often the receiver tells how far it is, and the sender looks when its window is full
_TELL_EVERY: Final = 16
_PAUSE_NS: Final = 20_000


def make_packet(header: bytes, size: int) -> np.ndarray[Any, Any]:
    """A packet of `size` bytes as int64 words that begin with `header`; its sender numbers it."""
    octets = np.zeros(-(-size // 8) * 8, np.uint8)
    octets[: len(header)] = np.frombuffer(header, np.uint8)
    return octets.view(np.int64)


@packet_kernel
def send_flat_out(
    socket: int, packet: Any, size: int, count: int, window: int, scratch: Any, shared: Any
) -> int:
    """Send `count` messages as fast as they are taken; how many were.

    Never more than `window` ahead of the receiver. `socket` is the address of one that blocks.
    """
    sent = 0
    while sent < count and load_acquire(shared, STOP) == 0:
        if sent - load_acquire(shared, RECEIVED) >= window:
            wait_ready(scratch, 0, _PAUSE_NS, scratch)
        else:
            packet[_NUMBER] = sent
            if zmq_send(socket, packet.ctypes.data, size, 0) < 0:
                shared[FAILED] += 1
                break
            sent += 1
    store_release(shared, SENT, sent)
    return sent


@packet_kernel
def send_paced(
    socket: int, packet: Any, size: int, count: int, period_ns: int, jitter_ns: int, scratch: Any, shared: Any
) -> int:
    """Send a message every `period_ns`, stamped with the clock, `count` times or until STOP; how many.

    Each is moved by up to `jitter_ns`, the same in every run, so that none keeps step with anything.
    """
    sent = 0
    start_ns = clock_ns(scratch)
    word = np.uint64(1)
    while sent < count and load_acquire(shared, STOP) == 0:
        due_ns = start_ns + sent * period_ns
        if jitter_ns > 0:
            # Marsaglia's xorshift64
            word ^= word << np.uint64(13)
            word ^= word >> np.uint64(7)
            word ^= word << np.uint64(17)
            due_ns += int(word >> np.uint64(1)) % jitter_ns
        left_ns = due_ns - clock_ns(scratch)
        if left_ns > 0:
            wait_ready(scratch, 0, left_ns, scratch)
        packet[_NUMBER] = sent
        packet[_SENT_NS] = clock_ns(scratch)
        if zmq_send(socket, packet.ctypes.data, size, 0) < 0:
            shared[FAILED] += 1
            break
        sent += 1
        store_release(shared, SENT, sent)
    return sent


@packet_kernel
def receive(socket: int, count: int, delays: Any, scratch: Any, shared: Any) -> int:
    """Receive `count` messages, or until none comes for the socket's RCVTIMEO; how many came.

    `delays`: a histogram of the time since each was sent, for those that are stamped.
    """
    message = scratch.ctypes.data + 64
    zmq_msg_init(message)
    received = 0
    last = -1
    while received < count and zmq_msg_recv(message, socket, 0) >= 0:
        if received == 0:
            shared[FIRST_NS] = clock_ns(scratch)
        received += 1
        if zmq_msg_size(message) >= HEADER_BYTES:
            content = zmq_msg_data(message)
            number = word_at(content + 8 * _NUMBER)
            shared[DISORDER] += number < last
            last = max(last, number)
            sent_ns = word_at(content + 8 * _SENT_NS)
            if sent_ns > 0:
                record(delays, clock_ns(scratch) - sent_ns)
        if received % _TELL_EVERY == 0 or received == count:
            store_release(shared, RECEIVED, received)
            shared[LAST_NS] = clock_ns(scratch)
    store_release(shared, RECEIVED, received)
    zmq_msg_close(message)
    return received


@packet_kernel
def receive_each(socket: int, numbers: Any, delays_ns: Any, scratch: Any) -> int:
    """Receive messages until the arrays are full or none comes for the socket's RCVTIMEO; how many came.

    For each its number, and the time since it was sent, ns.
    """
    message = scratch.ctypes.data + 64
    zmq_msg_init(message)
    received = 0
    while received < numbers.shape[0] and zmq_msg_recv(message, socket, 0) >= 0:
        now_ns = clock_ns(scratch)
        if zmq_msg_size(message) >= HEADER_BYTES:
            content = zmq_msg_data(message)
            numbers[received] = word_at(content + 8 * _NUMBER)
            delays_ns[received] = now_ns - word_at(content + 8 * _SENT_NS)
            received += 1
    zmq_msg_close(message)
    return received


def make_receiver_scratch() -> np.ndarray[Any, Any]:
    """Scratch of `receive`: a clock's words, and a message."""
    return np.zeros((64 + MSG_BYTES) // 8, np.int64)
