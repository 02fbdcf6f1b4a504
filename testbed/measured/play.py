"""Probes through a link that plays a model, in virtual time: the emulator's own kernels, no clock.

Two links in a row: the forward one plays the model, the backward one the constant rest of a round trip. A
probe is a packet that crosses both; what it met is the time at the far end of the second.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

import numpy as np

from testbed.measured.measurement import Array

if TYPE_CHECKING:
    from emulator.links.model import LinkModel

#: nothing waits for the transmitter: a probe takes less than a ns
_RATE_BPS: Final = 1e13
_PROBE_BYTES: Final = 64
#: packets in the network at most; more are refused and would be counted as lost
_MOST_SLOTS: Final = 1 << 18
#: after the last probe, until whatever is on its way has arrived: longer than any delay
_REST_NS: Final = 7_300_000_000_000


def play(forward: LinkModel, backward_ms: float, times_s: Array, start_s: float, seed: int) -> Array:
    """Delays in ms [n] of probes sent at `times_s`, nan where lost.

    `times_s`: POSIX seconds, not descending; `start_s`: of the start of the run, from which the model counts,
    not after the first probe; `backward_ms` is added on the way back. Everything random follows from `seed`.
    """
    from emulator.accounting import DELIVERED, NO_BUFFER
    from emulator.epochs import LinkUpdates
    from emulator.layout import make_network
    from emulator.links.model import ModelSet
    from emulator.simulate import ARRIVAL, simulate

    count = len(times_s)
    if count == 0:
        return np.zeros(0)
    models = ModelSet((replace(forward, name="forward"),), spare=0)
    net = make_network(3, 2, 3, links=4, slots=min(count + 1, _MOST_SLOTS), log=2, models=models)
    for port, (place, host) in {1: (0, 0), 2: (2, 1)}.items():
        net.port_place[port] = place
        net.port_host[port] = host
    updates = LinkUpdates(make_network(3, 2, 3, links=4, slots=2, log=2, models=models), _PLACES, seed)
    table = updates.post(0, _table(round(backward_ms * 1e6), models.index("forward")))
    arrivals = np.zeros(count, ARRIVAL)
    arrivals["time_ns"] = np.round((times_s - start_s) * 1e9)
    arrivals["length"] = _PROBE_BYTES
    arrivals["port"], arrivals["target"] = 1, 2
    end_ns = int(arrivals["time_ns"][-1]) + _REST_NS
    done = simulate(net, arrivals, [table], end_ns, log=False, samples=count)
    if done.fates[NO_BUFFER]:
        raise RuntimeError(f"{done.fates[NO_BUFFER]} probes found no room in the network of {_MOST_SLOTS}")
    ends = done.results.samples
    ends = ends[np.argsort(ends["sent_ns"], kind="stable")]
    return np.where(ends["fate"] == DELIVERED, ends["delay_ns"] * 1e-6, np.nan)


_PLACES: Final = ("probe", "far end", "probe again")


def _table(backward_ns: int, forward_model: int) -> SimpleNamespace:
    """A link table: from the probe to the far end, and back."""
    columns = {
        "kind": 0, "up": True, "rate_bps": _RATE_BPS, "jitter_ns": 0.0, "loss": 0.0, "frame_error": 0.0,
        "frame_bits": 16_200, "queue_packets": 2**31 - 1, "queue_bytes": 2**60, "modcod": -1,
    }  # fmt: skip
    next_hop = np.full((3, 2), -1, np.int32)
    next_hop[0, 1], next_hop[1, 1] = 0, 1
    return SimpleNamespace(
        src=np.array([0, 1], np.int32),
        dst=np.array([1, 2], np.int32),
        next_hop=next_hop,
        delay_ns=np.array([0, backward_ns]),
        model=np.array([forward_model, 0]),
        **{name: np.full(2, value) for name, value in columns.items()},
    )
