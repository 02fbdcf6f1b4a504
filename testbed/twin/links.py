"""Belief about one directed link: processing bias, load, and what packets wait for.

The delay of a packet is nominal delay + bias + work / rate + jitter, where the work is the bits it finds
before it plus its own. Bias and work are learned from observed hop delays; the work is kept as bits, so a
change of rate carries over to the delays at once. Conditions (rate, geometry) come from `nominal`.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from testbed.twin.filters import Z90, ForgettingMean, Reservoir, ScalarKalman
from testbed.twin.forecast import Band, Forecast
from testbed.twin.nominal import NominalLink

#: bits of a packet nobody has seen yet: between a reading and a full fragment
_TYPICAL_BITS = 4_800.0
#: bits of the smallest packet: header and a few bytes
_SMALLEST_BITS = 512.0
#: packets of a usual window that enter the sample of work, so that it spans many windows; of one with more
#: packets more do, as the sample is one of packets
_PER_WINDOW = 8
#: a queue is never believed to let more through than this share of the rate
_USABLE = 0.98
#: points of the predicted distribution of single packets' delays
PACKET_POINTS = 16
_LEVELS = (np.arange(PACKET_POINTS) + 0.5) / PACKET_POINTS
#: packets after which a band is taken from what was seen instead of from a prior
_ENOUGH = 12


class LinkBelief:
    """What is learned about one link, apart from its radio conditions."""

    def __init__(self) -> None:
        self.bias = ScalarKalman(0.0, sd=0.3, process_sd=0.005)
        self.work = Reservoir(512)
        self.packets = ForgettingMean(40)
        #: mean work of a window's packets, bits, and what completes the hop, bit/s
        self.window_work = Forecast(_TYPICAL_BITS, 2.0 * _TYPICAL_BITS)
        self.load = Forecast(0.0, 20_000.0)
        self.lost = 0.0
        self.sent = 0.0
        self.windows = 0

    def inherit(self) -> LinkBelief:
        """The belief with which a link of the same design begins, such as after a handover."""
        other = LinkBelief()
        other.bias = self.bias.copy(extra_sd=0.05)
        other.work, other.packets = self.work.copy(), self.packets.copy()
        other.window_work, other.load = self.window_work.copy(), self.load.copy()
        other.lost, other.sent = 0.2 * self.lost, 0.2 * self.sent
        return other

    # --- prediction ---------------------------------------------------------------------------

    def delay_band(self, link: NominalLink) -> Band:
        """Mean delay of a window's packets, ms."""
        base, scale = link.delay_ms + self.bias.mean, 1e3 / link.rate_bps
        return self.window_work.band(base, scale, self.bias.sd, low=link.propagation_ms)

    def packet_delays_ms(self, link: NominalLink) -> NDArray[np.float64]:
        """Equally likely delays of single packets, ascending, shape (PACKET_POINTS,)."""
        if self.work.count < 4:
            work = -_TYPICAL_BITS * np.log1p(-_LEVELS)
        else:
            ordered = self.work.ordered()
            below, share = _between(self.work.count)
            least = ordered[below]
            work = least + share * (ordered[below + 1] - least)
        return np.asarray(link.delay_ms + self.bias.mean + work / link.rate_bps * 1e3, dtype=np.float64)

    def packet_band_ms(self, link: NominalLink) -> tuple[float, float]:
        """Band that holds 90 % of single packets, ms."""
        if self.work.count < _ENOUGH:
            delays = self.packet_delays_ms(link)
            return float(delays[0]), float(delays[-1])
        base = link.delay_ms + self.bias.mean
        low, high = self.work.quantile(0.05), self.work.quantile(0.95)
        return base + low / link.rate_bps * 1e3, base + high / link.rate_bps * 1e3

    def throughput_band(self, link: NominalLink) -> Band:
        """Bits that complete the hop, per second: the forecast load, bounded by the capacity."""
        band, most = self.load.band(0.0, 1.0, 0.0, low=0.0), _USABLE * link.rate_bps
        return Band(
            min(band.mean, most), band.sd, min(band.low, most), min(band.high, link.rate_bps),
            min(band.median, most),
        )  # fmt: skip

    def loss_band(self, link: NominalLink) -> Band:
        """Share of packets lost by the radio: nominal at the believed SNR, corrected by what was counted."""
        nominal = nominal_loss(link)
        weight = 200.0
        p = (weight * nominal + self.lost) / (weight + self.sent)
        expected = max(self.packets.value, 1.0)
        sd = math.sqrt(p * (1.0 - p) / expected + p / (weight + self.sent))
        low, high, median = poisson_band(p * expected)
        return Band(p, sd, low / expected, min(high / expected, 1.0), min(median / expected, 1.0))

    # --- observation --------------------------------------------------------------------------

    def observe_delays(
        self, link: NominalLink, mean_ms: float, samples: list[float], window_s: float
    ) -> float:
        """Hop delays of a window, ms: bias from their floor, work from all. The deviation, whitened."""
        ordered = sorted(samples)
        floor, middle = ordered[0], ordered[len(ordered) // 2]
        z = self.window_work.learn((mean_ms - link.delay_ms - self.bias.mean) * link.rate_bps / 1e3)
        expected_floor = link.delay_ms + _SMALLEST_BITS / link.rate_bps * 1e3
        offset = floor - expected_floor
        # The floor can only lie too high: by queueing, or because no small packet came. Doubt grows with
        # the spread above it, and is larger for a rise than for a fall.
        doubt = 0.02 + 0.5 * (middle - floor) + (0.2 if len(ordered) < 3 else 0.0)
        if offset > self.bias.mean:
            doubt *= 3.0
        self.bias.advance(window_s)
        self.bias.update(offset, doubt)
        base = link.delay_ms + self.bias.mean
        step = max(round(self.packets.value / _PER_WINDOW), 1)
        for sample in samples[self.windows % step :: step]:
            self.work.add(max(sample - base, 0.0) * link.rate_bps / 1e3)
        return z

    @property
    def lost_share(self) -> tuple[float, float]:
        """Share of packets that was lost lately, and its variance (Jeffreys' posterior)."""
        share = (self.lost + 0.5) / (self.sent + 1.0)
        return share, share * (1.0 - share) / (self.sent + 2.0)

    def expect_loss(self, lost: float, sent: float) -> None:
        """The loss has changed: these packets, lost of those sent, tell what it is now."""
        share = min(100.0 / max(sent, 1.0), 1.0)
        self.lost, self.sent = share * lost, share * sent

    def observe_loss(self, lost: float, sent: float) -> None:
        """Packets lost on the radio of those sent in a window; older counts fade."""
        self.lost = 0.99 * self.lost + lost
        self.sent = 0.99 * self.sent + sent


@functools.lru_cache(maxsize=1024)
def _between(count: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Where the levels lie among so many ordered values: the value below each, and how far to the next."""
    position = np.clip(_LEVELS * (count + 1) - 1.0, 0.0, count - 1.0)
    below = np.minimum(position.astype(np.intp), count - 2)
    return below, position - below


def nominal_loss(link: NominalLink) -> float:
    """Probability that a packet of typical size is lost: residual loss and frame errors."""
    if link.frame_error <= 0.0 or link.frame_bits <= 0:
        return link.loss
    frames = math.ceil(_TYPICAL_BITS / link.frame_bits)
    return 1.0 - (1.0 - link.loss) * (1.0 - link.frame_error) ** frames


def poisson_band(mean: float) -> tuple[float, float, float]:
    """5 %, 95 % and 50 % quantiles of a Poisson count; Gaussian beyond a mean of 50."""
    if mean > 50.0:
        return max(mean - Z90 * math.sqrt(mean), 0.0), mean + Z90 * math.sqrt(mean), mean
    term = total = math.exp(-mean)
    count = low = median = 0
    while total < 0.95:
        low = count + 1 if total < 0.05 else low
        median = count + 1 if total < 0.5 else median
        count += 1
        term *= mean / count
        total += term
    return float(low), float(count), float(median)
