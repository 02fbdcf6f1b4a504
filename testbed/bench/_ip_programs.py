"""Programs that load an IP path, as any user's would: sockets of the machine's own TCP, UDP and ICMP.

`python -m testbed.bench._ip_programs NAME SETTINGS` (JSON); each prints its figures as one line of JSON.
Receivers print `ready` first. Messages of UDP are sent and received many at a time (sendmmsg, recvmmsg), so
that the program is not the limit.
"""

from __future__ import annotations

import ctypes
import json
import random
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

TCP_PORT: Final = 5201
UDP_PORT: Final = 5202
_CHUNK: Final = 1 << 20
_BATCH: Final = 64
#: what the receiver's buffer has to hold: a thousand messages or two
_UDP_PAUSE_S: Final = 0.003
_SO_RCVBUFFORCE: Final = 33
_SO_SNDBUFFORCE: Final = 32
_SO_TIMESTAMPNS: Final = 35
_MSG_DONTWAIT: Final = 0x40

_libc: Final = ctypes.CDLL(None, use_errno=True)


def _ready() -> None:
    print("ready", flush=True)


def _buffers(one: socket.socket, octets: int) -> None:
    """Both buffers of a socket, beyond the machine's bound where that is permitted."""
    for force, option in ((_SO_SNDBUFFORCE, socket.SO_SNDBUF), (_SO_RCVBUFFORCE, socket.SO_RCVBUF)):
        try:
            one.setsockopt(socket.SOL_SOCKET, force, octets)
        except PermissionError:
            one.setsockopt(socket.SOL_SOCKET, option, octets)


def _congestion_control(one: socket.socket) -> str:
    name = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    return name.rstrip(b"\0").decode()


def tcp_receive(*, host: str, buffer: int = 0, skip_s: float = 0.0, window_s: float, windows: int = 1) -> Any:
    """Count what comes on one connection, from `skip_s` after its first octet on, in windows of time."""
    with socket.create_server((host, TCP_PORT)) as server:
        if buffer:
            _buffers(server, buffer)
        _ready()
        connection, _ = server.accept()
    with connection:
        into = bytearray(_CHUNK)
        connection.recv_into(into, 1)
        begin = last = time.monotonic() + skip_s
        counted = 0
        rates: list[float] = []
        while len(rates) < windows:
            size = connection.recv_into(into)
            if size == 0:
                raise ConnectionError("the sender has ended")
            now = time.monotonic()
            if now < begin:
                continue
            counted += size
            if now - last >= window_s:
                rates.append(counted * 8 / (now - last))
                counted, last = 0, now
    return {"bits_per_s": rates}


def tcp_send(*, host: str, buffer: int = 0, congestion_control: str = "") -> Any:
    """Send zeros until the receiver ends, with the machine's congestion control or one that it has."""
    with socket.socket(socket.AF_INET) as connection:
        if congestion_control:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion_control.encode())
        if buffer:
            _buffers(connection, buffer)
        connection.connect((host, TCP_PORT))
        data = bytes(_CHUNK)
        try:
            while True:
                connection.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            pass
        info = connection.getsockopt(socket.IPPROTO_TCP, 11, 256)  # TCP_INFO
        return {"congestion_control": _congestion_control(connection), "retransmitted": _total_retrans(info)}


def _total_retrans(info: bytes) -> int:
    """tcpi_total_retrans of struct tcp_info (linux/tcp.h): 8 octets, then words of 32 bits."""
    return int(struct.unpack_from("I", info, 8 + 4 * 23)[0])


class _MessageHeader(ctypes.Structure):
    """struct mmsghdr (recvmmsg(2))."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("parts", ctypes.c_void_p),
        ("part_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        # struct msghdr ends in a whole word
        ("_pad", ctypes.c_uint32),
        ("length", ctypes.c_size_t),
    )


class _Part(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _batch(octets: int) -> tuple[Any, Any]:
    """Message headers for sendmmsg and recvmmsg, and the memory that they point to."""
    memory = (ctypes.c_char * (octets * _BATCH))()
    parts = (_Part * _BATCH)()
    headers = (_MessageHeader * _BATCH)()
    for k in range(_BATCH):
        parts[k].base = ctypes.addressof(memory) + k * octets
        parts[k].length = octets
        headers[k].parts = ctypes.addressof(parts) + k * ctypes.sizeof(_Part)
        headers[k].part_count = 1
    return headers, (memory, parts)


def udp_receive(*, host: str, octets: int, buffer: int, count: int, quiet_s: float = 0.5) -> Any:
    """Count messages until all have come, or none for some time; how fast they came."""
    headers, _kept = _batch(octets)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        _buffers(one, buffer)
        one.bind((host, UDP_PORT))
        _ready()
        poller = select.poll()
        poller.register(one, select.POLLIN)
        received, begin, end = 0, 0.0, 0.0
        patience_ms = 10_000
        while received < count and poller.poll(patience_ms):
            got = _libc.recvmmsg(one.fileno(), headers, _BATCH, _MSG_DONTWAIT, None)
            if got <= 0:
                continue
            end = time.monotonic()
            if received == 0:
                begin, patience_ms = end, int(quiet_s * 1e3)
            received += got
            if got < _BATCH:
                # let some more come: a receiver that wakes for each message keeps the sender from its core
                time.sleep(_UDP_PAUSE_S)
    return {"received": received, "seconds": end - begin, "cpu_s": time.process_time()}


def udp_send(*, host: str, octets: int, count: int, rate: float) -> Any:
    """Send messages at a rate, a batch at a time; how long it took, and how many the machine did not take."""
    headers, _kept = _batch(octets)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        _buffers(one, 1 << 23)
        one.connect((host, UDP_PORT))
        sent = refused = 0
        begin = time.monotonic()
        while sent < count:
            due = begin + sent / rate
            left = due - time.monotonic()
            if left > 200e-6:
                time.sleep(left - 100e-6)
            while time.monotonic() < due:
                pass
            wanted = min(_BATCH, count - sent)
            went = _libc.sendmmsg(one.fileno(), headers, wanted, 0)
            if went < 0:
                refused += 1
                went = 0
            sent += went
        seconds = time.monotonic() - begin
        return {"sent": sent, "seconds": seconds, "refused": refused, "cpu_s": time.process_time()}


def ping(*, host: str, count: int, least_ms: float, most_ms: float, seed: int = 1) -> Any:
    """Round-trip times of echo requests sent at random intervals, ms, -1 for those that never came back.

    From right before the request is sent to the machine's own stamp of the answer, as ping(8) has it.
    """
    draw = random.Random(seed)
    sent_ns = [0] * count
    times_ms = [-1.0] * count
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as one:
        one.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        one.connect((host, 0))
        one.settimeout(2.0)

        def listen() -> None:
            for _ in range(count):
                try:
                    message, ancillary, _, _ = one.recvmsg(2048, 256)
                except TimeoutError:
                    return
                (number,) = struct.unpack_from("!H", message, 6)
                seconds, ns = struct.unpack("ll", ancillary[0][2][:16])
                times_ms[number] = (seconds * 1_000_000_000 + ns - sent_ns[number]) / 1e6

        listener = threading.Thread(target=listen)
        listener.start()
        due = time.monotonic() + 0.01
        for number in range(count):
            time.sleep(max(0.0, due - time.monotonic()))
            due += draw.uniform(least_ms, most_ms) / 1e3
            # the kernel fills in the identifier and the checksum
            request = struct.pack("!BBHHH", 8, 0, 0, 0, number) + bytes(56)
            sent_ns[number] = time.time_ns()
            one.send(request)
        listener.join()
    return {"times_ms": times_ms}


_PROGRAMS: Final[dict[str, Callable[..., Any]]] = {
    each.__name__: each for each in (tcp_receive, tcp_send, udp_receive, udp_send, ping)
}


def command(name: str, **settings: Any) -> list[str]:
    """The command line of a program."""
    return [sys.executable, "-m", __name__, name, json.dumps(settings)]


if __name__ == "__main__":
    print(json.dumps(_PROGRAMS[sys.argv[1]](**json.loads(sys.argv[2]))))
