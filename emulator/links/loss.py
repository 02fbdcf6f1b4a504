"""Whether a packet is lost on the air: independent loss, Gilbert-Elliott bursts, errors at the present SNR.

One draw a packet decides; the state of a Gilbert-Elliott link moves on with each packet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from emulator.jit import inline_packet_kernel
from emulator.links.random import BURST, LOSS, uniform
from emulator.links.ranges import between
from emulator.ranges import probability

INDEPENDENT: Final = 0
GILBERT_ELLIOTT: Final = 1

#: longer bursts than of a million packets on average are an outage, not a process
_SLOWEST_LEAVE: Final = 1e-6


@dataclass(frozen=True)
class Independent:
    """Packets are lost independently of each other, with the probability that the link has."""

    kind: ClassVar[str] = "independent"

    def check(self, where: str) -> None:
        """There is nothing to be wrong."""

    def write(self, row: Any) -> None:
        """Into a MODEL row."""
        row["loss_kind"] = INDEPENDENT


@dataclass(frozen=True)
class GilbertElliott:
    """Bursts: a link is good or bad, and changes with each packet (Gilbert 1960, Elliott 1963).

    `enter`, `leave`: probability per packet that a good link becomes bad, and a bad one good. `loss`:
    probability that a packet on a bad link is lost, besides the link's own. The link is bad for the share
    enter / (enter + leave) of the packets, for 1 / leave of them at a time on average.
    """

    kind: ClassVar[str] = "gilbert-elliott"
    enter: float
    leave: float
    loss: float = 1.0

    def check(self, where: str) -> None:
        """WorldError, with `where` before the key, for figures that no link can have."""
        probability(self, where, "enter", "loss")
        between(self, where, _SLOWEST_LEAVE, 1.0, "leave")

    def write(self, row: Any) -> None:
        """Into a MODEL row."""
        row["loss_kind"] = GILBERT_ELLIOTT
        row["bad_enter"] = self.enter
        row["bad_leave"] = self.leave
        row["bad_loss"] = self.loss


@inline_packet_kernel
def loss_probability(link: Any, loss: float, size: int) -> float:
    """Probability that a packet of `size` bytes is not decoded: residual loss, or any frame in error."""
    if link.frame_error <= 0.0:
        return loss
    frames = max(1.0, math.ceil(size * 8.0 / max(1, link.frame_bits)))
    return 1.0 - (1.0 - loss) * (1.0 - link.frame_error) ** frames


@inline_packet_kernel
def is_lost(model: Any, link: Any, packet: Any, loss: float) -> bool:
    """Whether a packet that leaves the transmitter now is lost; `loss` is the link's independent part."""
    if model.loss_kind == GILBERT_ELLIOTT:
        draw = uniform(link.key, packet.port, packet.number, BURST)
        if link.loss_bad != 0:
            link.loss_bad = 0 if draw < model.bad_leave else 1
        else:
            link.loss_bad = 1 if draw < model.bad_enter else 0
        if link.loss_bad != 0:
            loss = 1.0 - (1.0 - loss) * (1.0 - model.bad_loss)
    chance = loss_probability(link, loss, packet.length)
    return bool(chance > 0.0 and uniform(link.key, packet.port, packet.number, LOSS) < chance)
