"""The tables of link models: what `[models.NAME]` may say about how links treat packets.

`translate` turns them into `emulator.links.model.LinkModel`, where the same words mean the same things. What
a link's rate, delay, mean jitter and residual loss are, its radio or `[[links]]` says. How recordings come
from files is `link_traces`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from testbed.scenario.base import Table

_Ms = Annotated[float, Field(ge=1e-6, le=3_600_000)]
_OffsetMs = Annotated[float, Field(ge=0, le=3_600_000)]
_Attempts = Annotated[int, Field(ge=1, le=100)]
_Probability = Annotated[float, Field(ge=0, le=1)]


class DropTail(Table):
    """A queue that refuses what does not fit."""

    kind: Literal["drop-tail"] = Field(description="discipline of the queue")


class CoDel(Table):
    """A queue that drops at its head what would stand too long (RFC 8289)."""

    kind: Literal["codel"] = Field(description="discipline of the queue")
    target_ms: _Ms = Field(default=5.0, description="waiting time that is put up with")
    interval_ms: _Ms = Field(default=100.0, description="for how long; the order of a round trip")


class NoAccess(Table):
    """The link has its medium to itself."""

    kind: Literal["none"] = Field(description="scheme of medium access")


class Frames(Table):
    """Transmissions begin with a frame, after a grant."""

    kind: Literal["frames"] = Field(description="scheme of medium access")
    period_ms: _Ms = Field(description="time between the starts of frames")
    grant_ms: _OffsetMs = Field(
        default=0.0, description="from asking to the grant, when nothing is being sent"
    )
    frame_kbytes: float = Field(default=0.0, ge=0, le=1e6, description="most that a frame carries; 0: any")
    offset_ms: _OffsetMs = Field(default=0.0, description="start of the first frame, after that of the run")


class SlottedAloha(Table):
    """Transmissions begin with a slot; those that overlap are lost."""

    kind: Literal["slotted-aloha"] = Field(description="scheme of medium access")
    slot_ms: _Ms = Field(description="length of a slot")
    window_slots: int = Field(
        default=8, ge=1, le=65_536, description="slots of the first back-off, doubled with each further one"
    )
    attempts: _Attempts = Field(default=1, description="transmissions of a packet at most")
    offset_ms: _OffsetMs = Field(default=0.0, description="start of the first slot, after that of the run")


class PureAloha(Table):
    """Transmissions begin at any time; those that overlap are lost."""

    kind: Literal["pure-aloha"] = Field(description="scheme of medium access")
    window_ms: _Ms = Field(description="length of the first back-off, doubled with each further one")
    attempts: _Attempts = Field(default=1, description="transmissions of a packet at most")


class DutyCycle(Table):
    """After each transmission the transmitter keeps silent, so that it is on for a share of the time."""

    kind: Literal["duty-cycle"] = Field(description="scheme of medium access")
    share: float = Field(ge=1e-6, le=1, description="of the time, 0.01 in most of the European 868 MHz band")


class Independent(Table):
    """Packets are lost one by one, as the radio or the link says."""

    kind: Literal["independent"] = Field(description="process of loss")


class GilbertElliott(Table):
    """Packets are lost in bursts: a good and a bad state, changing packet by packet."""

    kind: Literal["gilbert-elliott"] = Field(description="process of loss")
    enter: _Probability = Field(description="probability per packet of going from good to bad")
    leave: float = Field(gt=0, le=1, description="probability per packet of going from bad to good")
    loss: _Probability = Field(default=1.0, description="probability of loss in the bad state")


class _Jitter(Table):
    correlation_ms: _OffsetMs = Field(
        default=0.0, description="time in which the jitter's correlation falls to 1/e; 0: independent"
    )


class Exponential(_Jitter):
    """Jitter of an exponential distribution."""

    kind: Literal["exponential"] = Field(description="distribution; its mean is jitter_ms of radio or link")


class Uniform(_Jitter):
    """Jitter between 0 and twice its mean, all alike."""

    kind: Literal["uniform"] = Field(description="distribution; its mean is jitter_ms of radio or link")


class Normal(_Jitter):
    """Jitter of a normal distribution, not below 0."""

    kind: Literal["normal"] = Field(description="distribution; its mean is jitter_ms of radio or link")
    spread: float = Field(ge=1e-3, le=0.8, description="standard deviation over mean")


class Gamma(_Jitter):
    """Jitter of a gamma distribution."""

    kind: Literal["gamma"] = Field(description="distribution; its mean is jitter_ms of radio or link")
    shape: float = Field(ge=0.05, le=1000, description="shape parameter k")


class LogNormal(_Jitter):
    """Jitter of a log-normal distribution."""

    kind: Literal["lognormal"] = Field(description="distribution; its mean is jitter_ms of radio or link")
    sigma: float = Field(ge=1e-3, le=4, description="standard deviation of its logarithm")


class Pareto(_Jitter):
    """Jitter of a Pareto distribution: rarely, but then much."""

    kind: Literal["pareto"] = Field(description="distribution; its mean is jitter_ms of radio or link")
    shape: float = Field(ge=1.05, le=1000, description="shape parameter; near 1 the tail is heaviest")


class _Trace(Table):
    file: str = Field(
        default="",
        description="path of a CSV file with a header (optionally gzip), relative to the scenario file",
    )
    content: str = Field(
        default="",
        description="content of the file, packed; a run writes it so that its folder needs no other file",
    )
    time: str = Field(
        default="",
        description="name of the time column; empty: t_s, t_ms, unix_ns, unix_us, unix_ms, unix_s, utc",
    )
    time_unit: Literal["", "s", "ms", "us", "ns", "utc"] = Field(
        default="", description="unit of the time column; empty: the end of its name"
    )
    value: str = Field(
        default="", description="name of the value column; empty: the only one whose name ends in a unit"
    )
    factor: float = Field(
        default=1.0, gt=0, le=1e6, description="multiplies every value; 0.5 makes a round trip one way"
    )
    missing: float | None = Field(
        default=None, description="value of rows in which nothing was measured, such as -1; they are left out"
    )
    interpolation: Literal["steps", "linear"] = Field(
        default="steps", description="steps: a value holds until the next; linear: a straight line between"
    )
    repeat: bool = Field(
        default=False, description="the recording begins anew at its end; false: its last value stays"
    )
    start_s: float = Field(default=0.0, ge=0, le=1e9, description="how far into the recording the run begins")


class DelayTrace(_Trace):
    """Recorded delay: takes the place of propagation and processing."""

    unit: Literal["", "ns", "us", "ms", "s"] = Field(
        default="", description="unit of the value column; empty: the end of its name, as in rtt_ms"
    )


class RateTrace(_Trace):
    """Recorded rate: takes the place of the radio's."""

    unit: Literal["", "bps", "kbps", "mbps", "gbps"] = Field(
        default="", description="unit of the value column; empty: the end of its name, as in rate_mbps"
    )


class LossTrace(_Trace):
    """Recorded probability of loss: takes the place of the residual one."""

    unit: Literal["", "share", "percent"] = Field(
        default="", description="unit of the value column; empty: the end of its name, as in loss_percent"
    )


class Mahimahi(Table):
    """Recorded opportunities to deliver a packet: take the place of the rate."""

    file: str = Field(
        default="",
        description="path of a packet-delivery trace of Mahimahi (optionally gzip), relative to the scenario "
        "file: a millisecond a line",
    )
    content: str = Field(
        default="",
        description="content of the file, packed; a run writes it so that its folder needs no other file",
    )
    opportunity_bytes: int = Field(
        default=1504, ge=1, le=65_535, description="bytes that may leave at each opportunity"
    )
    start_s: float = Field(default=0.0, ge=0, le=1e9, description="how far into the trace the run begins")


class MeasuredModel(Table):
    """Generated delay and losses: take the place of propagation, jitter and loss process."""

    file: str = Field(
        default="",
        description="path of a model that testbed validate --out wrote, relative to the scenario file",
    )
    content: str = Field(
        default="",
        description="content of the file, packed; a run writes it so that its folder needs no other file",
    )
    way: Literal["forward", "backward"] = Field(
        default="forward",
        description="forward: all that varies; backward: the constant half of a round trip's floor",
    )


class MeasuredLink(Table):
    """What all access links play; takes the place of the models of terminals' radios."""

    model: str = Field(
        default="",
        description="path of a model that testbed validate --out wrote: links of terminals, or all fixed "
        "links where there are none, play it; the run's folder has it among [models]",
    )


Queue = Annotated[DropTail | CoDel, Field(discriminator="kind")]
Access = Annotated[NoAccess | Frames | SlottedAloha | PureAloha | DutyCycle, Field(discriminator="kind")]
Loss = Annotated[Independent | GilbertElliott, Field(discriminator="kind")]
Jitter = Annotated[Exponential | Uniform | Normal | Gamma | LogNormal | Pareto, Field(discriminator="kind")]


class ModelTable(Table):
    """How links treat packets; queue, access and framing are public, all else is hidden truth."""

    queue: Queue = Field(
        default=DropTail(kind="drop-tail"), description="who is dropped when packets pile up"
    )
    access: Access = Field(default=NoAccess(kind="none"), description="when the transmitter may begin")
    loss: Loss = Field(
        default=Independent(kind="independent"),
        description="how losses follow each other, besides those that the signal explains; hidden truth",
    )
    jitter: Jitter = Field(
        default=Exponential(kind="exponential"), description="how the jitter is distributed; hidden truth"
    )
    duplicate: _Probability = Field(
        default=0.0, description="probability that a packet arrives twice; hidden truth"
    )
    corrupt: _Probability = Field(
        default=0.0, description="probability that a bit of a packet is damaged; hidden truth"
    )
    keep_order: bool = Field(
        default=True, description="false: jitter may let a packet overtake another; hidden truth"
    )
    on_lost_link: Literal["drop", "reroute"] = Field(
        default="drop", description="what becomes of packets queued on a link that is gone"
    )
    overhead_bytes: int = Field(
        default=0, ge=0, le=10_000, description="framing of the layer below, added to every packet"
    )
    overhead_ms: float = Field(
        default=0.0, ge=0, le=10_000, description="preamble and guard time, added to every transmission"
    )
    mtu_bytes: int = Field(
        default=0, ge=0, le=65_535, description="longest packet the link carries, 68 or more; 0: any"
    )
    delay_trace: DelayTrace | None = Field(default=None, description="recorded delay; hidden truth")
    rate_trace: RateTrace | None = Field(default=None, description="recorded rate; hidden truth")
    loss_trace: LossTrace | None = Field(default=None, description="recorded loss; hidden truth")
    measured: MeasuredModel | None = Field(
        default=None, description="model calibrated on a measured path; hidden truth"
    )
    mahimahi: Mahimahi | None = Field(
        default=None, description="recorded delivery opportunities, instead of a rate trace; hidden truth"
    )
