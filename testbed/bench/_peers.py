"""The processes of a data-plane benchmark: one sends, one receives, and one between them carries.

Each is a process of its own, so none waits for another's interpreter; the loads are compiled
(`emulator.dataplane.load`), and the same whatever carries them: the channel, or libzmq's own zmq_proxy.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

SOURCE_PORT: Final = 1
SINK_PORT: Final = 2
#: messages a socket may be behind: more than ever are under way, so that none is dropped there
HIGH_WATER: Final = 100_000
#: the longest that anything is waited for
PATIENCE_S: Final = 600.0
_POLL_MS: Final = 3_000
#: link tables are posted no longer than this before they are due
_MOST_AHEAD_NS: Final = 50_000_000


class PeerError(RuntimeError):
    """A process of the benchmark failed or did not answer."""


class Peer:
    """A process that does what it is asked for, one thing after the other."""

    def __init__(self, main: Callable[[Connection, str], None], shared: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=main, args=(theirs, shared), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    def ask(self, what: str, **options: Any) -> None:
        """Let it do `what`; the answer is `answer`'s. PeerError when it is not there any more."""
        try:
            self._connection.send((what, options))
        except OSError:
            raise PeerError("a process of the benchmark ended") from None

    def answer(self, patience_s: float = PATIENCE_S) -> Any:
        """What came of the last thing asked for; PeerError when that failed or takes too long."""
        if not self._connection.poll(patience_s):
            raise PeerError(f"a process of the benchmark did not answer within {patience_s:g} s")
        try:
            done, result = self._connection.recv()
        except (EOFError, OSError):
            raise PeerError("a process of the benchmark ended") from None
        if not done:
            raise PeerError(str(result))
        return result

    def do(self, what: str, **options: Any) -> Any:
        """`ask` and `answer` in one."""
        self.ask(what, **options)
        return self.answer()

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()


class Peers:
    """The three processes and the memory that the two ends share. Use as a context manager."""

    def __init__(self) -> None:
        from emulator.dataplane.load import SHARED_WORDS

        self._memory = SharedMemory(create=True, size=SHARED_WORDS * 8)
        self.shared: np.ndarray[Any, Any] = np.ndarray(SHARED_WORDS, np.int64, self._memory.buf)
        self._made: list[Peer] = []
        try:
            self.carrier = self._make(carrier_main)
            self.source = self._make(source_main)
            self.sink = self._make(sink_main)
        except BaseException:
            self.close()
            raise

    def _make(self, main: Callable[[Connection, str], None]) -> Peer:
        self._made.append(Peer(main, self._memory.name))
        return self._made[-1]

    def close(self) -> None:
        """End the processes and free what they shared."""
        for peer in self._made:
            peer.close()
        del self.shared
        self._memory.close()
        self._memory.unlink()

    def __enter__(self) -> Peers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _serve(connection: Connection, commands: dict[str, Callable[..., Any]]) -> None:
    """Do what is asked for until the other end of the connection is closed."""
    # An interrupt is the asking process's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            what, options = connection.recv()
        except (EOFError, OSError):
            return
        try:
            connection.send((True, commands[what](**options)))
        except Exception as error:
            connection.send((False, f"{type(error).__name__}: {error}"))


def _attach(name: str) -> tuple[SharedMemory, np.ndarray[Any, Any]]:
    from emulator.dataplane.load import SHARED_WORDS

    memory = SharedMemory(name)
    return memory, np.ndarray(SHARED_WORDS, np.int64, memory.buf)


# --- the two ends -----------------------------------------------------------------------------


class _End:
    """One socket, to a channel (as a peer of its own port) or to a proxy."""

    def __init__(self, channel_type: int, proxy_type: int, port: int) -> None:
        import zmq

        self._zmq = zmq
        self._context = zmq.Context()
        self._types = {"channel": channel_type, "proxy": proxy_type}
        self._port = port
        self.socket: Any = None

    def prefer_realtime(self) -> None:
        """Run when a message comes, where that is permitted. To be asked for before anything else."""
        from emulator.dataplane import realtime

        if realtime.priority_permitted():
            self._context.set(self._zmq.THREAD_SCHED_POLICY, os.SCHED_FIFO)
            self._context.set(self._zmq.THREAD_PRIORITY, realtime.PRIORITY)
            realtime.prefer_thread(True)

    def connect(self, endpoint: str, carrier: str) -> None:
        from nodes import wire

        zmq = self._zmq
        self.close()
        socket = self.socket = self._context.socket(self._types[carrier])
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.RCVTIMEO, _POLL_MS)
        socket.set(zmq.SNDTIMEO, _POLL_MS)
        socket.set(zmq.SNDHWM, HIGH_WATER)
        socket.set(zmq.RCVHWM, HIGH_WATER)
        if carrier == "channel":
            socket.set(zmq.ROUTING_ID, wire.routing_id(self._port))
        socket.connect(endpoint)
        if carrier == "channel":
            socket.send(wire.pack(wire.Header(wire.HELLO, self._port, wire.CHANNEL_PORT)))
            if not socket.poll(int(PATIENCE_S * 1e3)):
                raise PeerError("the channel does not answer")
            socket.recv()

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close(0)
            self.socket = None


def source_main(connection: Connection, name: str) -> None:
    """The process that sends."""
    import zmq

    from emulator.dataplane import load
    from emulator.dataplane.realtime import prefer_thread
    from nodes import wire

    memory, shared = _attach(name)
    end = _End(zmq.DEALER, zmq.PUSH, SOURCE_PORT)
    scratch = np.zeros(8, np.int64)
    prefer_thread(False)

    def send(count: int, size: int, window: int = HIGH_WATER, period_ns: int = 0, jitter_ns: int = 0) -> int:
        flags = wire.FLAG_HOST_CLOCK if period_ns else 0
        header = wire.pack(wire.Header(wire.DATA, SOURCE_PORT, SINK_PORT, flags=flags))
        packet = load.make_packet(header, size)
        if period_ns:
            made = load.send_paced(
                end.socket.underlying, packet, size, count, period_ns, jitter_ns, scratch, shared
            )
        else:
            made = load.send_flat_out(end.socket.underlying, packet, size, count, window, scratch, shared)
        return int(made)

    _serve(connection, {"connect": end.connect, "send": send, "close": end.close})
    memory.close()


def sink_main(connection: Connection, name: str) -> None:
    """The process that receives."""
    import zmq

    from emulator.dataplane import load
    from emulator.dataplane.histogram import make_histogram, summary_us

    memory, shared = _attach(name)
    end = _End(zmq.DEALER, zmq.PULL, SINK_PORT)
    scratch = load.make_receiver_scratch()

    def receive(count: int) -> dict[str, Any]:
        delays = make_histogram()
        received = int(load.receive(end.socket.underlying, count, delays, scratch, shared))
        spent_ns = int(shared[load.LAST_NS] - shared[load.FIRST_NS])
        return {
            "received": received,
            "messages_per_s": received / spent_ns * 1e9 if spent_ns > 0 else 0.0,
            "delay_us": summary_us(delays),
        }

    def receive_each(count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        numbers, delays_ns = np.zeros(count, np.int64), np.zeros(count, np.int64)
        received = int(load.receive_each(end.socket.underlying, numbers, delays_ns, scratch))
        return numbers[:received], delays_ns[:received]

    commands: dict[str, Callable[..., Any]] = {
        "prefer_realtime": end.prefer_realtime,
        "connect": end.connect,
        "receive": receive,
        "receive_each": receive_each,
        "close": end.close,
    }
    _serve(connection, commands)
    memory.close()


# --- what carries -----------------------------------------------------------------------------


def line_table(links: int, hops: int, **columns: Any) -> SimpleNamespace:
    """A LinkTable of `links` directed links in a row, both ways; ports are at place 0 and place `hops`."""
    there = max(hops, links // 2)
    right = np.arange(there, dtype=np.int32)
    next_hop = np.full((there + 1, 2), -1, np.int32)
    next_hop[:hops, 1] = right[:hops]
    next_hop[1 : hops + 1, 0] = right[:hops] + there
    values: dict[str, Any] = {
        "kind": 0, "up": True, "rate_bps": 1e12, "delay_ns": 1_000_000, "jitter_ns": 0.0, "loss": 0.0,
        "frame_error": 0.0, "frame_bits": 16_200, "queue_packets": 1_000_000, "queue_bytes": 1 << 40,
        "modcod": -1, "model": 0,
    }  # fmt: skip
    values.update(columns)
    return SimpleNamespace(
        src=np.concatenate((right, right + 1)),
        dst=np.concatenate((right + 1, right)),
        next_hop=next_hop,
        **{key: np.full(2 * there, value) for key, value in values.items()},
    )


def _varied() -> Any:
    """A model with what a link can do to packets that costs memory or order if done wrongly."""
    from emulator.links.model import CoDel, Faults, Gamma, GilbertElliott, LinkModel, ModelSet

    return ModelSet(
        [
            LinkModel(
                "varied",
                queue=CoDel(),
                loss=GilbertElliott(0.001, 0.3, 0.7),
                jitter=Gamma(2.0, correlation_ms=50.0),
                faults=Faults(duplicate=0.001, corrupt=0.001),
            )
        ]
    )


class _ChannelCarrier:
    """The channel, over a row of links, whose table is perhaps posted again and again."""

    def __init__(
        self,
        endpoint: str,
        hops: int,
        *,
        latency: str = "balanced",
        realtime: bool = True,
        links: int = 0,
        update_ns: int = 0,
        slots: int = 65_536,
        log: int = 1 << 18,
        probe_ns: int = 10_000_000,
        compensate: bool = False,
        varied: bool = False,
        **columns: Any,
    ) -> None:
        from emulator.dataplane.channel import Channel
        from emulator.epochs import LinkUpdates
        from emulator.layout import make_network

        models = _varied() if varied else None
        table = line_table(links, hops, model=int(varied), **columns)
        self._net = make_network(
            len(table.next_hop), 2, 8, links=max(64, len(table.src)), slots=slots, log=log, models=models
        )
        self._channel = Channel(
            self._net, endpoint, latency, realtime=realtime, compensate=compensate, probe_ns=probe_ns
        )
        self._channel.add_port(SOURCE_PORT, 0, 0)
        self._channel.add_port(SINK_PORT, hops, 1)
        self._updates = LinkUpdates(self._net, (), 1)
        self._table = table
        self._updates.post(0, table)
        self._ended = threading.Event()
        self._posted = 0
        self._update_ns = update_ns
        self._threads = [threading.Thread(target=self._drain, daemon=True)]
        if update_ns:
            self._threads.append(threading.Thread(target=self._post, daemon=True))
        self._channel.start()
        for thread in self._threads:
            thread.start()
        self.endpoints = (self._channel.endpoint, self._channel.endpoint)

    def _drain(self) -> None:
        """Empty the log of packet-hops, as whoever runs a channel does."""
        from emulator.hoplog import drain_log

        while not self._ended.wait(0.005):
            drain_log(self._net)

    def _post(self) -> None:
        """Post the table anew for every period, ahead of its time; each time other delays."""
        due_ns = time.monotonic_ns() + 5 * self._update_ns
        ahead_s = min(3 * self._update_ns, _MOST_AHEAD_NS) / 1e9
        base = self._table.delay_ns.copy()
        while not self._ended.wait(max(0.0, (due_ns - time.monotonic_ns()) / 1e9 - ahead_s)):
            if self._updates.room():
                self._posted += 1
                self._table.delay_ns = base + self._posted % 100
                self._updates.post(due_ns, self._table)
            due_ns += self._update_ns

    def summary(self) -> dict[str, Any]:
        """What the channel has counted and measured."""
        channel = self._channel
        return {
            "counters": channel.counters(),
            "books": channel.books(),
            "lateness_us": channel.lateness_us(),
            "sending_us": channel.sending_us(),
            "timer_us": channel.timer_us(),
            "delay_error_us": channel.delay_error_us(),
            "substrate_us": channel.substrate_us(),
            "hand_over_us": channel.hand_over_us(),
            "cpu_share": channel.cpu_share(),
            "turns": channel.turns(),
            "scheduling": channel.scheduling,
            "posted": self._posted,
        }

    def close(self) -> dict[str, Any]:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._channel.stop()
        return self.summary()


class _ProxyCarrier:
    """libzmq's zmq_proxy between a PULL and a PUSH socket."""

    def __init__(self, endpoint: str, realtime: bool) -> None:
        import zmq

        from emulator.dataplane import realtime as host

        self._context = zmq.Context()
        priority = realtime and host.priority_permitted()
        if priority:
            self._context.set(zmq.THREAD_SCHED_POLICY, os.SCHED_FIFO)
            self._context.set(zmq.THREAD_PRIORITY, host.PRIORITY)
        self._sockets = [self._context.socket(zmq.PULL), self._context.socket(zmq.PUSH)]
        endpoints = []
        for number, socket in enumerate(self._sockets):
            socket.set(zmq.LINGER, 0)
            socket.set(zmq.SNDHWM, HIGH_WATER)
            socket.set(zmq.RCVHWM, HIGH_WATER)
            socket.bind(endpoint if endpoint.endswith("*") else f"{endpoint}{number}")
            endpoints.append(socket.get_string(zmq.LAST_ENDPOINT))
        self.endpoints = tuple(endpoints)

        def carry() -> None:
            host.prefer_thread(priority)
            try:
                zmq.proxy(*self._sockets)
            except zmq.ContextTerminated:
                for socket in self._sockets:
                    socket.close(0)

        self._thread = threading.Thread(target=carry, daemon=True)
        self._thread.start()

    def close(self) -> dict[str, Any]:
        self._context.term()
        self._thread.join()
        return {}


def carrier_main(connection: Connection, name: str) -> None:
    """The process that carries."""
    carriers: list[Any] = []

    def proxy(endpoint: str, realtime: bool) -> Any:
        carriers.append(_ProxyCarrier(endpoint, realtime))
        return carriers[-1].endpoints

    def channel(**options: Any) -> Any:
        carriers.append(_ChannelCarrier(**options))
        return carriers[-1].endpoints

    def summary() -> Any:
        return carriers[-1].summary()

    def close() -> Any:
        return carriers.pop().close()

    _serve(connection, {"proxy": proxy, "channel": channel, "summary": summary, "close": close})
    while carriers:
        carriers.pop().close()
