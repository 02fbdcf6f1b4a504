"""The channel as an object: a socket, a thread in the compiled loop, and what it has measured.

The shell around `loop.run`: makes and binds the socket, takes the best scheduling it may have, and reads
counters and histograms while the loop goes on. Loopback only: any other address is refused. Peers reach
it over tcp, ipc or, in the same process, inproc, over several at once if wanted.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
import zmq

from emulator.accounting import DELIVERED, DROPS, FATE_NAMES
from emulator.dataplane import books, ip_plane, loop, measures
from emulator.dataplane import realtime as host
from emulator.dataplane.histogram import make_histogram, summary_us
from emulator.dataplane.libzmq import POLL_READABLE
from emulator.dataplane.peers import DAMAGED, UNKNOWN_PEERS, make_peers
from emulator.jit import store_release
from emulator.layout import (
    COPIED,
    DELIVERED_BYTES,
    ENTERED,
    ENTERED_BYTES,
    IN_USE,
    LATE_UPDATES,
    LOG_OVERFLOW,
    PACKET_HOPS,
    Network,
)

#: ns the loop stays awake before something is due
_SPIN_NS: Final = {"spin": 1 << 62, "balanced": 80_000, "economical": 0}
#: the same without priority, where timers wake a thread later
_SPIN_UNPRIVILEGED_NS: Final = 300_000
#: on fewer cores than these the loop, when there is much to do, rests for so long at a time: see loop._sleep
_ENOUGH_CORES: Final = 4
_REST_NS: Final = 100_000
#: what the loop with priority must sleep of every ms, or it and others would be stopped for 50 ms of a second
_NAP_NS: Final = 120_000
LATENCY_MODES: Final = tuple(_SPIN_NS)
#: messages a peer may be behind before packets for it are dropped under their own name
PEER_QUEUE: Final = 10_000
#: a peer that sends more in one message is cut off; what is merely longer than a packet is counted
LARGEST_MESSAGE: Final = 1 << 20


class ChannelError(RuntimeError):
    """The channel cannot be set up: the address is taken, or is not one it may bind."""


def require_loopback(endpoint: str) -> None:
    """ChannelError unless the endpoint stays on this machine."""
    parts = urlsplit(endpoint)
    if parts.scheme in ("ipc", "inproc"):
        return
    if parts.scheme != "tcp" or parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ChannelError(
            f"{endpoint!r} is not on the loopback interface; tcp://127.0.0.1:PORT (PORT may be *) is allowed"
        )


class Channel:
    """A network in real time behind one ROUTER socket. Use as a context manager, or `start`, `stop`.

    `endpoint`: one or several to bind: tcp on the loopback interface, ipc, or inproc, for which `context`
    must be the one the peers have. `latency`: "spin" (the loop hardly ever sleeps, which wants four cores),
    "balanced" (it is awake before something is due) or "economical" (it sleeps whenever it can). `realtime`:
    take what priority and memory the system permits. `core`: one that the loop has to itself.
    `ip_ports_from`: ports from this number on are IP interfaces. `compensate`: what a packet has been late on
    its way here, and is usually late on its way out, is taken off its delay (at most 1 ms; packets stamped
    with this host's clock). `probe_ns`: how often the machine's own timers are looked at.
    """

    def __init__(
        self,
        net: Network,
        endpoint: str | Sequence[str] = "tcp://127.0.0.1:*",
        latency: str = "balanced",
        *,
        realtime: bool = True,
        core: int | None = None,
        context: zmq.Context[Any] | None = None,
        ip_ports_from: int | None = None,
        compensate: bool = False,
        probe_ns: int = 10_000_000,
    ) -> None:
        wanted = [endpoint] if isinstance(endpoint, str) else list(endpoint)
        for one in wanted:
            require_loopback(one)
            if one.startswith("inproc:") and context is None:
                raise ChannelError(
                    f"{one!r} needs the ZeroMQ context that the peers have: context=... is missing"
                )
        if not wanted:
            raise ChannelError("endpoint is an empty list; at least one is needed")
        if latency not in _SPIN_NS:
            raise ChannelError(f"latency {latency!r} is not known; {', '.join(LATENCY_MODES)} are")
        self.net = net
        measured = measures.make_measures(len(net.links), len(net.port_place), len(net.packets))
        measured.words[measures.CREDIT] = compensate
        self._plane = loop.Plane(
            control=np.zeros(loop.CONTROL_WORDS, np.int64),
            scratch=np.zeros(8, np.int64),
            peers=make_peers(len(net.packets)),
            ip=ip_plane.make_ip_plane(
                len(net.packets),
                ip_plane.NO_PORT if ip_ports_from is None else ip_ports_from,
                lateness=measured.lateness,
            ),
            measures=measured,
        )
        self._plane.control[loop.SPIN_NS] = _SPIN_NS[latency]
        self.latency = latency
        self._own_context = context is None
        self._context: zmq.Context[Any] = zmq.Context() if context is None else context
        self._priority = False
        self.scheduling = "default"
        #: whether the process's memory stays resident
        self.memory_locked = False
        self._core = core
        self._probe_ns = probe_ns
        self._realtime = realtime
        if realtime:
            self._prefer_realtime()
            self.memory_locked = host.hold_memory()
        if not self._priority and latency == "balanced":
            self._plane.control[loop.SPIN_NS] = _SPIN_UNPRIVILEGED_NS
        if self._priority and host.priority_is_rationed():
            self._plane.control[loop.NAP_NS] = _NAP_NS
        if latency != "spin" and core is None and 0 < len(host.cores()) < _ENOUGH_CORES:
            self._plane.control[loop.REST_NS] = _REST_NS
        if core is not None:
            # The loop's alone: libzmq's thread would wait while the loop spins, then be in its way.
            self.scheduling += f", core {core} to itself"
        self._socket = self._context.socket(zmq.ROUTER)
        for option in (zmq.SNDHWM, zmq.RCVHWM):
            self._socket.set(option, PEER_QUEUE)
        self._socket.set(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.ROUTER_MANDATORY, 1)
        self._socket.set(zmq.ROUTER_HANDOVER, 1)
        bound = []
        for one in wanted:
            try:
                self._socket.bind(one)
            except zmq.ZMQError as error:
                self._close_socket()
                raise ChannelError(f"{one} cannot be bound: {error.strerror}") from None
            bound.append(str(self._socket.get_string(zmq.LAST_ENDPOINT)))
        #: where peers connect, in the order asked for; the first alone as `endpoint`
        self.endpoints = tuple(bound)
        self.endpoint = bound[0]
        self._plane.ip.poll[0] = POLL_READABLE | int(self._socket.get(zmq.FD))
        self._timer = make_histogram()
        self._threads: list[threading.Thread] = []
        self._awake: int | None = None

    def _prefer_realtime(self) -> None:
        """Have libzmq's own thread scheduled like the loop's, where that is permitted."""
        if host.priority_permitted():
            # A context that is not ours may have its threads already, and is its owner's to set.
            if self._own_context:
                self._context.set(zmq.THREAD_SCHED_POLICY, os.SCHED_FIFO)
                # A loop that never sleeps would keep it waiting, were they on the same core.
                above = int(self.latency == "spin")
                self._context.set(zmq.THREAD_PRIORITY, host.PRIORITY + above)
            self._priority = True
            self.scheduling = "SCHED_FIFO"

    def start(self) -> None:
        """Start the loop's thread, and beside it one that watches the machine's timers."""
        socket = self._socket.underlying
        never_ready, self._never_written = os.pipe()

        def carry() -> None:
            host.prefer_thread(self._priority, self._core)
            loop.run(self.net, self._plane, socket)

        def watch() -> None:
            host.prefer_thread(self._priority, self._core)
            scratch = np.zeros(8, np.int64)
            poll = np.array([POLL_READABLE | never_ready], np.int64)
            loop.probe_timer(self._plane.control, self._timer, scratch, poll, self._probe_ns)
            os.close(never_ready)
            os.close(self._never_written)

        def fill() -> None:
            assert self._core is not None
            host.become_idle_filler(self._core)
            loop.fill_idle_time(self._plane.control)

        mains = [("channel", carry), ("timer", watch)]
        if self.latency != "economical":
            self._awake = host.forbid_idle_states() if self._realtime else None
            if self._awake is not None:
                self.scheduling += ", idle states off"
            elif self._core is not None:
                self.scheduling += ", kept awake"
                mains.append(("filler", fill))
        for name, main in mains:
            thread = threading.Thread(target=main, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End the loop and close the socket; counters stay readable."""
        store_release(self._plane.control, loop.STOP, 1)
        while self._threads:
            self._threads.pop().join()
        if self._awake is not None:
            os.close(self._awake)
            self._awake = None
        if not self._socket.closed:
            self._close_socket()
            ip_plane.close_ip_plane(self._plane.ip)

    def _close_socket(self) -> None:
        self._socket.close(0)
        if self._own_context:
            self._context.term()

    def __enter__(self) -> Channel:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- ports --------------------------------------------------------------------------------

    def add_port(self, port: int, place: int, host: int) -> None:
        """Let `port` stand at a place (index) whose column in the routes is `host`."""
        self.net.port_host[port] = host
        self.net.port_place[port] = place

    def remove_port(self, port: int) -> None:
        """Let nobody hold `port` any more.

        What is under way to it goes as far as its place, and is NO_ROUTE there. New packets for it are
        UNKNOWN_DESTINATION; what its process still sends is that of an unknown peer.
        """
        self.net.port_place[port] = -1

    def attach_ip(self, port: int, descriptor: int) -> None:
        """Let the IP interface `port` be behind a TUN's descriptor."""
        ip_plane.attach(self._plane.ip, self.net, port, descriptor)

    def detach_ip(self, port: int) -> None:
        """Take an IP interface away again."""
        ip_plane.detach(self._plane.ip, port)

    # --- what it has counted and measured -----------------------------------------------------

    @property
    def first_packet_ns(self) -> int | None:
        """When the first packet entered the network, CLOCK_MONOTONIC ns."""
        return int(self._plane.control[loop.STARTED]) or None

    def counters(self) -> dict[str, Any]:
        """What has entered and what became of it. Exact once the loop has stopped."""
        fates = self.net.fates.sum(axis=0)
        return {
            "ingress": int(self.net.totals[ENTERED]),
            "ingress_bytes": int(self.net.totals[ENTERED_BYTES]),
            "copied": int(self.net.totals[COPIED]),
            # of those that entered: IP packets of interfaces, and what places answered them
            "ip_packets": self._ip_packets(),
            "delivered": int(fates[DELIVERED]),
            "delivered_bytes": int(self.net.totals[DELIVERED_BYTES]),
            "in_flight": int(self.net.state[IN_USE]),
            "fates": {FATE_NAMES[fate]: int(fates[fate]) for fate in DROPS},
            "packet_hops": int(self.net.state[PACKET_HOPS]),
            "late_tables": int(self.net.state[LATE_UPDATES]),
            "log_overflow": int(self.net.log_words[LOG_OVERFLOW]),
            "unknown_peers": int(self._plane.peers.words[UNKNOWN_PEERS]),
            "damaged": int(self._plane.peers.words[DAMAGED]),
        }

    def _ip_packets(self) -> int:
        first = int(self._plane.ip.words[ip_plane.FIRST_PORT])
        return int(self.net.port_packets[0] + self.net.port_packets[first:].sum())

    def books(self) -> dict[str, Any]:
        """What came in, went out and was dropped, by class and by link, while it goes on (`books.books`)."""
        return books.books(self.net)

    def lateness_us(self) -> dict[str, Any]:
        """Release minus due time of the packets handed over, us (histogram.summary_us)."""
        return summary_us(self._plane.measures.lateness)

    def sending_us(self) -> dict[str, Any]:
        """From release to when the transport had taken a packet, and woken whom it had to wake, us."""
        return summary_us(self._plane.measures.sending)

    def timer_us(self) -> dict[str, Any]:
        """How late the machine itself woke a thread of the same priority meanwhile, us."""
        return summary_us(self._timer)

    def delay_error_us(self) -> dict[str, Any]:
        """How far the delay from the sender's stamp to the end of hand-over was off the one asked for, us."""
        return summary_us(self._plane.measures.delay_error)

    def substrate_us(self, port: int | None = None) -> dict[str, Any]:
        """From the sender's stamp to the entry into the network, of all packets or those of one port, us."""
        return measures.substrate_us(self._plane.measures, port)

    def hand_over_us(self) -> dict[str, dict[str, Any]]:
        """Of link tables, us: `in_force`, how long after it was due; `taking`, how long the loop took."""
        measured = self._plane.measures
        return {"in_force": summary_us(measured.in_force), "taking": summary_us(measured.taking)}

    def per_link(self) -> dict[tuple[int, int], dict[str, dict[str, Any]]]:
        """`lateness_us` and `delay_error_us` of the packets whose last link was the one from place to place.

        Links after the first OWN_LINKS (measures) are together under (-1, -1).
        """
        return measures.per_link(self.net, self._plane.measures)

    def cpu_share(self) -> float | None:
        """Processor time of the loop as a share of the time since it began; None before it has looked."""
        control = self._plane.control
        elapsed = int(control[loop.LOOKED] - control[loop.RUN_SINCE])
        return float(control[loop.CPU_NS] - control[loop.CPU_SINCE]) / elapsed if elapsed > 0 else None

    def turns(self) -> dict[str, int]:
        """How often the loop went round, and how often it slept, and rested."""
        control = self._plane.control
        return {
            "turns": int(control[loop.TURNS]),
            "sleeps": int(control[loop.SLEEPS]),
            "rests": int(control[loop.RESTS]),
        }
