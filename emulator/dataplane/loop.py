"""The real-time loop, compiled: packets in, the network in between, packets out when due.

One thread runs it without the GIL. In a turn it lets the network advance to the present, receives what has
come, hands over what is due, and sleeps when there was nothing to do, until the next thing is due or
something comes. Nothing is allocated; peers and IP interfaces have modules of their own.

All that a turn receives enters the network at one time, that to which the network was advanced just before:
so what happened before happens before, and a replay has the same order. The burst is short, so that
this time is no more than a few microseconds off.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from emulator.dataplane import libzmq
from emulator.dataplane.histogram import record
from emulator.dataplane.libzmq import clock_ns, thread_cpu_ns, wait_ready
from emulator.dataplane.measures import Measures
from emulator.dataplane.peers import (
    Peers,
    close_messages,
    copy_message,
    finish,
    open_messages,
    receive,
    send,
)
from emulator.dataplane.tun import ATTACHED, FIRST_PORT, IpPlane, copy_frame, hand_over_frames, receive_frames
from emulator.jit import inline_packet_kernel, load_acquire, packet_kernel
from emulator.layout import COPIES, IN_USE, MAILBOX_SLOTS, READY, TAKEN
from emulator.network import advance, next_event_ns

# words of `control`
STOP: Final = 0  # not zero: leave the loop
SPIN_NS: Final = 8  # stay awake this long before something is due
STARTED: Final = 9  # when the first packet came in, ns; 0: none yet
SLEEPS: Final = 10
TURNS: Final = 11
RUN_SINCE: Final = 12  # when the loop began, ns
LOOKED: Final = 13  # when it last looked at its own processor time, ns
CPU_NS: Final = 14  # that processor time
CPU_SINCE: Final = 15  # the same when the loop began

#: messages that enter the network at one time
_BURST: Final = 16
#: packets handed over between two looks at the clock
_GROUP: Final = 8
#: longest sleep: the mailbox is looked at this often even when nothing moves
_LONGEST_SLEEP_NS: Final = 5_000_000
#: how often the loop looks at its own processor time, a system call
_LOOK_NS: Final = 100_000_000


class Plane(NamedTuple):
    """What the loop has besides the network."""

    control: Any  # int64 [16]
    scratch: Any  # int64 [8]
    peers: Peers
    ip: IpPlane
    measures: Measures


@inline_packet_kernel
def _fill_copies(net: Any, plane: Plane) -> None:
    """Give every duplicate made on the way the content of its original."""
    for index in range(net.state[COPIES]):
        copy = net.copies[index]
        packet = net.packets[copy]
        first = plane.ip.words[FIRST_PORT]
        if packet.port >= first or packet.target >= first:
            copy_frame(net, plane.ip, copy)
        else:
            copy_message(net, plane.peers, copy)
    net.state[COPIES] = 0


@inline_packet_kernel
def _hand_over(net: Any, plane: Plane, socket: int) -> int:
    """Hand over every packet that is due and free those that were dropped; how many there were.

    The clock is read after a group has been sent: no packet's lateness is told too small.
    """
    first = plane.ip.words[FIRST_PORT]
    index = 0
    # An answer to a packet that was dropped may itself be dropped at once, and join the end.
    while index < net.state[READY]:
        end = index
        last = min(index + _GROUP, net.state[READY])
        while end < last:
            slot = net.ready[end]
            packet = net.packets[slot]
            if packet.port >= first or packet.target >= first:
                break
            send(net, plane.peers, slot, socket)
            end += 1
        now_ns = clock_ns(plane.scratch)
        while index < end:
            finish(net, plane.peers, plane.measures, net.ready[index], now_ns)
            index += 1
        if index < last:
            index += hand_over_frames(net, plane.ip, index, now_ns)
    net.state[READY] = 0
    return index


@inline_packet_kernel
def _look_at_itself(plane: Plane, now_ns: int) -> None:
    control = plane.control
    control[TURNS] += 1
    if now_ns - control[LOOKED] > _LOOK_NS:
        control[LOOKED] = now_ns
        control[CPU_NS] = thread_cpu_ns(plane.scratch)


@packet_kernel
def _note_table(net: Any, plane: Plane, table: int, began_ns: int) -> None:
    """Link tables from number `table` on are in force: how long after each was due, and how long it took."""
    now_ns = clock_ns(plane.scratch)
    record(plane.measures.taking, now_ns - began_ns)
    for number in range(table, net.mailbox[TAKEN]):
        due_ns = net.mail_time[number % MAILBOX_SLOTS]
        # The first may be due since ever.
        if due_ns >= plane.control[RUN_SINCE]:
            record(plane.measures.in_force, now_ns - due_ns)


@packet_kernel
def run(net: Any, plane: Plane, socket: int) -> None:
    """Run until control[STOP]. `socket` is a ROUTER's address, the first of plane.ip.poll its ZMQ_FD."""
    control = plane.control
    scratch = plane.scratch
    open_messages(plane.peers)
    control[RUN_SINCE] = clock_ns(scratch)
    control[CPU_SINCE] = thread_cpu_ns(scratch)
    while load_acquire(control, STOP) == 0:
        now_ns = clock_ns(scratch)
        table = net.mailbox[TAKEN]
        advance(net, now_ns)
        if net.mailbox[TAKEN] != table:
            _note_table(net, plane, table, now_ns)
        _fill_copies(net, plane)
        moved = 0
        while moved < _BURST and receive(net, plane.peers, plane.measures, socket, now_ns) != 0:
            moved += 1
        moved += receive_frames(net, plane.ip, now_ns)
        if control[STARTED] == 0 and net.state[IN_USE] > 0:
            control[STARTED] = now_ns
        moved += _hand_over(net, plane, socket)
        _look_at_itself(plane, now_ns)
        # ZMQ_FD tells of changes only: sleep after a turn in which there was nothing at all to do.
        if moved == 0:
            now_ns = clock_ns(scratch)
            left_ns = min(next_event_ns(net), now_ns + _LONGEST_SLEEP_NS) - now_ns - control[SPIN_NS]
            if left_ns > 0:
                control[SLEEPS] += 1
                wait_ready(plane.ip.poll, 1 + plane.ip.words[ATTACHED], left_ns, scratch)
    control[CPU_NS] = thread_cpu_ns(scratch)
    control[LOOKED] = clock_ns(scratch)
    close_messages(plane.peers)


@packet_kernel
def probe_timer(control: Any, histogram: Any, scratch: Any, poll: Any, period_ns: int) -> None:
    """Until control[STOP]: sleep to the next multiple of `period_ns`, record how late the machine woke us.

    `poll` is one descriptor on which nothing ever comes. What this records is the machine's own part
    in every lateness.
    """
    due = clock_ns(scratch)
    while load_acquire(control, STOP) == 0:
        due += period_ns
        left = due - clock_ns(scratch)
        if left > 0:
            wait_ready(poll, 1, left, scratch)
            record(histogram, clock_ns(scratch) - due)


@packet_kernel
def fill_idle_time(control: Any) -> None:
    """Spin until control[STOP], so that the core never goes to sleep; for a thread that yields to all."""
    while load_acquire(control, STOP) == 0:
        pass


#: libzmq must be loaded into the process before `run` is compiled or taken from the cache
LIBRARY: Final = libzmq.find_library()
