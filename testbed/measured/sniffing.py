"""Recording the packets of an interface, or of a port, as a capture file: what others send, as it goes by.

Linux packet sockets, with the kernel's own stamps. `testbed.measured.formats.packet_capture` reads the file.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from testbed.errors import BadInput, EnvironmentProblem
from testbed.measured.formats.frames import parse

_LOOPBACK: Final = "lo"
#: nanosecond stamps: magic, version 2.4, zone, accuracy, longest, link type
_FILE_HEADER: Final = struct.Struct("<IHHiIII")
_MAGIC_NS: Final = 0xA1B23C4D
_PACKET_HEADER: Final = struct.Struct("<IIII")
#: bytes kept of each packet: headers, and enough of what they carry to know it again
_LONGEST: Final = 512
_ETHERNET, _RAW_IP = 1, 101
#: linux/if_arp.h: Ethernet and loopback have Ethernet's header, tunnels have none
_WITH_ETHERNET: Final = (1, 772)
_WITHOUT_HEADER: Final = (65_534, 512, 768, 769, 776, 778)
#: linux/if_ether.h, linux/if_packet.h and asm-generic/socket.h, where Python has no name for them
_ALL: Final = 0x0003
_SOL_PACKET, _STATISTICS = 263, 6
_STAMPS: Final = 35
_BUFFER: Final = 1 << 23
_LOOK_S: Final = 0.1


@dataclass(frozen=True)
class Sniffed:
    """What was recorded."""

    packets: int
    #: that the kernel had no room for
    dropped: int


def sniff(
    where: str, out: Path, duration_s: float, progress: Callable[[float], None] | None = None
) -> Sniffed:
    """Record the packets of an interface, of a port on loopback, or of INTERFACE:PORT, into a pcap file.

    `progress` is given the share of the duration; Ctrl-C ends it early. Raises `BadInput` for what is
    neither, `EnvironmentProblem` where packets may not be seen or the file cannot be written.
    """
    interface, port = _where(where)
    with _opened(interface) as packets:
        linktype = _linktype(packets, interface)
        try:
            with out.open("wb") as file:
                file.write(_FILE_HEADER.pack(_MAGIC_NS, 2, 4, 0, 0, _LONGEST, linktype))
                count = 0
                end_s = time.monotonic() + duration_s
                with suppress(KeyboardInterrupt):
                    while (left_s := end_s - time.monotonic()) > 0:
                        if select.select([packets], [], [], min(left_s, _LOOK_S))[0]:
                            count += _one(packets, file.write, port, linktype)
                        if progress is not None:
                            progress(1.0 - left_s / duration_s)
        except OSError as error:
            raise EnvironmentProblem(f"--out {out}: cannot be written ({error.strerror})") from None
        dropped = struct.unpack("II", packets.getsockopt(_SOL_PACKET, _STATISTICS, 8))[1]
    return Sniffed(count, dropped)


def _where(where: str) -> tuple[str, int]:
    interface, colon, port = where.rpartition(":") if ":" in where else ("", "", where)
    if not colon and not where.isdigit():
        interface, port = where, ""
    if port and (not port.isdigit() or not 1 <= int(port) <= 65_535):
        raise BadInput(f"capture {where}: the port must be a number from 1 to 65535")
    interface = interface or _LOOPBACK
    there_are = [name for _, name in socket.if_nameindex()]
    if interface not in there_are:
        raise BadInput(
            f"capture {where}: there is no interface {interface!r}, allowed: a port, {', '.join(there_are)}"
        )
    return interface, int(port) if port else 0


def _opened(interface: str) -> socket.socket:
    if not hasattr(socket, "AF_PACKET"):
        raise EnvironmentProblem(
            "capture: only Linux has packet sockets; record with tcpdump -w FILE, or measure with --probe"
        )
    try:
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
    except PermissionError:
        raise EnvironmentProblem(
            "capture: seeing others' packets needs CAP_NET_RAW; run it as root, or measure with "
            "--probe HOST:PORT, which needs no privileges"
        ) from None
    try:
        packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        packets.setsockopt(socket.SOL_SOCKET, _STAMPS, 1)
        packets.bind((interface, 0))
    except OSError as error:
        packets.close()
        raise EnvironmentProblem(f"capture {interface}: cannot be listened to ({error.strerror})") from None
    return packets


def _linktype(packets: socket.socket, interface: str) -> int:
    kind = packets.getsockname()[3]
    if kind in _WITH_ETHERNET:
        return _ETHERNET
    if kind in _WITHOUT_HEADER:
        return _RAW_IP
    raise EnvironmentProblem(f"capture {interface}: is of a kind ({kind}) whose packets are not known")


def _one(packets: socket.socket, write: Callable[[bytes], object], port: int, linktype: int) -> int:
    """Record a packet if it is wanted; how many were."""
    frame, ancillary, _, address = packets.recvmsg(65_536, 64)
    if address[0] == _LOOPBACK and address[2] == socket.PACKET_OUTGOING:
        return 0  # loopback shows each packet as it leaves and as it comes
    second, ns = next(
        (struct.unpack("qq", data) for level, kind, data in ancillary if kind == _STAMPS),
        divmod(time.time_ns(), 1_000_000_000),
    )
    if port:
        packet = parse(0.0, frame, linktype)
        if packet is None or port not in (packet.source_port, packet.target_port):
            return 0
    kept = frame[:_LONGEST]
    write(_PACKET_HEADER.pack(second, ns, len(kept), len(frame)) + kept)
    return 1
