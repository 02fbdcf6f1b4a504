"""Delay that varies from packet to packet, with a stated distribution and correlation in time.

The mean of every distribution is the link's `jitter_ns`; none is below zero, and nothing is delayed by more
than an hour. Without a correlation packets are independent. With one, a stationary Ornstein-Uhlenbeck
process z of the link (normal, correlation e^(-dt / correlation_ms) between packets dt apart) says which
quantile of the distribution a packet has: a Gaussian copula, which leaves the distribution as stated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from emulator.jit import inline_packet_kernel, packet_kernel
from emulator.links.quantiles import gamma_quantile, normal_above, normal_hazard, normal_quantile
from emulator.links.random import JITTER, uniform
from emulator.links.ranges import between, duration_or_none_ms, ns

EXPONENTIAL: Final = 0
UNIFORM: Final = 1
NORMAL: Final = 2
GAMMA: Final = 3
LOG_NORMAL: Final = 4
PARETO: Final = 5

#: no packet is delayed by more: distributions without a mean to speak of would have it beyond any run
LONGEST_NS: Final = 3.6e12
#: half of what tells two draws apart: draws of 0 are taken as that
_LEAST_DRAW: Final = 2.0**-54
#: standard deviation over mean that a normal distribution cut off at zero can have (an exponential one has 1)
_LARGEST_SPREAD: Final = 0.95
_SMALLEST_SPREAD: Final = 1e-3


@dataclass(frozen=True)
class Exponential:
    """Exponential: many packets with little, few with much."""

    kind: ClassVar[str] = "exponential"
    correlation_ms: float = 0.0

    def check(self, where: str) -> None:
        """WorldError, with `where` before the key, for figures that no link can have."""
        duration_or_none_ms(self, where, "correlation_ms")

    def write(self, row: Any) -> None:
        """Into a MODEL row."""
        _write(row, EXPONENTIAL, 0.0, self.correlation_ms)


@dataclass(frozen=True)
class Uniform:
    """Uniform from 0 to twice the mean."""

    kind: ClassVar[str] = "uniform"
    correlation_ms: float = 0.0

    def check(self, where: str) -> None:
        """WorldError, with `where` before the key, for figures that no link can have."""
        duration_or_none_ms(self, where, "correlation_ms")

    def write(self, row: Any) -> None:
        """Into a MODEL row."""
        _write(row, UNIFORM, 0.0, self.correlation_ms)


@dataclass(frozen=True)
class Normal:
    """Normal, cut off at zero, `spread` being the standard deviation over the mean.

    Both are of the jitter as it is: the normal distribution behind it is chosen so that what is left above
    zero (the rest is drawn anew, not put at zero) has them. Up to a spread of 0.3 the two are the same.
    """

    kind: ClassVar[str] = "normal"
    spread: float = 0.25
    correlation_ms: float = 0.0

    def check(self, where: str) -> None:
        """WorldError, with `where` before the key, for figures that no link can have."""
        between(self, where, _SMALLEST_SPREAD, _LARGEST_SPREAD, "spread")
        duration_or_none_ms(self, where, "correlation_ms")

    def write(self, row: Any) -> None:
        """Into a MODEL row."""
        _write(row, NORMAL, _cut(self.spread), self.correlation_ms)


@dataclass(frozen=True)
class Gamma:
    """Gamma of a shape: 1 is exponential, the larger the closer to normal."""

    kind: ClassVar[str] = "gamma"
    shape: float = 2.0
    correlation_ms: float = 0.0

    def check(self, where: str) -> None:
        """WorldError, with `where` before the key, for figures that no link can have."""
        between(self, where, 0.05, 1000.0, "shape")
        duration_or_none_ms(self, where, "correlation_ms")

    def write(self, row: Any) -> None:
        """Into a MODEL row."""
        _write(row, GAMMA, self.shape, self.correlation_ms)


@dataclass(frozen=True)
class LogNormal:
    """Log-normal, `sigma` being the standard deviation of the natural logarithm."""

    kind: ClassVar[str] = "lognormal"
    sigma: float = 0.5
    correlation_ms: float = 0.0

    def check(self, where: str) -> None:
        """WorldError, with `where` before the key, for figures that no link can have."""
        between(self, where, 1e-3, 4.0, "sigma")
        duration_or_none_ms(self, where, "correlation_ms")

    def write(self, row: Any) -> None:
        """Into a MODEL row."""
        _write(row, LOG_NORMAL, self.sigma, self.correlation_ms)


@dataclass(frozen=True)
class Pareto:
    """Pareto (type I): never below mean * (shape - 1) / shape, a tail that falls with the power `shape`."""

    kind: ClassVar[str] = "pareto"
    shape: float = 3.0
    correlation_ms: float = 0.0

    def check(self, where: str) -> None:
        """WorldError, with `where` before the key, for figures that no link can have."""
        between(self, where, 1.05, 1000.0, "shape")
        duration_or_none_ms(self, where, "correlation_ms")

    def write(self, row: Any) -> None:
        """Into a MODEL row."""
        _write(row, PARETO, self.shape, self.correlation_ms)


def _write(row: Any, kind: int, shape: float, correlation_ms: float) -> None:
    row["jitter_kind"] = kind
    row["jitter_shape"] = shape
    row["jitter_correlation_ns"] = ns(correlation_ms)


def _cut(spread: float) -> float:
    """Where zero is on the normal distribution that, cut off there, has this standard deviation over mean.

    In standard deviations from its own mean (Johnson, Kotz and Balakrishnan, Continuous Univariate
    Distributions 1, section 13.10.1).
    """

    def spread_of(cut: float) -> float:
        mean = normal_hazard(cut) - cut
        return math.sqrt(1.0 - normal_hazard(cut) * mean) / mean

    low, high = -1.0 / spread - 1.0, 6.0
    while high - low > 1e-13 * (1.0 - low):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if spread_of(middle) > spread else (middle, high)
    return low


@inline_packet_kernel
def _correlated_z(model: Any, link: Any, draw: float, now_ns: int) -> float:
    """The link's process now, moved on from the packet before with a fresh draw."""
    z = normal_quantile(draw)
    # Exactly zero is what no normal draw gives: the process has not begun, and begins as it goes on.
    if link.jitter_z != 0.0:
        times = max(0, now_ns - link.jitter_at_ns) / model.jitter_correlation_ns
        z = link.jitter_z * math.exp(-times) + math.sqrt(-math.expm1(-2.0 * times)) * z
    link.jitter_z = z
    link.jitter_at_ns = now_ns
    return z


@packet_kernel
def _quantile(kind: int, shape: float, above: float, z: float) -> float:
    """Quantile of a distribution of mean 1, given the probability above it.

    `z` is the normal quantile of it, which is looked at for gamma and log-normal only.
    """
    if kind == UNIFORM:
        return 2.0 * (1.0 - above)
    if kind == NORMAL:
        part = normal_above(shape)
        return max(0.0, (-normal_quantile(above * part) - shape) / (normal_hazard(shape) - shape))
    if kind == GAMMA:
        return gamma_quantile(shape, z) / shape
    if kind == LOG_NORMAL:
        return math.exp(shape * (z - 0.5 * shape))
    if kind == PARETO:
        return (1.0 - 1.0 / shape) * above ** (-1.0 / shape)
    return -math.log(above)


@packet_kernel
def _stated_jitter_ns(model: Any, link: Any, draw: float, now_ns: int) -> int:
    """Jitter of whatever distribution and correlation, ns."""
    kind = model.jitter_kind
    draw = max(draw, _LEAST_DRAW)
    above = 1.0 - draw
    z = 0.0
    if model.jitter_correlation_ns > 0.0:
        z = _correlated_z(model, link, draw, now_ns)
        above = normal_above(z)
    elif kind in (GAMMA, LOG_NORMAL):
        z = normal_quantile(draw)
    return int(min(LONGEST_NS, _quantile(kind, model.jitter_shape, above, z) * link.jitter_ns))


@inline_packet_kernel
def jitter_ns(model: Any, link: Any, packet: Any, now_ns: int) -> int:
    """Jitter of a packet that leaves the transmitter now, ns, not below zero."""
    if link.jitter_ns <= 0.0:
        return 0
    draw = uniform(link.key, packet.port, packet.number, JITTER)
    if model.jitter_kind == EXPONENTIAL and model.jitter_correlation_ns <= 0.0:
        return int(-math.log(1.0 - draw) * link.jitter_ns)
    return _stated_jitter_ns(model, link, draw, now_ns)
