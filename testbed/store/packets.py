"""Packets as a pcap file: one packet record a packet-hop, with nanosecond stamps.

The payload of each is one `emulator.accounting.HOP_RECORD` as it is: when the packet came, was due and
left, over which link, what became of it, and its first 48 bytes: the header of `nodes.wire`, or of an IP
packet (`ip_versions` tells) whatever fits. Link type 147
(USER0) is reserved for private use. Times in the records are the channel's own clock; the stamp of a
packet is the wall clock of its leaving (of a drop: of the drop). What places and ports are called stands
in run.json.

Writing and reading move whole arrays; `dissect` shows the same file through scapy, packet by packet.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from emulator.accounting import DELIVERED, HOP_RECORD
from testbed.errors import BadInput

LINKTYPE_USER0: Final = 147
#: the file header of a capture with nanosecond stamps: magic, version 2.4, zone, accuracy, longest, link type
_FILE_HEADER: Final = np.dtype(
    [
        ("magic", "<u4"), ("major", "<u2"), ("minor", "<u2"), ("zone", "<i4"),
        ("accuracy", "<u4"), ("longest", "<u4"), ("linktype", "<u4"),
    ]
)  # fmt: skip
_MAGIC_NS: Final = 0xA1B23C4D
_PACKET: Final = np.dtype(
    [("second", "<u4"), ("ns", "<u4"), ("captured", "<u4"), ("length", "<u4"), ("hop", HOP_RECORD)]
)
_SECOND_NS: Final = 1_000_000_000

#: `nodes.wire`'s header as a numpy type: `headers(hops)["src"]` and so on
WIRE_HEADER: Final = np.dtype(
    [
        ("magic", "<u2"), ("version", "u1"), ("kind", "u1"), ("src", "<u4"), ("dst", "<u4"), ("via", "<u4"),
        ("number", "<u8"), ("sent_ns", "<i8"), ("tag", "<u8"), ("fragment", "<u2"), ("fragments", "<u2"),
        ("traffic_class", "u1"), ("flags", "u1"), ("reserved", "<u2"),
    ]
)  # fmt: skip
assert WIRE_HEADER.itemsize == HOP_RECORD["header"].itemsize


@dataclass
class PacketCounters:
    """What became of the packet-hops handed to a PacketWriter."""

    written: int = 0
    lost: int = 0  #: not in the file: the disk took nothing
    failed_writes: int = 0
    last_error: str = ""

    def sentence(self) -> str:
        """What the reader of a report should know; empty when all is well."""
        if not self.failed_writes:
            return ""
        return f"packets.pcap: {self.lost} packet-hops lost, the disk refused them ({self.last_error})"


class PacketWriter:
    """Appends arrays of HOP_RECORD to a new pcap file. A disk that refuses loses them, by number, no more.

    `epoch_offset_ns` is added to the channel's clock to give the wall clock (run.json: epoch_offset_ns).
    OSError when the file cannot be made at all.
    """

    def __init__(self, path: Path, epoch_offset_ns: int) -> None:
        self.path = path
        self.counters = PacketCounters()
        self._epoch_offset_ns = epoch_offset_ns
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        header = np.array((_MAGIC_NS, 2, 4, 0, 0, HOP_RECORD.itemsize, LINKTYPE_USER0), _FILE_HEADER)
        self._prefix = header.tobytes()  # until the disk has taken it
        self._put(b"")

    def write(self, hops: np.ndarray) -> None:
        """Append packet-hops, in the order given."""
        if len(hops) == 0:
            return
        packets = np.empty(len(hops), _PACKET)
        left_ns = np.where(hops["fate"] <= DELIVERED, hops["actual_ns"], hops["due_ns"])
        second, ns = np.divmod(left_ns + self._epoch_offset_ns, _SECOND_NS)
        packets["second"] = second
        packets["ns"] = ns
        packets["captured"] = packets["length"] = HOP_RECORD.itemsize
        packets["hop"] = hops
        if self._put(packets.tobytes()):
            self.counters.written += len(hops)
        else:
            self.counters.lost += len(hops)

    def close(self) -> PacketCounters:
        """Close the file; what was written and what was not."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        return self.counters

    def __enter__(self) -> PacketWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, data: bytes) -> bool:
        data = self._prefix + data
        start = os.lseek(self._fd, 0, os.SEEK_CUR)
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            self.counters.failed_writes += 1
            self.counters.last_error = error.strerror or str(error)
            # all of a batch or nothing of it: what follows must begin at a packet's boundary
            os.ftruncate(self._fd, start)
            os.lseek(self._fd, start, os.SEEK_SET)
            return False
        self._prefix = b""
        return True


def read_hops(path: Path) -> np.ndarray[Any, Any]:
    """The packet-hops of a file as an array of HOP_RECORD, mapped, not read: the file may be large.

    A last packet that is not whole is left out (`torn_bytes` counts it). BadInput when the file is not one
    that PacketWriter wrote.
    """
    hops: np.ndarray[Any, Any] = _map(path)["hop"]
    return hops


def stamps_ns(path: Path) -> np.ndarray[Any, Any]:
    """The stamps of the packets, wall clock, int64 ns since 1970 UTC."""
    packets = _map(path)
    stamps: np.ndarray[Any, Any] = packets["second"].astype(np.int64) * _SECOND_NS + packets["ns"]
    return stamps


def torn_bytes(path: Path) -> int:
    """Bytes at the end of the file that are no whole packet: what a killed writer leaves."""
    return (_size(path) - _FILE_HEADER.itemsize) % _PACKET.itemsize


def ip_versions(hops: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """4 or 6 where a packet is one of IP, else 0 [n, uint8]; no header of the testbed begins as one of IP."""
    octets = np.ascontiguousarray(hops["header"]).view(np.uint8).reshape(-1, WIRE_HEADER.itemsize)
    version = octets[:, 0] >> 4
    versions: np.ndarray[Any, Any] = np.where((version == 4) | (version == 6), version, 0)
    return versions


def headers(hops: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The packets' own headers, as an array of WIRE_HEADER; of IP packets they mean nothing."""
    found: np.ndarray[Any, Any] = hops["header"].view(WIRE_HEADER)
    return found


def _size(path: Path) -> int:
    """The size of the file in bytes, once its header has been looked at."""
    try:
        with path.open("rb") as file:
            start = file.read(_FILE_HEADER.itemsize)
            size = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    if len(start) < _FILE_HEADER.itemsize:
        raise BadInput(f"{path}: is too short for a pcap file ({size} bytes)")
    header = np.frombuffer(start, _FILE_HEADER)[0]
    if header["magic"] != _MAGIC_NS:
        raise BadInput(f"{path}: is not a little-endian pcap file with nanosecond stamps")
    if header["linktype"] != LINKTYPE_USER0 or header["longest"] != HOP_RECORD.itemsize:
        raise BadInput(f"{path}: does not hold packet-hops of {HOP_RECORD.itemsize} bytes, link type 147")
    return size


def _map(path: Path) -> np.ndarray[Any, Any]:
    count = (_size(path) - _FILE_HEADER.itemsize) // _PACKET.itemsize
    if count == 0:
        return np.empty(0, _PACKET)  # an empty mapping is not allowed
    packets = np.memmap(path, _PACKET, "r", _FILE_HEADER.itemsize, (count,))
    # the ends only: looking at every packet would read the whole file
    if any(packets["captured"][[0, -1]] != HOP_RECORD.itemsize):
        raise BadInput(f"{path}: holds packets that are not packet-hops of {HOP_RECORD.itemsize} bytes")
    return packets
