"""Medium access: when a link's transmitter may begin, and whether what it sent collided.

Frames and slots begin at an offset and every period after it. Links that share a medium collide when they
are on the air at the same time: both packets are lost, and sent again after a random back-off where the
access has attempts left. A transmitter whose rate has fallen to nothing is not on the air.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from emulator.jit import inline_packet_kernel, packet_kernel
from emulator.links.random import BACKOFF, uniform
from emulator.links.ranges import between, duration_ms, duration_or_none_ms, ns
from emulator.links.state import NEVER, SENDING

NONE: Final = 0
FRAMES: Final = 1
SLOTTED_ALOHA: Final = 2
PURE_ALOHA: Final = 3
DUTY_CYCLE: Final = 4

#: the back-off window doubles so often at most (as in IEEE 802.3, section 4.2.3.2.5)
_MOST_DOUBLINGS: Final = 10
#: attempts whose draws stay apart from those of other purposes, and then some
_MOST_ATTEMPTS: Final = 100
#: what the layer below may hand over in one frame: more is no bound
_LARGEST_FRAME_KBYTES: Final = 1e9

# columns of a medium
_UNTIL: Final = 0
_ROW: Final = 1


@dataclass(frozen=True)
class NoAccess:
    """The transmitter begins when it has a packet."""

    kind: ClassVar[str] = "none"

    def check(self, where: str) -> None:
        """There is nothing to be wrong."""

    def write(self, row: Any) -> None:
        """Into a MODEL row."""
        _write(row, NONE)


@dataclass(frozen=True)
class Frames:
    """A scheduler grants frames: an idle transmitter asks, and begins with the first frame after the grant.

    While packets wait it goes on, up to `frame_kbytes` (1000 bytes each, 0: any number) a frame. A packet
    that begins in a frame is sent to its end; what it has too much counts in the next.
    """

    kind: ClassVar[str] = "frames"
    period_ms: float
    grant_ms: float = 0.0
    frame_kbytes: float = 0.0
    offset_ms: float = 0.0

    def check(self, where: str) -> None:
        """WorldError, with `where` before the key, for figures that no link can have."""
        duration_ms(self, where, "period_ms")
        duration_or_none_ms(self, where, "grant_ms", "offset_ms")
        if self.frame_kbytes != 0.0:
            between(self, where, 1e-3, _LARGEST_FRAME_KBYTES, "frame_kbytes")

    def write(self, row: Any) -> None:
        """Into a MODEL row."""
        _write(row, FRAMES, self.period_ms, self.offset_ms)
        row["access_grant_ns"] = ns(self.grant_ms)
        row["access_frame_bytes"] = round(self.frame_kbytes * 1e3)


@dataclass(frozen=True)
class SlottedAloha:
    """Slotted ALOHA (Roberts 1975): packets begin with a slot, and with no regard for others.

    A collided packet is sent again after up to `window_slots` slots, twice as many after each further
    collision, `attempts` times in all.
    """

    kind: ClassVar[str] = "slotted-aloha"
    slot_ms: float
    window_slots: int = 8
    attempts: int = 1
    offset_ms: float = 0.0

    def check(self, where: str) -> None:
        """WorldError, with `where` before the key, for figures that no link can have."""
        duration_ms(self, where, "slot_ms")
        between(self, where, 1, 1_000_000, "window_slots")
        between(self, where, 1, _MOST_ATTEMPTS, "attempts")
        duration_or_none_ms(self, where, "offset_ms")

    def write(self, row: Any) -> None:
        """Into a MODEL row."""
        _write(row, SLOTTED_ALOHA, self.slot_ms, self.offset_ms)
        row["access_window"] = self.window_slots
        row["access_attempts"] = self.attempts


@dataclass(frozen=True)
class PureAloha:
    """Pure ALOHA (Abramson 1970): packets begin at once, and with no regard for others.

    A collided packet is sent again after up to `window_ms`, twice as long after each further collision,
    `attempts` times in all.
    """

    kind: ClassVar[str] = "pure-aloha"
    window_ms: float
    attempts: int = 1

    def check(self, where: str) -> None:
        """WorldError, with `where` before the key, for figures that no link can have."""
        duration_ms(self, where, "window_ms")
        between(self, where, 1, _MOST_ATTEMPTS, "attempts")

    def write(self, row: Any) -> None:
        """Into a MODEL row."""
        _write(row, PURE_ALOHA, self.window_ms)
        row["access_attempts"] = self.attempts


@dataclass(frozen=True)
class DutyCycle:
    """A transmitter that keeps silent after a packet, so that it is on the air for `share` of the time.

    After an airtime T for T (1 / share - 1), as ETSI EN 300 220 has it for LoRa's bands.
    """

    kind: ClassVar[str] = "duty-cycle"
    share: float

    def check(self, where: str) -> None:
        """WorldError, with `where` before the key, for figures that no link can have."""
        between(self, where, 1e-6, 1.0, "share")

    def write(self, row: Any) -> None:
        """Into a MODEL row."""
        _write(row, DUTY_CYCLE)
        row["access_duty"] = self.share


def _write(row: Any, kind: int, period_ms: float = 0.0, offset_ms: float = 0.0) -> None:
    row["access_kind"] = kind
    row["access_period_ns"] = ns(period_ms)
    row["access_offset_ns"] = ns(offset_ms)
    row["access_window"] = 1
    row["access_attempts"] = 1


@inline_packet_kernel
def _begun_ns(model: Any, time_ns: int) -> int:
    """When the frame or slot of `time_ns` began."""
    return time_ns - (time_ns - model.access_offset_ns) % model.access_period_ns


@inline_packet_kernel
def _next_ns(model: Any, time_ns: int) -> int:
    """When the first frame or slot that does not begin before `time_ns` does."""
    return time_ns + (model.access_offset_ns - time_ns) % model.access_period_ns


@inline_packet_kernel
def _frame_ns(model: Any, link: Any, now_ns: int, backlogged: bool) -> int:
    """When a granted frame has room: `ready_ns` is the frame that `grant_bytes` count in."""
    if link.ready_ns > now_ns:
        # The grant asked for before; asking again would put it off.
        return link.ready_ns
    start_ns = now_ns
    frame_ns = _begun_ns(model, now_ns)
    if not backlogged:
        start_ns = frame_ns = _next_ns(model, now_ns + model.access_grant_ns)
    room = model.access_frame_bytes
    if room > 0:
        frames = min((frame_ns - link.ready_ns) // model.access_period_ns, link.grant_bytes // room + 1)
        link.grant_bytes = max(0, link.grant_bytes - frames * room)
        if link.grant_bytes >= room:
            frames = link.grant_bytes // room
            link.grant_bytes -= frames * room
            start_ns = frame_ns = frame_ns + frames * model.access_period_ns
    link.ready_ns = frame_ns
    return start_ns


@inline_packet_kernel
def may_start_ns(model: Any, link: Any, now_ns: int, backlogged: bool) -> int:
    """The earliest time from now on at which the transmitter may begin with its next packet.

    `backlogged`: a packet has just left it and others wait, so nothing needs to be asked for anew; so it is
    when the time given before has come. Times count from where frames and slots do.
    """
    kind = model.access_kind
    start_ns = now_ns
    if kind == FRAMES:
        start_ns = _frame_ns(model, link, now_ns, backlogged)
    elif kind == SLOTTED_ALOHA:
        start_ns = _next_ns(model, now_ns)
    elif kind == DUTY_CYCLE:
        start_ns = max(now_ns, link.ready_ns)
    return start_ns


@inline_packet_kernel
def _is_on_air(links: Any, row: int, medium: int, now_ns: int) -> bool:
    """Whether a link is sending on a medium now; `tx_event_ns` is when it ends, NEVER when it is stalled."""
    other = links[row]
    return bool(
        other.medium == medium
        and other.tx_phase == SENDING
        and other.tx_event_ns > now_ns
        and other.tx_event_ns != NEVER
    )


@packet_kernel
def _last_on_air(links: Any, row: int, medium: int, now_ns: int) -> int:
    """The link on the medium that ends last, looked for among all but `row`; -1: there is none."""
    last = -1
    for other in range(links.shape[0]):
        if (
            other != row
            and _is_on_air(links, other, medium, now_ns)
            and (last < 0 or links[other].tx_event_ns > links[last].tx_event_ns)
        ):
            last = other
    return last


@inline_packet_kernel
def on_air(link: Any, row: int, links: Any, medium: Any, now_ns: int, end_ns: int) -> None:
    """A link is sending from now on, until `end_ns`: who is on its medium too has collided, and so has it.

    To be called again when a new rate changes the end. It is enough to know the one that ends last: when
    there are more on the air, they have collided already. Where that one is this link itself, or has ended
    early, all links are looked at for the next.
    """
    if link.medium >= 0 and end_ns != NEVER:
        taken = medium[link.medium]
        other = -1
        if taken[_UNTIL] > now_ns:
            other = taken[_ROW]
            if other == row or not _is_on_air(links, other, link.medium, now_ns):
                other = _last_on_air(links, row, link.medium, now_ns)
        if other >= 0:
            link.collided = 1
            links[other].collided = 1
            if links[other].tx_event_ns > end_ns:
                row = other
                end_ns = links[other].tx_event_ns
        taken[_UNTIL] = end_ns
        taken[_ROW] = row


@inline_packet_kernel
def started(
    model: Any, link: Any, row: int, links: Any, medium: Any, size: int, now_ns: int, end_ns: int
) -> None:
    """The transmitter has begun with a packet of `size` bytes that it will have sent at `end_ns`.

    `medium` is int64 [media, 2]: until when each is taken, and by which row (the one that ends last). Granted
    frames keep links apart, so they do not collide.
    """
    link.collided = 0
    if model.access_kind == FRAMES:
        link.grant_bytes += size
    else:
        on_air(link, row, links, medium, now_ns, end_ns)


@inline_packet_kernel
def retry_ns(model: Any, link: Any, packet: Any, now_ns: int) -> int:
    """After the packet has been sent: 0 when it got through, -1 when it is lost in a collision, else when to
    send it again.

    Times count as in `may_start_ns`; `packet.tx_ns` and `link.tx_event_ns` are when it began and ended.
    """
    kind = model.access_kind
    if kind == DUTY_CYCLE:
        airtime_ns = link.tx_event_ns - packet.tx_ns
        link.ready_ns = now_ns + int(airtime_ns * (1.0 / model.access_duty - 1.0) + 0.5)
    again_ns = 0
    link.attempt += 1
    if link.collided != 0 and link.attempt >= model.access_attempts:
        again_ns = -1
    if link.collided == 0 or again_ns < 0:
        link.attempt = 0
    else:
        draw = uniform(link.key, packet.port, packet.number, BACKOFF + link.attempt)
        window = draw * model.access_window * (1 << min(link.attempt - 1, _MOST_DOUBLINGS))
        if kind == SLOTTED_ALOHA:
            again_ns = _next_ns(model, now_ns) + int(window) * model.access_period_ns
        else:
            again_ns = now_ns + int(window * model.access_period_ns)
        again_ns = max(again_ns, 1)
    link.collided = 0
    return again_ns


@inline_packet_kernel
def abandon(link: Any) -> None:
    """The packet in the transmitter is taken away before it has been sent."""
    link.attempt = 0
    link.collided = 0
