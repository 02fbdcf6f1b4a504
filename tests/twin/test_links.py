"""The belief about a link: the distribution of single packets' delays."""

from __future__ import annotations

import math

import numpy as np

from testbed.twin.links import LinkBelief
from testbed.twin.nominal import NominalLink

LINK = NominalLink(
    "a>b", "a", "b", "fixed", "", "up", "fixed/a>b", 5.0, 5.0, 0.0, 10e6, math.nan, 0.0, 0.0, 0
)  # fmt: skip


def test_the_band_of_packets_counts_packets_and_not_windows() -> None:
    """Nine windows of ten hold a few pings, the tenth most of the packets, which wait in a queue."""
    rng = np.random.default_rng(8)
    belief, inside, total = LinkBelief(), 0, 0
    for window in range(600):
        bulk = window % 10 == 0
        queued = rng.uniform(0.0, 40.0, 200) if bulk else np.zeros(10)
        delays = 5.06 + queued + rng.exponential(0.05, len(queued))
        if window >= 100:
            low, high = belief.packet_band_ms(LINK)
            inside += int(np.sum((delays >= low) & (delays <= high)))
            total += len(delays)
        belief.packets.add(len(delays))
        belief.observe_delays(LINK, float(delays.mean()), delays.tolist(), 0.5)
        belief.windows += 1
    assert 0.88 <= inside / total <= 0.92
