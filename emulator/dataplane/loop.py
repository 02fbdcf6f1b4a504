"""The real-time loop, compiled: packets in, the network in between, packets out when due.

One thread runs it without the GIL. In a turn it lets the network advance to the present, lets enter what
the last turn has received, receives more, hands over what is due, and sleeps when there was nothing to do,
until the next thing is due or something comes. Nothing is allocated; peers and IP interfaces have modules
of their own.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from emulator.dataplane import libzmq
from emulator.dataplane.histogram import record
from emulator.dataplane.libzmq import clock_ns, thread_cpu_ns, wait_ready
from emulator.dataplane.measures import Measures
from emulator.dataplane.peers import (
    BURST,
    Peers,
    close_messages,
    copy_message,
    enter_received,
    finish,
    open_messages,
    receive,
    send,
)
from emulator.dataplane.tun import ATTACHED, FIRST_PORT, IpPlane, copy_frame, hand_over_frames, receive_frames
from emulator.jit import inline_packet_kernel, load_acquire, packet_kernel
from emulator.layout import COPIES, IN_USE, MAILBOX_SLOTS, READY, TAKEN
from emulator.mailbox import table_ns
from emulator.network import advance, next_event_ns

# words of `control`
STOP: Final = 0  # not zero: leave the loop
SPIN_NS: Final = 8  # stay awake this long before something is due
REST_NS: Final = 9  # when there is much to do, and for a moment nothing, let others run for so long; 0: never
STARTED: Final = 10  # when the first packet came in, ns; 0: none yet
TURNS: Final = 11
SLEEPS: Final = 12
RESTS: Final = 13
RUN_SINCE: Final = 14  # when the loop began, ns
LOOKED: Final = 15  # when it last looked at its own processor time, ns
CPU_NS: Final = 16  # that processor time
CPU_SINCE: Final = 17  # the same when the loop began
_LISTEN: Final = 18  # when to look at the socket again, ns
_IDLE: Final = 19  # 1: the last turn had nothing to do
_MOVED: Final = 20  # packets received and handed over since _COUNTED
_COUNTED: Final = 21
_BUSY: Final = 22  # 1: much to do
NAP_NS: Final = 23  # sleep at least so long of every ms; 0: no need
_SLEPT: Final = 24  # ns slept since _COUNTED, naps not counted
_NAP: Final = 25  # ns still to be slept for the last stretch
CONTROL_WORDS: Final = 32

#: packets handed over between two looks at the clock
_GROUP: Final = 8
#: once found empty, the socket is let alone for so long, if there is no sleep: to look is a system call
_PAUSE_NS: Final = 4_000
#: longest sleep: the mailbox is looked at this often even when nothing moves
_LONGEST_SLEEP_NS: Final = 5_000_000
#: how often the loop looks at its own processor time, a system call
_LOOK_NS: Final = 100_000_000
#: there is much to do when a packet is received or handed over this often, over a stretch of so long
_MUCH_NS: Final = 5_000
_STRETCH_NS: Final = 1_000_000
#: how long into a stretch the loop looks for a moment in which a nap makes nothing late
_CHOICE_NS: Final = 300_000
#: a link table that is due so soon finds the loop awake
_AWAKE_NS: Final = 80_000


class Plane(NamedTuple):
    """What the loop has besides the network."""

    control: Any  # int64 [CONTROL_WORDS]
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

    The clock is read before each is sent, which is its release, and after a group of them.
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
            send(net, plane.peers, plane.measures, slot, socket, plane.scratch)
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
def _listen(net: Any, plane: Plane, socket: int, now_ns: int) -> int:
    """Let what was received last enter the network, and receive more; how many packets that was."""
    enter_received(net, plane.peers, plane.measures, now_ns)
    moved = 0
    if now_ns >= plane.control[_LISTEN]:
        moved = receive(net, plane.peers, socket)
        if moved < BURST:
            plane.control[_LISTEN] = now_ns + _PAUSE_NS
    return moved + receive_frames(net, plane.ip, now_ns)


@inline_packet_kernel
def _count(plane: Plane, moved: int, now_ns: int) -> None:
    """Note how much there is to do, and now and then what the loop itself has cost."""
    control = plane.control
    control[TURNS] += 1
    control[_MOVED] += moved
    if now_ns - control[_COUNTED] > _STRETCH_NS:
        control[_BUSY] = control[_MOVED] * _MUCH_NS > now_ns - control[_COUNTED]
        control[_NAP] = max(0, control[NAP_NS] - control[_SLEPT])
        control[_SLEPT] = 0
        control[_MOVED] = 0
        control[_COUNTED] = now_ns
    if now_ns - control[LOOKED] > _LOOK_NS:
        control[LOOKED] = now_ns
        control[CPU_NS] = thread_cpu_ns(plane.scratch)


@inline_packet_kernel
def _wait(plane: Plane, descriptors: int, time_ns: int, now_ns: int) -> None:
    wait_ready(plane.ip.poll, descriptors, time_ns, plane.scratch)
    plane.control[_SLEPT] += clock_ns(plane.scratch) - now_ns
    plane.control[_LISTEN] = now_ns


@inline_packet_kernel
def _sleep(net: Any, plane: Plane, moved: int) -> None:
    """Sleep when there is nothing to do: until shortly before something is due, or until something comes.

    ZMQ_FD tells of changes only, so there is no sleep but after two turns of which the second has looked.
    When there is much to do, what comes is left to gather for a moment, and the processor to those who
    send and receive: where cores are few, they are what everything waits for. And a thread with priority
    that never slept would be put to sleep by the system, for far longer than it takes to please it.
    """
    control = plane.control
    if moved != 0:
        control[_IDLE] = 0
    if moved == 0 or control[_NAP] > 0:
        now_ns = clock_ns(plane.scratch)
        left_ns = min(next_event_ns(net), now_ns + _LONGEST_SLEEP_NS) - now_ns
        # A link table is not kept waiting by what may be done at another moment.
        pause_ns = min(table_ns(net), now_ns + _LONGEST_SLEEP_NS) - now_ns - _AWAKE_NS
        if 0 < control[_NAP] < pause_ns and (
            left_ns > control[_NAP] or now_ns - control[_COUNTED] > _CHOICE_NS
        ):
            slept_ns = control[_SLEPT]
            _wait(plane, 0, control[_NAP], now_ns)
            control[_SLEPT] = slept_ns
            control[_NAP] = 0
        elif moved == 0 and control[_BUSY] != 0 and 0 < control[REST_NS] < pause_ns:
            control[RESTS] += 1
            _wait(plane, 0, control[REST_NS], now_ns)
        elif moved == 0 and left_ns > control[SPIN_NS]:
            if control[_IDLE] != 0:
                control[SLEEPS] += 1
                _wait(plane, 1 + plane.ip.words[ATTACHED], left_ns - control[SPIN_NS], now_ns)
            control[_IDLE] ^= 1
            control[_LISTEN] = now_ns


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
    open_messages(plane.peers)
    control[RUN_SINCE] = clock_ns(plane.scratch)
    control[CPU_SINCE] = thread_cpu_ns(plane.scratch)
    while load_acquire(control, STOP) == 0:
        now_ns = clock_ns(plane.scratch)
        table = net.mailbox[TAKEN]
        advance(net, now_ns)
        if net.mailbox[TAKEN] != table:
            _note_table(net, plane, table, now_ns)
        _fill_copies(net, plane)
        moved = _listen(net, plane, socket, now_ns)
        if control[STARTED] == 0 and net.state[IN_USE] > 0:
            control[STARTED] = now_ns
        moved += _hand_over(net, plane, socket)
        _count(plane, moved, now_ns)
        _sleep(net, plane, moved)
    control[CPU_NS] = thread_cpu_ns(plane.scratch)
    control[LOOKED] = clock_ns(plane.scratch)
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
