"""What `ping -D` of iputils prints: a line an answer, with the instant at which it came and its number.

Numbers without an answer are lost probes. Lines of `-O` ("no answer yet"), errors of routers and the
summary are passed over, "DUP!" is counted. Numbers have 16 bits, and wrap.
"""

from __future__ import annotations

import re
import warnings
from typing import Final

import numpy as np

from testbed.errors import BadInput
from testbed.measured.formats.assembling import Rows
from testbed.measured.formats.source import Source
from testbed.measured.measurement import Array, Measurement

_ANSWER: Final = re.compile(
    rb"^\[(\d+\.\d+)\] [^\n]*?icmp_seq=(\d+)[^\n]*? time=(\d*\.?\d+) (ms|s|us)\b([^\n]*)", re.MULTILINE
)
_ANY_ANSWER: Final = re.compile(rb"^(\[[\d.]+\] )?\d+ bytes from [^\n]*icmp_seq=\d+", re.MULTILINE)
_WITHOUT_INSTANT: Final = re.compile(rb"^\d+ bytes from [^\n]*icmp_seq=\d+", re.MULTILINE)
_NEWLINE: Final = b"\n"
_MS: Final = {b"ms": 1.0, b"s": 1e3, b"us": 1e-3}


def recognises(head: bytes) -> bool:
    """Whether it is the output of ping."""
    return head.lstrip().startswith(b"PING ") or b"icmp_seq=" in head


def read(source: Source) -> Measurement:
    """Round-trip times by the instant of sending. Raises `BadInput` when there are no instants (`-D`)."""
    rows = Rows(source.name, "rtt", numbered=True, wraps=True)
    regular, line = _Regular(), 0
    for block in source.blocks():
        answers = regular.answers(block)
        if answers is None:
            answers = _one_by_one(block)
            bare = _WITHOUT_INSTANT.search(block)
            if bare and (len(rows) or len(answers)):
                at = line + block.count(_NEWLINE, 0, bare.start()) + 1
                raise BadInput(
                    f"{source.name}: line {at}: has no instant, as others have; all must be of one ping -D"
                )
        line += block.count(_NEWLINE)
        rows.truncated = not block.endswith(b"\n") and _breaks_off(block)
        if len(answers):
            rows.add(answers[:, 0], answers[:, 2], None, answers[:, 1].astype(np.int64))
    if not len(rows):
        if _ANY_ANSWER.search(source.head):
            raise BadInput(
                f"{source.name}: its lines have no instants; measure with ping -D, which prints them"
            )
        raise BadInput(
            f"{source.name}: holds no answers of ping -D such as '[1723489200.167948] 64 bytes from'"
        )
    return rows.measurement(losses_known=True, stamped="received")


class _Regular:
    """Turns blocks in which all lines are alike into numbers as a whole, by what stands between these."""

    def __init__(self) -> None:
        self._between: tuple[tuple[bytes, bytes], ...] = ()

    def answers(self, block: bytes) -> Array | None:
        """Instant, number and ms of each line [n, 3]; None when lines differ."""
        text = block
        first = block[: block.find(b"\n") + 1]
        found = re.match(rb"\[(\d+\.\d+)(\] .*?icmp_seq=)(\d+)( .*? time=)([\d.]+)( ms\r?\n)", first)
        if not found:
            return None
        middle = found.group(4)
        hops = re.match(rb"( ttl=)(\d+)( time=)$", middle) or re.match(rb"( hlim=)(\d+)( time=)$", middle)
        if not hops:
            return None
        for piece in (found.group(2), hops.group(1), hops.group(3), found.group(6)):
            text = text.replace(piece, b" ")
        text = text.replace(b"[", b" ")
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            try:
                numbers = np.fromstring(text, sep=" ")
            except (ValueError, DeprecationWarning):
                return None
        lines = block.count(b"\n")
        if len(numbers) != 4 * lines:
            return None
        result: Array = numbers.reshape(lines, 4)[:, (0, 1, 3)]
        return result


def _one_by_one(block: bytes) -> Array:
    found = [
        (float(at), float(number), float(value) * _MS[unit])
        for at, number, value, unit, _ in _ANSWER.findall(block)
    ]
    return np.array(found).reshape(-1, 3)


def _breaks_off(block: bytes) -> bool:
    last = block[block.rfind(b"\n") + 1 :]
    return last.startswith(b"[") and not _ANSWER.match(last)
