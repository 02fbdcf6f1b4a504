"""Calls every kernel of a link's impairments a few times and prints what they say: a program for a test.

With NUMBA_DISABLE_JIT=1 it prints the same.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np

from emulator.jit import packet_kernel
from emulator.links import access, codel, faults, jitter, loss, trace
from emulator.links.model import (
    CoDel,
    DutyCycle,
    Exponential,
    Faults,
    Frames,
    Gamma,
    GilbertElliott,
    LinkModel,
    LogNormal,
    ModelSet,
    NoAccess,
    Normal,
    Pareto,
    PureAloha,
    Series,
    SlottedAloha,
    Traces,
    Uniform,
)
from emulator.links.state import SENDING
from tests.emulator.links.single import MS, links, model, packets

PAIRS: list[tuple[Any, Any]] = [
    (Frames(3.0, 1.0, 2.0), Uniform(5.0)),
    (SlottedAloha(1.0, 4, 3), Normal(0.6, 5.0)),
    (PureAloha(1.0, 3), Gamma(0.7, 5.0)),
    (DutyCycle(0.1), LogNormal()),
    (NoAccess(), Pareto()),
    (NoAccess(), Exponential()),
]


@packet_kernel
def cross(models: Any, rows: Any, row: int, sent: Any, media: Any, now_ns: int, found: Any) -> None:
    link, packet = rows[row], sent[0]
    found[0] = codel.waited_too_long(models[0], link, packet, now_ns)
    found[1] = access.may_start_ns(models[0], link, now_ns, found[0] > 0)
    packet.tx_ns = found[1]
    link.tx_phase = SENDING
    access.started(models[0], link, row, rows, media, packet.length, found[1], found[1] + MS)
    link.tx_event_ns = found[1] + MS
    found[2] = access.retry_ns(models[0], link, packet, link.tx_event_ns)
    found[3] = loss.is_lost(models[0], link, packet, 0.2)
    found[4] = jitter.jitter_ns(models[0], link, packet, now_ns)
    found[5] = faults.is_duplicated(models[0], link, packet)
    found[6] = faults.is_corrupted(models[0], link, packet)


@packet_kernel
def replay(rows: Any, table: Any, times: Any, values: Any, found: Any) -> None:
    found[0] = trace.sending_ends_on_trace_ns(rows[0], table, times, values, 0, 5)
    found[1] = trace.sending_ends_on_trace_ns(rows[0], table, times, values, 3, 5)
    found[2] = int(trace.delay_value(rows[0], table, times, values, 1, 77))
    found[3] = int(1e9 * trace.loss_value(rows[0], table, times, values, 2, 88))


def main() -> None:
    said: list[Any] = []
    found = np.zeros(7, np.int64)
    for how, delayed in PAIRS:
        kind = model(
            queue=CoDel(),
            access=how,
            loss=GilbertElliott(0.3, 0.5, 0.8),
            jitter=delayed,
            faults=Faults(0.3, 0.3),
        )
        rows, media = links(3, medium=0, jitter_ns=1e6, bytes=9000), np.full((1, 2), -1, np.int64)
        for step in range(40):
            cross(kind, rows, step % 3, packets(number=step), media, 1 + step * 7 * MS, found)
            said.append(found.tolist())
    series, shares = Series([0, 50], [1e9, 2e9], "linear", 90), Series([0, 50], [0.1, 0.3], "linear", 90)
    deliveries = Series([10, 20], [1504.0, 10.0], "deliveries")
    made = ModelSet(
        (
            LinkModel("values", traces=Traces(rate=series, delay=series, loss=shares)),
            LinkModel("deliveries", traces=Traces(deliveries=deliveries)),
        )
    )
    rows = links(tx_bits=12000.0, tx_since_ns=7)
    for _ in range(3):
        replay(rows, made.table, made.times_ns, made.values, found)
        said.append(found.tolist())
    print(json.dumps(said))


if __name__ == "__main__":
    # unsigned words of random numbers run over, which numpy tells and compiled code does not
    warnings.simplefilter("ignore")
    main()
