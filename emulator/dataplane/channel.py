"""The channel as an object: a socket, a thread in the compiled loop, and what it has measured.

The shell around `loop.run`: makes and binds the socket, takes the best scheduling it may have, and reads
counters and histograms while the loop goes on. Loopback only: any other address is refused.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
import zmq

from emulator.accounting import DELIVERED, DROPS, FATE_NAMES
from emulator.dataplane import loop
from emulator.dataplane import realtime as host
from emulator.dataplane.histogram import make_histogram, summary_us
from emulator.dataplane.libzmq import MSG_BYTES
from emulator.jit import store_release
from emulator.layout import (
    COPIED,
    DELIVERED_BYTES,
    ENTERED,
    ENTERED_BYTES,
    HEADER_WORDS,
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
#: how often the machine's own timers are looked at
_PROBE_NS: Final = 10_000_000
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
    """A network in real time behind one ROUTER socket. Use as a context manager, or `start`, `stop`."""

    def __init__(
        self,
        net: Network,
        endpoint: str = "tcp://127.0.0.1:*",
        latency: str = "balanced",
        *,
        realtime: bool = True,
        core: int | None = None,
    ) -> None:
        require_loopback(endpoint)
        self.net = net
        self._plane = loop.Plane(
            control=np.zeros(16, np.int64),
            messages=np.zeros((len(net.packets) + 2, MSG_BYTES), np.uint8),
            identity=np.zeros(8, np.uint8),
            scratch=np.zeros(8, np.int64),
            header=np.zeros(HEADER_WORDS, np.int64),
            lateness=make_histogram(),
            delay_error=make_histogram(),
        )
        self._plane.control[loop.SPIN_NS] = _SPIN_NS[latency]
        self.latency = latency
        self._context = zmq.Context()
        self._priority = False
        self.scheduling = "default"
        #: whether the process's memory stays resident
        self.memory_locked = False
        self._core = core
        self._realtime = realtime
        if realtime:
            self._prefer_realtime()
            self.memory_locked = host.hold_memory()
        if not self._priority and latency == "balanced":
            self._plane.control[loop.SPIN_NS] = _SPIN_UNPRIVILEGED_NS
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
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise ChannelError(f"{endpoint} cannot be bound: {error.strerror}") from None
        self.endpoint = str(self._socket.get_string(zmq.LAST_ENDPOINT))
        self._timer = make_histogram()
        self._threads: list[threading.Thread] = []
        self._awake: int | None = None

    def _prefer_realtime(self) -> None:
        """Have libzmq's own thread scheduled like the loop's, where that is permitted."""
        if host.priority_permitted():
            self._context.set(zmq.THREAD_SCHED_POLICY, os.SCHED_FIFO)
            self._context.set(zmq.THREAD_PRIORITY, host.PRIORITY)
            self._priority = True
            self.scheduling = "SCHED_FIFO"

    def start(self) -> None:
        """Start the loop's thread, and beside it one that watches the machine's timers."""
        socket, descriptor = self._socket.underlying, self._socket.get(zmq.FD)
        never_ready, self._never_written = os.pipe()

        def carry() -> None:
            host.prefer_thread(self._priority, self._core)
            loop.run(self.net, self._plane, socket, descriptor)

        def watch() -> None:
            host.prefer_thread(self._priority, self._core)
            scratch = np.zeros(8, np.int64)
            loop.probe_timer(self._plane.control, self._timer, scratch, never_ready, _PROBE_NS)
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
            self._socket.close(0)
            self._context.term()

    def __enter__(self) -> Channel:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def add_port(self, port: int, place: int, host: int) -> None:
        """Let `port` stand at a place (index) whose column in the routes is `host`."""
        self.net.port_host[port] = host
        self.net.port_place[port] = place

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
            "delivered": int(fates[DELIVERED]),
            "delivered_bytes": int(self.net.totals[DELIVERED_BYTES]),
            "in_flight": int(self.net.state[IN_USE]),
            "fates": {FATE_NAMES[fate]: int(fates[fate]) for fate in DROPS},
            "packet_hops": int(self.net.state[PACKET_HOPS]),
            "late_tables": int(self.net.state[LATE_UPDATES]),
            "log_overflow": int(self.net.log_words[LOG_OVERFLOW]),
            "unknown_peers": int(self._plane.control[loop.UNKNOWN_PEERS]),
        }

    def lateness_us(self) -> dict[str, Any]:
        """Release minus due time of the packets handed over, us (histogram.summary_us)."""
        return summary_us(self._plane.lateness)

    def timer_us(self) -> dict[str, Any]:
        """How late the machine itself woke a thread of the same priority meanwhile, us."""
        return summary_us(self._timer)

    def delay_error_us(self) -> dict[str, Any]:
        """Delay from the sender's stamp to hand-over, minus the delay asked for, us."""
        return summary_us(self._plane.delay_error)
