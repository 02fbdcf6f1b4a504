"""A kernel's own TCP and UDP through a TUN device whose far end is this program: run as a process of its own.

In a network namespace of its own there is one TUN device. Everything sent into it comes back with source and
destination exchanged, so that host A talks to host B and meets itself: every super-segment is taken
apart, and its packets go back in runs of changing length, or each with a complete checksum. Packets to
places are answered by the places. Prints what happened as JSON; exit status 3: not permitted here.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from emulator.inet.addresses import HOST, PLACE, destination, host_ipv4, host_ipv6, place_ipv4, place_ipv6
from emulator.inet.headers import SOUND, parse
from emulator.inet.icmp import (
    ERROR_ROOM,
    PACKET_TOO_BIG,
    PORT_UNREACHABLE,
    TIME_EXCEEDED,
    write_echo_reply,
    write_error,
)
from emulator.inet.segments import HEADER_ROOM, split, write_header, write_segment
from emulator.inet.virtio import GSO_NONE

AT = 10
HERE, PEER = 1, 2
#: places that do something else than to answer
EXPIRES, NARROW, NARROW_MTU = 8, 9, 1300
MTU = 1500
TCP_BYTES = 2_000_000
DATAGRAM_BYTES, DATAGRAMS = 1000, 40
PATIENCE_S = 20.0

_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000
_TUNSETIFF, _TUNSETOFFLOAD, _TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
_IFF_TUN, _IFF_NO_PI, _IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
_CSUM_TSO, _USO = 0x01 | 0x02 | 0x04, 0x20 | 0x40
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
_SIOCSIFMTU, _SIOCGIFINDEX = 0x8922, 0x8933
_UDP_SEGMENT = 103
_IP_MTU, _IPV6_MTU, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO = 14, 24, 10, 2

facts: dict[str, Any] = {"super_segments": 0, "runs": 0, "longest_run": 0, "refused": []}


def _own_network() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    # as root, or as root of a user namespace, which only a process of one thread may make
    if libc.unshare(_CLONE_NEWNET) != 0 and libc.unshare(_CLONE_NEWNET | _CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _name(rest: bytes) -> bytes:
    return struct.pack("16s24s", b"tun0", rest)


def _open_tun() -> tuple[int, bool]:
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, _TUNSETIFF, _name(struct.pack("H", _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR)))
    fcntl.ioctl(tun, _TUNSETVNETHDRSZ, struct.pack("i", AT))
    try:
        fcntl.ioctl(tun, _TUNSETOFFLOAD, _CSUM_TSO | _USO)
        uso = True
    except OSError:
        fcntl.ioctl(tun, _TUNSETOFFLOAD, _CSUM_TSO)
        uso = False
    with socket.socket(socket.AF_INET) as four, socket.socket(socket.AF_INET6) as six:
        address = struct.pack("HH4s", socket.AF_INET, 0, socket.inet_aton(host_ipv4(HERE)))
        mask = struct.pack("HH4s", socket.AF_INET, 0, socket.inet_aton("255.0.0.0"))
        fcntl.ioctl(four, _SIOCSIFADDR, _name(address))
        fcntl.ioctl(four, _SIOCSIFNETMASK, _name(mask))
        fcntl.ioctl(four, _SIOCSIFMTU, _name(struct.pack("i", MTU)))
        for device in (b"lo", b"tun0"):
            request = struct.pack("16s24s", device, b"")
            flags = struct.unpack_from("16sH", fcntl.ioctl(four, _SIOCGIFFLAGS, request))[1]
            fcntl.ioctl(four, _SIOCSIFFLAGS, struct.pack("16sH22x", device, flags | 1))
        index = struct.unpack_from("16si", fcntl.ioctl(four, _SIOCGIFINDEX, _name(b"")))[1]
        prefix = struct.pack("16sIi", socket.inet_pton(socket.AF_INET6, host_ipv6(HERE)), 32, index)
        fcntl.ioctl(six, _SIOCSIFADDR, prefix)
    return tun, uso


def _exchange_ends(packet: Any, at: int) -> None:
    """Source for destination: no checksum feels it."""
    first, size = (12, 4) if packet[at] >> 4 == 4 else (8, 16)
    source = packet[at + first : at + first + size].copy()
    packet[at + first : at + first + size] = packet[at + first + size : at + first + 2 * size]
    packet[at + first + size : at + first + 2 * size] = source


def _send_back(tun: int, frame: Any, packets: int, turn: int) -> None:
    """In runs of 1, 2, 3, ... packets; every fifth frame packet by packet with complete checksums."""
    first, length = 0, 1 + turn % 7
    while first < packets:
        last = min(first + length, packets) - 1
        if turn % 5 == 4:
            last = first
            whole = np.zeros(70_000, np.uint8)
            size = write_segment(frame, AT, first, 60, whole, AT, 65_535)
            _exchange_ends(whole, AT)
            os.write(tun, whole[: AT + size].tobytes())
        else:
            header = np.zeros(HEADER_ROOM, np.uint8)
            n, start, end = write_header(frame, AT, first, last, 60, header, AT)
            _exchange_ends(header, AT)
            os.writev(tun, [header[:n].tobytes(), frame[start:end].tobytes()])
        facts["runs"] += 1
        facts["longest_run"] = max(facts["longest_run"], last - first + 1)
        first, length = last + 1, length + 1


def _answer(tun: int, frame: Any, place: int) -> None:
    out = np.zeros(2048, np.uint8)
    if place == EXPIRES:
        size = write_error(frame, AT, 0, 1, TIME_EXCEEDED, 0, place, out, AT)
    elif place == NARROW:
        size = write_error(frame, AT, 0, 9, PACKET_TOO_BIG, NARROW_MTU, place, out, AT)
    else:
        size = write_echo_reply(frame, AT, out, AT)
        if size == 0:
            size = write_error(frame, AT, 0, 9, PORT_UNREACHABLE, 0, place, out[:ERROR_ROOM], AT)
    if size:
        os.write(tun, out[: AT + size].tobytes())


def _mirror(tun: int, stop: int) -> None:
    turn = 0
    while True:
        ready = select.select([tun, stop], [], [])[0]
        if stop in ready:
            return
        data = os.read(tun, 70_000)
        frame = np.frombuffer(bytearray(data), np.uint8)
        segments = split(frame, AT, parse(frame, AT, len(data)))
        if segments.fault != SOUND:
            facts["refused"].append(data[: AT + 60].hex())
            continue
        kind, number = destination(frame, AT)
        if kind == PLACE:
            _answer(tun, frame, number)
        elif kind == HOST:
            facts["super_segments"] += int(frame[1] != GSO_NONE)
            _send_back(tun, frame, segments.packets, turn)
            turn += 1


def _tcp(family: socket.AddressFamily, here: str, peer: str) -> bool:
    """Random octets to the far end and back again through one connection that meets itself."""
    sent = np.random.default_rng(5).bytes(TCP_BYTES)
    with socket.socket(family) as server:
        server.bind((here, 0))
        server.listen(1)
        with socket.create_connection((peer, server.getsockname()[1]), PATIENCE_S) as client:
            other = server.accept()[0]
            other.settimeout(PATIENCE_S)

            def echo() -> None:
                with other:
                    while chunk := other.recv(1 << 16):
                        other.sendall(chunk)

            def feed() -> None:
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)

            workers = [threading.Thread(target=echo, daemon=True), threading.Thread(target=feed, daemon=True)]
            for worker in workers:
                worker.start()
            received = bytearray()
            while chunk := client.recv(1 << 16):
                received += chunk
            for worker in workers:
                worker.join(PATIENCE_S)
    return bytes(received) == sent


def _udp(family: socket.AddressFamily, here: str, peer: str) -> bool:
    """Many datagrams in one call (segmentation offload), each of which must arrive as it was."""
    data = np.random.default_rng(6).bytes(DATAGRAM_BYTES * DATAGRAMS - 300)
    pieces = [data[i : i + DATAGRAM_BYTES] for i in range(0, len(data), DATAGRAM_BYTES)]
    with (
        socket.socket(family, socket.SOCK_DGRAM) as server,
        socket.socket(family, socket.SOCK_DGRAM) as client,
    ):
        server.settimeout(PATIENCE_S)
        server.bind((here, 0))
        client.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, DATAGRAM_BYTES)
        client.sendto(data, (peer, server.getsockname()[1]))
        return [server.recv(2000) for _ in pieces] == pieces


def _ping(place: str) -> bool:
    """An echo request from the kernel's raw socket to a place; True when the answer repeats it."""
    six = ":" in place
    family, protocol = (socket.AF_INET6, 58) if six else (socket.AF_INET, 1)
    request = bytearray(struct.pack("!BBHHH", 128 if six else 8, 0, 0, 77, 5) + b"are you there?")
    if not six:
        total = sum(struct.unpack(f"!{len(request) // 2}H", request))
        request[2:4] = (0xFFFF - (total & 0xFFFF) - (total >> 16)).to_bytes(2, "big")
    with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
        raw.settimeout(PATIENCE_S)
        raw.connect((place, 0))
        raw.send(request)
        answer = raw.recv(2000)
    answer = answer if six else answer[20:]
    return answer[0] == (129 if six else 0) and answer[4:] == bytes(request[4:])


def _error_of(place: str, size: int = 10) -> list[Any]:
    """What a connected UDP socket learns about a datagram to a place: error's name and path MTU."""
    six = ":" in place
    level, discover, mtu = (41, 23, _IPV6_MTU) if six else (0, _IP_MTU_DISCOVER, _IP_MTU)
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.settimeout(PATIENCE_S)
        asked.setsockopt(level, discover, _IP_PMTUDISC_DO)
        # IP_RECVERR, IPV6_RECVERR: otherwise only some errors are told
        asked.setsockopt(level, 25 if six else 11, 1)
        asked.connect((place, 9))
        asked.send(b"x" * size)
        try:
            asked.recv(10)
        except OSError as error:
            return [os.strerror(error.errno or 0), asked.getsockopt(level, mtu)]
    return ["no error", 0]


def _counters(*wanted: str) -> dict[str, int]:
    """Of the namespace's own protocols: /proc/net/snmp (pairs of lines) and snmp6."""
    found: dict[str, int] = {}
    of_this_thread = Path("/proc/thread-self/net")
    lines = (of_this_thread / "snmp").read_text().splitlines()
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        kind = names.split(":")[0]
        found |= {
            f"{kind}{name}": int(value)
            for name, value in zip(names.split()[1:], values.split()[1:], strict=True)
        }
    for line in (of_this_thread / "snmp6").read_text().splitlines():
        name, value = line.split()
        found[name] = int(value)
    return {name: found[name] for name in wanted}


def main() -> None:
    try:
        _own_network()
        tun, uso = _open_tun()
    except OSError as error:
        print(f"no network namespace with a TUN device here: {error}", file=sys.stderr)
        sys.exit(3)
    stop, stopper = os.pipe()
    mirror = threading.Thread(target=_mirror, args=(tun, stop))
    mirror.start()
    try:
        four = socket.AF_INET, host_ipv4(HERE), host_ipv4(PEER)
        six = socket.AF_INET6, host_ipv6(HERE), host_ipv6(PEER)
        facts["tcp"] = [_tcp(*four), _tcp(*six)]
        facts["tcp_super_segments"] = facts["super_segments"]
        facts["uso"] = uso
        facts["udp"] = [_udp(*four), _udp(*six)]
        facts["udp_super_segments"] = facts["super_segments"] - facts["tcp_super_segments"]
        facts["ping"] = [_ping(place_ipv4(5)), _ping(place_ipv6(5))]
        facts["port"] = [_error_of(place_ipv4(5))[0], _error_of(place_ipv6(5))[0]]
        facts["expired"] = [_error_of(place_ipv4(EXPIRES))[0], _error_of(place_ipv6(EXPIRES))[0]]
        facts["too_big"] = [_error_of(place_ipv4(NARROW), 1400), _error_of(place_ipv6(NARROW), 1400)]
        facts["counters"] = _counters(
            "IpInHdrErrors", "TcpInCsumErrors", "UdpInCsumErrors", "IcmpInCsumErrors", "IcmpInErrors",
            "Ip6InHdrErrors", "Udp6InCsumErrors", "Icmp6InCsumErrors", "Icmp6InErrors",
        )  # fmt: skip
    finally:
        os.write(stopper, b"x")
        mirror.join()
    print(json.dumps(facts, default=int))


if __name__ == "__main__":
    main()
