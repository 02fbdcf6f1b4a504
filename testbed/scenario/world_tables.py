"""The tables of the physical world: constellation, places, links, access, weather.

They describe what a file may say; `translate` turns them into what the channel is built from
(`emulator.spec`), where the same words mean the same things.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from testbed.scenario.base import LatitudeDeg, LongitudeDeg, Name, Table


class Shell(Table):
    """A Walker shell i:T/P/F of circular orbits."""

    altitude_km: float = Field(ge=160, le=36_000, description="height above the equator's radius")
    inclination_deg: float = Field(ge=0, le=180, description="inclination of every plane")
    satellites: int = Field(ge=1, le=50_000, description="satellites in all (T), a multiple of `planes`")
    planes: int = Field(ge=1, le=1_000, description="orbital planes (P), equally spaced")
    phasing: int = Field(default=0, ge=0, le=1_000, description="phasing factor (F), below `planes`")
    pattern: Literal["delta", "star"] = Field(
        default="delta", description="planes over 360 or over 180 degrees"
    )
    name: Name = Field(default="sat", description="satellites are called NAME-PLANE-SLOT, such as sat-01-01")


class GeostationaryTable(Table):
    """A satellite that stands over the equator."""

    name: Name = Field(description="name of the satellite")
    longitude_deg: LongitudeDeg = Field(description="where it stands")
    inclination_deg: float = Field(
        default=0.0, ge=0, le=30, description="more than 0: it draws a figure of eight a day"
    )


class OverRegionTable(Table):
    """Satellites that stand over a square region at a stated moment."""

    latitude_deg: LatitudeDeg = Field(description="centre of the square")
    longitude_deg: LongitudeDeg = Field(description="centre of the square")
    side_km: float = Field(gt=0, le=10_000, description="side of the square")
    altitude_km: float = Field(ge=160, le=36_000, description="height of the circular orbits")
    columns: int = Field(default=2, ge=1, le=50, description="satellites side by side, across the heading")
    rows: int = Field(
        default=2, ge=1, le=50, description="satellites one behind the other, along the heading"
    )
    heading_deg: float = Field(
        default=30.0, ge=0, le=360, description="direction of flight, from north over east"
    )
    at_share: float = Field(
        default=0.5, ge=0, le=1, description="moment they stand there, as a share of the run's duration"
    )
    name: Name = Field(default="sat", description="satellites are called NAME-1, NAME-2, ...")


class Constellation(Table):
    """Where the satellites come from (one source or several) and how they are joined."""

    elements: str = Field(
        default="", description="path of a TLE or OMM file (optionally gzip), relative to the scenario file"
    )
    elements_text: str = Field(
        default="",
        description="content of an element file; a run writes it so that its folder needs no other file",
    )
    elements_format: Literal["", "tle", "omm-json", "omm-xml", "omm-csv"] = Field(
        default="", description="format of `elements_text`"
    )
    elements_choice: Literal["published", "nearest"] = Field(
        default="published",
        description="of several sets of a satellite: the newest before the start, or the nearest in time",
    )
    shells: list[Shell] = Field(default=[], description="Walker shells")
    geostationary: list[GeostationaryTable] = Field(default=[], description="satellites over the equator")
    over_region: OverRegionTable | None = Field(
        default=None, description="satellites over a region at a stated moment"
    )
    isl: Literal["none", "plus-grid", "nearest"] = Field(
        default="none",
        description="inter-satellite links: none; ahead, behind and to both next planes; to the nearest",
    )
    isl_neighbours: int = Field(default=4, ge=1, le=64, description="links a satellite has with nearest")
    isl_max_range_km: float = Field(
        default=5000.0,
        gt=0,
        le=130_000,
        description="how far links to the nearest reach, and those of a grid found in elements; an even "
        "shell keeps the grid it has",
    )
    interlayer: Literal["none", "nearest"] = Field(
        default="none",
        description="a link from each satellite to the nearest of the next layer: LEO, MEO, GEO",
    )
    isl_rate_mbps: float = Field(
        default=1000.0, ge=1e-4, le=1e6, description="rate of an inter-satellite link"
    )
    isl_processing_ms: float = Field(
        default=0.1, ge=0, le=1000, description="processing per inter-satellite hop"
    )
    isl_queue_packets: int = Field(
        default=2000, ge=1, le=100_000, description="queue of an inter-satellite link"
    )
    isl_model: str = Field(
        default="", description="model of [models] of links between satellites; empty: the plain one"
    )


class WaypointTable(Table):
    """A point of a track."""

    at_s: float = Field(ge=0, description="seconds after the start of the run")
    latitude_deg: LatitudeDeg = Field(description="where, at that moment")
    longitude_deg: LongitudeDeg = Field(description="where, at that moment")
    altitude_m: float = Field(default=0.0, ge=-500, le=60_000, description="height over the ellipsoid")


class Spread(Table):
    """Many places in a box: NAME-1 .. NAME-count, evenly scattered, the same for the same seed."""

    count: int = Field(ge=1, le=10_000, description="how many places")
    latitude_deg: list[LatitudeDeg] = Field(min_length=2, max_length=2, description="[south, north]")
    longitude_deg: list[LongitudeDeg] = Field(min_length=2, max_length=2, description="[west, east]")
    seed: int = Field(default=0, ge=0, description="shifts the pattern")


class PlaceTable(Table):
    """Where nodes stand: on the ground, in the air, or on a satellite."""

    kind: Literal["ground", "ship", "aerial", "satellite"] = Field(
        default="ground", description="what the place is; aerial: UAV, aircraft, high-altitude platform"
    )
    latitude_deg: LatitudeDeg | None = Field(default=None, description="north positive; not on a satellite")
    longitude_deg: LongitudeDeg | None = Field(default=None, description="east positive; not on a satellite")
    altitude_m: float = Field(default=0.0, ge=-500, le=60_000, description="height over the ellipsoid")
    satellite: str = Field(default="", description="name of the satellite a satellite place is on")
    radio: str = Field(default="", description="radio used towards satellites; empty: none")
    access: Literal["terminal", "gateway", "station", "none"] = Field(
        default="none",
        description="terminal: chooses one satellite or station; gateway: feeds every satellite in use; "
        "station: serves terminals (base station, high-altitude platform, relay)",
    )
    min_elevation_deg: float = Field(default=10.0, ge=0, lt=90, description="satellites below are not used")
    max_links: int = Field(
        default=0, ge=0, le=100_000, description="satellites of a gateway, terminals of a station; 0: any"
    )
    max_range_km: float = Field(
        default=0.0, ge=0, le=2000, description="how far a station reaches; 0: to the horizon"
    )
    waypoints: list[WaypointTable] = Field(
        default=[], description="points with times that a ship or aerial place passes"
    )
    path: list[Annotated[list[float], Field(min_length=2, max_length=3)]] = Field(
        default=[],
        description="points [latitude_deg, longitude_deg(, altitude_m)] that a ship or aerial place passes "
        "at speed_m_s along great circles; without a height at altitude_m",
    )
    speed_m_s: float = Field(default=0.0, ge=0, le=3000, description="along the path")
    start_s: float = Field(
        default=0.0, ge=-1e7, le=1e7, description="run time at the path's first point; below 0: under way"
    )
    track: str = Field(
        default="",
        description="path of a CSV file, relative to the scenario file, with the columns utc or t_s, "
        "latitude_deg, longitude_deg and, unless 0, altitude_m: a recorded ship or aerial place",
    )
    track_text: str = Field(
        default="", description="content of a track; a run writes it so that its folder needs no other file"
    )
    spread: Spread | None = Field(default=None, description="scatter places NAME-1 .. NAME-count over a box")
    points: list[Annotated[list[float], Field(min_length=2, max_length=2)]] = Field(
        default=[], description="places NAME-1, NAME-2, ... at these [latitude_deg, longitude_deg]"
    )


class LinkTable(Table):
    """A link that does not depend on satellites, in both directions."""

    a: str = Field(description="place at one end; the name of a spread means one link for each of its places")
    b: str = Field(description="place at the other end")
    radio: str = Field(
        default="", description="its budget gives rate and loss; owned by `a`; empty: as given here"
    )
    rate_mbps: float = Field(default=1000.0, ge=1e-4, le=1e6, description="rate, without a radio")
    delay_ms: float = Field(default=0.5, ge=0, le=10_000, description="one-way delay, without a radio")
    jitter_ms: float = Field(
        default=0.0, ge=0, le=1000, description="mean of the exponential per-packet jitter"
    )
    loss: float = Field(default=0.0, ge=0, lt=1, description="independent packet loss, without a radio")
    queue_packets: int = Field(
        default=1000, ge=1, le=100_000, description="packets a queue holds, each direction"
    )
    queue_kbytes: float = Field(default=1000.0, gt=0, le=1e6, description="kilobytes (1000 B) a queue holds")
    model: str = Field(
        default="",
        description="model of [models] for both directions, without a radio; empty: the plain one",
    )
    back_model: str = Field(
        default="", description="model of [models] from b to a, where it is another one; empty: the same"
    )


class Access(Table):
    """How terminals choose satellites, and when they may change."""

    policy: Literal["highest-elevation", "longest-visibility", "best-snr", "load-aware"] = Field(
        default="highest-elevation", description="which of the visible satellites is taken"
    )
    hysteresis_deg: float = Field(
        default=5.0, ge=0, le=90, description="how much higher another one must stand"
    )
    hysteresis_db: float = Field(
        default=1.0, ge=0, le=30, description="how much better its SNR must be, with best-snr"
    )
    min_dwell_s: float = Field(
        default=0.0, ge=0, le=3600, description="a satellite that can still be used is kept this long"
    )
    layers: list[Literal["station", "leo", "meo", "geo"]] = Field(
        default=[], description="the first that offers anything is taken; empty: all alike"
    )
    decision_interval_s: float = Field(default=1.0, ge=0.01, le=3600, description="time between decisions")
    decision_offset_s: float = Field(
        default=0.0,
        ge=0,
        le=3600,
        description="decisions are at UTC seconds of the day = offset modulo interval",
    )


class WeatherTable(Table):
    """Hidden truth: rain over the places of the scenario, beside what deviations bring."""

    rain: Literal["clear", "p1853", "record"] = Field(
        default="clear",
        description="clear: none; p1853: synthetic rain of the places' climates (ITU-R P.1853), drawn from "
        "the seed; record: as a file of rain rates has it",
    )
    record: str = Field(
        default="",
        description="path of a CSV file (optionally gzip), relative to the scenario file, with the columns "
        "rain_rate_mm_h, one of utc and t_s, and place where rates differ by place",
    )
    record_text: str = Field(
        default="", description="content of a record; a run writes it so that its folder needs no other file"
    )
    places: list[str] = Field(
        default=[],
        description="ground places and ships it rains on, platforms in the air too if named; empty: all with "
        "a radio that feels weather",
    )
    offset_s: float = Field(
        default=0.0,
        ge=-1e9,
        le=1e9,
        description="how far into the rain or the record the run begins: another part of the same weather",
    )
