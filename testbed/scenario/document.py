"""A scenario file as a whole: its settings tables and the root that holds every table.

`Document` is what pydantic validates a file against, one key at a time; what relates keys to each
other is in `checks`. `testbed schema` prints the JSON Schema of `Document`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from testbed.scenario.base import Name, Share, Table
from testbed.scenario.link_models import MeasuredLink, ModelTable
from testbed.scenario.node_tables import Deviation, Node
from testbed.scenario.radio_tables import Radio
from testbed.scenario.world_tables import Access, Constellation, LinkTable, PlaceTable, WeatherTable

#: shortest run: shares of it must still be long enough to hold a deviation
SHORTEST_RUN_S = 5.0


def _utc(text: str) -> str:
    try:
        if not text.endswith("Z"):
            raise ValueError
        if not 1957 <= datetime.fromisoformat(text).astimezone(UTC).year <= 2099:
            raise ValueError
    except ValueError:
        raise PydanticCustomError(
            "utc", "must be a UTC time such as 2025-10-01T12:00:00Z, from 1957 to 2099"
        ) from None
    return text


def _endpoint(text: str) -> str:
    found = re.fullmatch(r"tcp://(127\.0\.0\.1|localhost):(\*|\d{1,5})", text)
    if found is None or (found[2] != "*" and not 0 < int(found[2]) < 65_536):
        raise PydanticCustomError(
            "endpoint", "must be tcp://127.0.0.1:PORT on this host, 1 to 65535, or * for any free port"
        )
    return text


Endpoint = Annotated[str, AfterValidator(_endpoint)]


class Run(Table):
    """The run as a whole."""

    name: Name = Field(description="names the run's folder")
    duration_s: float = Field(default=60.0, ge=SHORTEST_RUN_S, le=604_800, description="length of the run")
    seed: int = Field(default=1, ge=0, lt=2**63, description="every random decision follows from it")
    start_utc: Annotated[str, AfterValidator(_utc)] = Field(
        description="emulated time of the start, ISO 8601"
    )
    epoch_s: float = Field(default=0.1, ge=0.01, le=10, description="time between updates of the link table")
    window_s: float = Field(default=0.5, ge=0.1, le=60, description="length of an observation window")


class Network(Table):
    """How the processes of a run find and treat each other."""

    control_endpoint: Endpoint = Field(default="tcp://127.0.0.1:*", description="where nodes register")
    data_endpoint: Endpoint = Field(
        default="tcp://127.0.0.1:*", description="where their packets enter the channel"
    )
    guests: bool = Field(default=True, description="programs the scenario does not name may join")
    register_timeout_s: float = Field(
        default=20.0, gt=0, le=3600, description="a node that is later is given up"
    )
    drain_s: float = Field(
        default=2.0, ge=0, le=600, description="at the end, time for packets in the air to arrive"
    )
    latency: Literal["spin", "balanced", "economical"] = Field(
        default="balanced", description="how eagerly the channel waits: processor time against lateness"
    )
    realtime: Literal["auto", "off"] = Field(
        default="auto", description="auto: the channel takes real-time priority where the system permits it"
    )
    compensate: bool = Field(
        default=False,
        description="the measured delay of the real wires and hosts is taken off the emulated one",
    )
    ip: bool = Field(
        default=True, description="`testbed exec` may attach programs to nodes; needs no privilege by itself"
    )
    ip_mtu: int = Field(default=1500, ge=1280, le=9000, description="longest IP packet of their interfaces")


class Compute(Table):
    """What the compute roles may take of this machine's processors."""

    cpu_budget_cores: float = Field(
        default=0.5,
        ge=0,
        le=1024,
        description="the most all edge servers burn together; their cpu_share shrinks to fit",
    )


class Plant(Table):
    """Hidden truth: how far the plant's parameters lie from the published ones, drawn from the seed."""

    processing_sigma: float = Field(
        default=0.1, ge=0, le=1, description="relative spread of a radio's processing time"
    )
    implementation_loss_sigma_db: float = Field(
        default=0.3, ge=0, le=5, description="spread of a modem's loss, per place"
    )
    snr_report_sigma_db: float = Field(
        default=0.3, ge=0, le=5, description="noise of the modem's own SNR report"
    )
    range_report_sigma_us: float = Field(
        default=0.5, ge=0, le=1000, description="noise of the propagation time that a modem's ranging reports"
    )
    range_bias_sigma_us: float = Field(
        default=1.0, ge=0, le=1000, description="spread of what ranging is off by all the time, per place"
    )
    shadowing: bool = Field(
        default=True, description="sight comes and goes in a radio's environment; false: its mean holds"
    )


class Limits(Table):
    """What an action must keep to before the twin carries it out, as the what-if predicts it."""

    least_gain: Share = Field(
        default=0.1, description="least fall of the latency that the action is for, as a share of it"
    )
    most_harm: float = Field(
        default=0.1, ge=0, le=10, description="most rise of any flow's latency, as a share of it"
    )
    confidence: float = Field(
        default=0.9, ge=0.5, lt=1, description="least probability that it is a gain at all"
    )
    actions_per_minute: int = Field(default=6, ge=1, le=600, description="most actions within any minute")
    horizon_s: float = Field(default=20.0, ge=1, le=3600, description="how far ahead an action is tried")
    verification_s: float = Field(
        default=5.0, ge=1, le=600, description="how long its effect is watched before it is judged"
    )


#: policies that are shipped; others are named by their module and class
_POLICIES = ("handover", "route", "offload", "priority", "duty")


def _policy(name: str) -> str:
    if name not in _POLICIES and not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name):
        raise PydanticCustomError(
            "policy", "must be {allowed}", {"allowed": f"{', '.join(_POLICIES)} or module:Class"}
        )
    return name


class Twin(Table):
    """Settings of the twin: public, it receives them."""

    enabled: bool = Field(default=True, description="whether a twin runs beside the plant")
    false_alarms_per_day: float = Field(
        default=0.1, gt=0, le=1000, description="false alarms a day the detectors, all together, are set for"
    )
    calibration_share: Share = Field(
        default=0.25, description="first part of the run, from which the constant baseline is taken"
    )
    act: Literal["auto", "dry-run", "off"] = Field(
        default="auto",
        description="auto: actions are carried out where everything is emulated and only told where "
        "hardware is attached; dry-run: only told; off: none are looked for",
    )
    policies: list[Annotated[str, AfterValidator(_policy)]] = Field(
        default=["handover", "route", "offload"],
        description="what proposes actions: handover, route, offload, priority, duty, or module:Class",
    )
    limits: Limits = Field(default_factory=Limits, description="what every action must keep to")
    hierarchy: Literal["central", "edges"] = Field(
        default="central",
        description="central: one twin sees everything; edges: beside it, each part of the network has one "
        "of its own, whose loop goes on while the central one is away",
    )
    edges: int = Field(
        default=0, ge=0, le=16, description="parts with a twin of their own; 0: one for every gateway"
    )


class Influx(Table):
    """A live copy of the telemetry in InfluxDB, on when a URL is given."""

    url: Annotated[str, StringConstraints(pattern=r"^(https?://.+)?$")] = Field(
        default="", description="of the server, such as http://127.0.0.1:8086; empty: no live copy"
    )
    database: str = Field(default="testbed", min_length=1, description="database of InfluxDB 1.x")
    org: str = Field(default="", description="organisation of InfluxDB 2.x")
    bucket: str = Field(default="", description="bucket of InfluxDB 2.x; empty: the server is 1.x")
    token_variable: str = Field(
        default="INFLUX_TOKEN", description="environment variable with the token: secrets stay out of files"
    )


class Store(Table):
    """What is kept of a run besides its telemetry file."""

    embedded: bool = Field(default=True, description="queryable store (SQLite) beside the telemetry file")
    packets: bool = Field(default=True, description="every packet-hop as pcap")
    influxdb: Influx = Field(default_factory=Influx, description="live copy in InfluxDB")


class Document(Table):
    """A scenario of the testbed."""

    run: Run = Field(description="the run as a whole")
    network: Network = Field(default_factory=Network, description="how processes find each other")
    constellation: Constellation = Field(description="where the satellites come from")
    radios: dict[Name, Radio] = Field(default={}, description="radio interfaces by name")
    models: dict[Name, ModelTable] = Field(default={}, description="how links treat packets, by name")
    places: dict[Name, PlaceTable] = Field(description="where nodes stand, by name")
    links: list[LinkTable] = Field(default=[], description="links that do not depend on satellites")
    link: MeasuredLink = Field(
        default_factory=MeasuredLink, description="what all access links play; hidden truth"
    )
    access: Access = Field(default_factory=Access, description="how terminals choose satellites")
    nodes: dict[Name, Node] = Field(description="the nodes by name")
    compute: Compute = Field(default_factory=Compute, description="what compute roles may take")
    plant: Plant = Field(default_factory=Plant, description="hidden truth")
    weather: WeatherTable = Field(
        default_factory=WeatherTable, description="rain that really falls; the twin is not told"
    )
    deviations: list[Deviation] = Field(default=[], description="what happens that the twin is not told")
    twin: Twin = Field(default_factory=Twin, description="settings of the twin")
    store: Store = Field(default_factory=Store, description="what is kept of a run")


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a scenario file."""
    schema = Document.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
