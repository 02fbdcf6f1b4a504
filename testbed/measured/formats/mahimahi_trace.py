"""Packet-delivery traces of Mahimahi: a line an opportunity to deliver 1504 bytes, in ms since the start.

As throughput they are what the link could carry, in bins. The format is that of mahimahi's mm-link(1).
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from testbed.errors import BadInput
from testbed.measured.formats.assembling import Rows
from testbed.measured.formats.numbering import Integers
from testbed.measured.formats.source import Source
from testbed.measured.measurement import Measurement

_OPPORTUNITY_BITS: Final = 1504 * 8
#: length of a bin: long enough to hold some opportunities at a Mbit/s
_BIN_MS: Final = 100
_LINES: Final = re.compile(rb"\s*(\d{1,12}[ \t]*\r?\n)+(\d{1,12}[ \t\r]*)?$")


def recognises(head: bytes) -> bool:
    """Whether it has a whole number on every line, and nothing else."""
    return bool(_LINES.match(head))


def read(source: Source) -> Measurement:
    """Mbit/s in bins of 100 ms, times from 0. Raises `BadInput` for instants that go back or are too few."""
    counts = np.zeros(0, np.int64)
    last, line = 0, 0
    for block in source.blocks():
        try:
            instants = np.array(block.split(), np.int64)
        except (ValueError, OverflowError):
            raise BadInput(f"{source.name}: after line {line}: holds what is no whole number of ms") from None
        if not len(instants):
            continue
        back = np.flatnonzero(np.diff(instants, prepend=last) < 0)
        if len(back):
            row = int(back[0])
            raise BadInput(
                f"{source.name}: line {line + row + 1}: {instants[row]} ms comes after a later instant; "
                "they must not go back"
            )
        line += len(instants)
        last = int(instants[-1])
        counts = _added(counts, instants // _BIN_MS, source.name)
    bins = last // _BIN_MS  # the last one is not whole
    if not bins:
        raise BadInput(f"{source.name}: lasts {last} ms, and must last {_BIN_MS} ms or more")
    rows = Rows(source.name, "rate", distinct=True)
    rows.remarks.append(f"throughput is what the link could carry in bins of {_BIN_MS} ms")
    rows.remarks.append("times count from the beginning of the measurement, in s")
    rows.add(np.arange(bins) * _BIN_MS / 1e3, counts[:bins] * _OPPORTUNITY_BITS / (_BIN_MS * 1e3))
    return rows.measurement(losses_known=False)


#: ten days
_MOST_BINS: Final = 864_000 * 1000 // _BIN_MS


def _added(counts: Integers, places: Integers, name: str) -> Integers:
    if places[-1] > _MOST_BINS:
        raise BadInput(f"{name}: lasts longer than ten days, which no trace of Mahimahi does")
    fresh = np.bincount(places, minlength=len(counts))
    fresh[: len(counts)] += counts
    return fresh
