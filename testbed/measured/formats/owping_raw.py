"""What `owping -R` prints: a line a packet, with the instants at both ends and how far each may be wrong.

Eight numbers: sequence number, send time, whether synchronised, error in s, receive time, synchronised,
error, TTL. Times are those of NTP: 32 bits of seconds since 1900, 32 bits of fraction (owping(1), RFC 4656).
A packet that never came has receive time 0.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from testbed.errors import BadInput
from testbed.measured.formats.assembling import Rows
from testbed.measured.formats.source import Source
from testbed.measured.measurement import Measurement

_WIDTH: Final = 8
_LINE: Final = re.compile(rb"^\s*\d+\s+\d{18,20}\s+[01]\s+\S+\s+\d+\s+[01]\s+\S+\s+\d+\s*$")
#: seconds from 1900 to 1970 (RFC 5905, figure 4)
_NTP_TO_POSIX_S: Final = 2_208_988_800.0
_FRACTION: Final = 2.0**32


def recognises(head: bytes) -> bool:
    """Whether its first whole line is one of owping's raw records."""
    return bool(_LINE.match(head.split(b"\n", 1)[0]))


def read(source: Source) -> Measurement:
    """One-way delays, with the greatest error of both clocks. Raises `BadInput` naming the line."""
    rows = Rows(source.name, "delay", numbered=True)
    line, bound_ms, unsynchronised = 0, 0.0, 0
    for block in source.blocks():
        lines = block.splitlines()
        if not block.endswith(b"\n") and not _LINE.match(lines[-1]):
            rows.truncated = True
            lines.pop()
        for text in lines:
            line += 1
            if not _LINE.match(text):
                raise BadInput(
                    f"{source.name}: line {line}: must have the {_WIDTH} numbers of owping -R, is "
                    f"{text[:60].decode('utf-8', 'replace')!r}"
                )
        if not lines:
            continue
        # numpy's texts become doubles, which hold these instants to half a microsecond
        try:
            table = np.array(b" ".join(lines).split(), np.float64).reshape(-1, _WIDTH)
        except ValueError as error:
            raise BadInput(f"{source.name}: up to line {line}: holds what is no number ({error})") from None
        number, sent, sent_ok, sent_error, received, received_ok, received_error, _ = table.T
        lost = received == 0.0
        delay_ms = (received - sent) / _FRACTION * 1e3
        came = ~lost
        if came.any():
            bound_ms = max(bound_ms, float((sent_error + received_error)[came].max()) * 1e3)
        unsynchronised += int(np.count_nonzero(came & ((sent_ok == 0.0) | (received_ok == 0.0))))
        rows.add(sent / _FRACTION - _NTP_TO_POSIX_S, delay_ms, lost, number.astype(np.int64))
    if unsynchronised:
        rows.remarks.append(f"packets for which a clock was not synchronised: {unsynchronised}")
    return rows.measurement(losses_known=True, clock_bound_ms=bound_ms)
