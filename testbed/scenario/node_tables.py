"""The tables of the nodes, one for each role, and of the deviations, one for each kind.

A node's table is what its process is given when it registers. A deviation's table is the plant's
secret: neither nodes nor twin receive it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from testbed.scenario.base import Share, Table

_Megacycles = Annotated[float, Field(gt=0, le=1e6)]


class _Node(Table):
    place: str = Field(description="place it stands at; of a spread, node I takes the I-th point")
    count: int = Field(
        default=0, ge=0, le=10_000, description="0: one node of this name; N: nodes NAME-1 .. NAME-N"
    )
    external: bool = Field(
        default=False, description="not started by the run: it joins from another machine or shell"
    )


class _Sender(Table):
    traffic_class: int = Field(
        default=0,
        ge=0,
        le=3,
        description="of what it sends of its own accord; of packets that wait for a link, 3 goes first",
    )


class _Readings(Table):
    reading_interval_s: float = Field(
        default=1.0, ge=0, le=86_400, description="time between readings of each node; 0: none"
    )
    reading_bytes: int = Field(
        default=64, ge=1, le=1_200, description="payload of a reading, without the 48 B header"
    )
    sink: str = Field(default="", description="node that receives the readings")
    via: str = Field(default="", description="relay node all its traffic goes through; empty: none")


class SensorNode(_Node, _Sender, _Readings):
    """Publishes readings and offloads compute tasks."""

    role: Literal["sensor"] = Field(description="what it does")
    task_interval_s: float = Field(
        default=0.0, ge=0, le=86_400, description="time between tasks; 0: no tasks"
    )
    task_kbytes: float = Field(
        default=50.0, gt=0, le=16_000, description="input of a task, kilobytes (1000 B)"
    )
    task_megacycles: list[_Megacycles] = Field(
        default=[100.0, 1400.0],
        min_length=2,
        max_length=2,
        description="work of a task, drawn from [low, high]",
    )
    task_timeout_s: float = Field(
        default=30.0, gt=0, le=86_400, description="a task not answered by then has failed"
    )
    servers: list[str] = Field(default=[], description="edge nodes that take the tasks, in turn")
    broker: str = Field(default="", description="broker node to publish the readings to, instead of a sink")
    topic: str = Field(
        default="readings", min_length=1, max_length=120, description="topic they are published under"
    )


class EdgeNode(_Node):
    """Executes tasks and answers."""

    role: Literal["edge"] = Field(description="what it does")
    service_rate_mhz: float = Field(gt=0, le=1e6, description="megacycles a second; nominal and public")
    cores: int = Field(default=1, ge=1, le=1024, description="tasks served at the same time")
    cpu_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="share of the service time that really burns a core; the rest is paced",
    )
    queue_tasks: int = Field(default=64, ge=1, le=100_000, description="tasks that wait; more are refused")


class GatewayNode(_Node, _Sender):
    """Receives readings and answers pings; with a broker, subscribes to topics."""

    role: Literal["gateway"] = Field(description="what it does")
    broker: str = Field(default="", description="broker node to subscribe at; empty: none")
    topics: list[str] = Field(default=[], description="topics to subscribe to")
    subscribe_interval_s: float = Field(
        default=5.0, ge=0.1, le=3600, description="time between renewals: a subscription may get lost"
    )


class RelayNode(_Node):
    """Passes on the packets that are addressed through it."""

    role: Literal["relay"] = Field(description="what it does")
    queue_packets: int = Field(default=500, ge=1, le=100_000, description="packets that wait in the relay")


class BrokerNode(_Node, _Sender):
    """On-board publish/subscribe that stores and forwards."""

    role: Literal["broker"] = Field(description="what it does")
    store_messages: int = Field(
        default=1000, ge=1, le=1_000_000, description="messages kept; the oldest go first"
    )
    topics_max: int = Field(default=100, ge=1, le=100_000, description="topics it knows at most")
    subscriber_timeout_s: float = Field(
        default=3600.0, ge=0.1, le=604_800, description="a subscription not renewed by then ends"
    )


class ProbeNode(_Node, _Sender):
    """Measures: pings, and bulk transfers."""

    role: Literal["probe"] = Field(description="what it does")
    target: str = Field(description="node that is measured against")
    via: str = Field(default="", description="relay node all its traffic goes through; empty: none")
    ping_interval_s: float = Field(default=1.0, ge=0, le=3600, description="time between pings; 0: none")
    ping_bytes: int = Field(default=64, ge=8, le=1_200, description="payload of a ping, without the header")
    ping_timeout_s: float = Field(
        default=2.0, gt=0, le=600, description="a ping not answered by then is lost"
    )
    bulk_interval_s: float = Field(
        default=0.0, ge=0, le=86_400, description="time between bulk transfers; 0: none"
    )
    bulk_kbytes: float = Field(default=100.0, gt=0, le=16_000, description="size of a bulk transfer")


class MicrocontrollerNode(_Node, _Sender, _Readings):
    """A serial device behind the bridge; `model` stands for the firmware model that is shipped."""

    role: Literal["microcontroller"] = Field(description="what it does")
    device: str = Field(
        default="model", min_length=1, description="`model`, or a port: /dev/ttyACM0, socket://host:port"
    )
    reading_bytes: int = Field(
        default=32, ge=1, le=200, description="payload of a reading; a serial frame is bounded"
    )


class GuestNode(_Node, _Sender):
    """A place kept for a user's own program, which registers under this id."""

    role: Literal["guest"] = Field(description="what it does")


Node = Annotated[
    SensorNode
    | EdgeNode
    | GatewayNode
    | RelayNode
    | BrokerNode
    | ProbeNode
    | MicrocontrollerNode
    | GuestNode,
    Field(discriminator="role"),
]


class _Deviation(Table):
    target: str = Field(description="what deviates: a place, node, satellite, or link `a>b`")
    at: Annotated[float, Field(ge=0, lt=1)] = Field(description="start, as a share of the run's duration")
    for_: Share = Field(
        alias="for",
        description="how long, as a share of the run's duration; it ends with the run at the latest",
    )

    def start_s(self, duration_s: float) -> float:
        """Run time of the start, s."""
        return self.at * duration_s

    def end_s(self, duration_s: float) -> float:
        """Run time of the end, s; never after the end of the run."""
        return min(1.0, self.at + self.for_) * duration_s


class Rain(_Deviation):
    """Rain over a ground place: every radio link there that feels weather is attenuated."""

    kind: Literal["rain"] = Field(description="what happens")
    attenuation_db: float | None = Field(
        default=None,
        gt=0,
        le=60,
        description="on each such link, whatever its frequency; or give the rain rate",
    )
    rain_rate_mm_h: float | None = Field(
        default=None, gt=0, le=250, description="attenuation then follows from frequency and elevation"
    )
    ramp_s: float = Field(
        default=2.0, ge=0, le=600, description="time to rise to the full size, and to fall again"
    )


class SlowServer(_Deviation):
    """An edge server that works more slowly than its nominal rate."""

    kind: Literal["slow_server"] = Field(description="what happens")
    factor: float = Field(gt=0, le=1, description="of the nominal service rate")


class LinkDown(_Deviation):
    """A link that exists but carries nothing."""

    kind: Literal["link_down"] = Field(description="what happens")


class ExtraLoss(_Deviation):
    """Packets lost on a link beyond what its radio explains."""

    kind: Literal["extra_loss"] = Field(description="what happens")
    loss: float = Field(gt=0, le=1, description="probability per packet")


class ExtraDelay(_Deviation):
    """Delay on a link beyond propagation and processing."""

    kind: Literal["extra_delay"] = Field(description="what happens")
    delay_ms: float = Field(gt=0, le=10_000, description="added to every packet")


class StaleOrbit(_Deviation):
    """A satellite that is not where its published elements say."""

    kind: Literal["stale_orbit"] = Field(description="what happens")
    along_track_km: float = Field(
        ge=-1000, le=1000, description="ahead (positive) or behind the published position"
    )


class Capacity(_Deviation):
    """A link that carries less than its modulation and coding let through."""

    kind: Literal["capacity"] = Field(description="what happens")
    factor: float = Field(ge=0.05, le=1, description="of the rate it would have")


class ClockOffset(_Deviation):
    """A node whose clock jumps, and from then on runs at another pace."""

    kind: Literal["clock_offset"] = Field(description="what happens")
    offset_ms: float = Field(
        default=0.0, ge=-10_000, le=10_000, description="ahead (positive) or behind the host's clock"
    )
    skew_ppm: float = Field(
        default=0.0, ge=-1000, le=1000, description="faster (positive) or slower, millionths"
    )


class LostTelemetry(_Deviation):
    """Reports that do not reach the twin: those of a node, or of the links at a place."""

    kind: Literal["lost_telemetry"] = Field(description="what happens")
    share: Share = Field(description="of the reports that are lost, each by itself")


class Flood(_Deviation):
    """Packets that nobody asked for, from a place where nothing sends them otherwise."""

    kind: Literal["flood"] = Field(description="what happens")
    rate_mbps: float = Field(gt=0, le=1000, description="offered to the link in addition")


class Impostor(_Deviation):
    """A second source with a node's identity: numbers that were there before, with other values."""

    kind: Literal["impostor"] = Field(description="what happens")


Deviation = Annotated[
    Rain
    | SlowServer
    | LinkDown
    | ExtraLoss
    | ExtraDelay
    | StaleOrbit
    | Capacity
    | ClockOffset
    | LostTelemetry
    | Flood
    | Impostor,
    Field(discriminator="kind"),
]
