"""What the channel is built from: places, constellation, radios, links.

Plain frozen dataclasses without behaviour. A scenario is translated into a `WorldSpec`; the same
type, filled with published values only, is what the twin starts from. Units are in the names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from emulator.links.model import LinkModel

    _LinkModel: TypeAlias = LinkModel
else:
    # decoders look types up at run time, and cannot tell apart which settings a table is of
    _LinkModel = Any


@dataclass(frozen=True)
class Waypoint:
    """A point of a track: seconds after the start of the run, and where."""

    at_s: float
    latitude_deg: float
    longitude_deg: float
    altitude_m: float = 0.0


@dataclass(frozen=True)
class Place:
    """Where nodes stand. A place on a satellite names the satellite and has no coordinates."""

    id: str
    kind: str  # "ground" | "ship" | "aerial" (UAV, aircraft, HAP) | "satellite"
    latitude_deg: float = 0.0
    longitude_deg: float = 0.0
    altitude_m: float = 0.0
    satellite: str = ""
    #: name of the radio used towards satellites; empty: none
    radio: str = ""
    #: "terminal" chooses one satellite or station; "gateway" feeds every satellite in use; "station" (base
    #: station, HAP, relay UAV) serves terminals with its own radio, whose up is from the terminal; "none"
    access: str = "none"
    min_elevation_deg: float = 10.0
    #: satellites a gateway follows, or terminals a station serves, at a time; 0: any number
    max_links: int = 0
    #: how far a station reaches, km; 0: as far as it is seen above the terminal's horizon
    max_range_km: float = 0.0
    waypoints: tuple[Waypoint, ...] = ()


@dataclass(frozen=True)
class CircularShell:
    """A Walker shell i:T/P/F of circular orbits."""

    altitude_km: float
    inclination_deg: float
    satellites: int
    planes: int
    phasing: int = 0
    pattern: str = "delta"  # "delta" (planes over 360 deg) | "star" (over 180 deg)
    name: str = "sat"


@dataclass(frozen=True)
class Geostationary:
    """A satellite that stands over the equator."""

    name: str
    longitude_deg: float
    inclination_deg: float = 0.0


@dataclass(frozen=True)
class OverRegion:
    """Satellites on circular orbits that stand over a square region at a stated moment.

    `columns` x `rows` sub-satellite points, in the middles of equal parts of the square, reached at
    `at_s` seconds after the start of the run, all heading towards `heading_deg` from north.
    """

    latitude_deg: float
    longitude_deg: float
    side_km: float
    altitude_km: float
    columns: int = 2
    rows: int = 2
    heading_deg: float = 30.0
    at_s: float = 30.0
    name: str = "sat"


@dataclass(frozen=True)
class ConstellationSpec:
    """Satellites of element text, of shells, geostationary ones, or those over a region, together."""

    elements: str = ""  # content of a TLE / OMM file (not a path), may hold several sets a satellite
    elements_format: str = ""  # "tle" | "omm-json" | "omm-xml" | "omm-csv"
    #: of several sets of one satellite: "published" (the newest before the start) | "nearest" (in time)
    elements_choice: str = "published"
    shells: tuple[CircularShell, ...] = ()
    geostationary: tuple[Geostationary, ...] = ()
    over_region: OverRegion | None = None
    isl: str = "none"  # "none" | "plus-grid" | "nearest"
    #: of "nearest": links a satellite has at most
    isl_neighbours: int = 4
    #: how far links to the nearest reach, and those of a grid found in elements; an even shell has its own
    isl_max_range_km: float = 5000.0
    #: links between layers (LEO, MEO, GEO): "none" | "nearest" (each satellite to one of the next layer up)
    interlayer: str = "none"
    isl_rate_mbps: float = 1000.0
    isl_processing_ms: float = 0.1
    isl_queue_packets: int = 2000
    #: name of one of `WorldSpec.models` for links between satellites; empty: the plain one
    isl_model: str = ""


@dataclass(frozen=True)
class Antenna:
    """One end's antenna: how its gain falls away from the peak, which EIRP and G/T already hold.

    `pattern`: a name of `emulator.radio.antennas`. What it needs of the other figures, it says.
    """

    pattern: str = "isotropic"
    #: where the peak is: "tracking" (at the other end) | "zenith" | "nadir"
    pointing: str = "tracking"
    diameter_m: float = 0.0
    gain_dbi: float = 0.0
    #: phased arrays: gain falls with this power of the cosine of the scan angle from broadside, which is the
    #: zenith where the radio is owned and the nadir at the far end
    scan_exponent: float = 1.2


@dataclass(frozen=True)
class RadioSpec:
    """One radio interface between a place and a satellite (or two places), both directions.

    Up means away from the place that owns the radio. EIRP and G/T are those of the two ends.
    """

    name: str
    modcods: str = "dvb-s2x"  # table name, see emulator.radio.modcod
    up_frequency_ghz: float = 29.5
    down_frequency_ghz: float = 19.7
    up_bandwidth_mhz: float = 20.0
    down_bandwidth_mhz: float = 100.0
    up_eirp_dbw: float = 45.0
    down_eirp_dbw: float = 38.0
    up_g_over_t_db_k: float = 8.0  # of the far end, receiving
    down_g_over_t_db_k: float = 12.0  # of the place, receiving
    implementation_loss_db: float = 1.0
    margin_db: float = 1.0  # kept by adaptive coding over the ideal threshold
    hysteresis_db: float = 0.5  # extra margin asked for before a faster ModCod is taken
    processing_ms: float = 2.0  # framing, coding and payload processing, per hop
    jitter_ms: float = 0.05  # mean of the exponential per-packet jitter
    loss: float = 0.0  # residual packet loss at any SNR
    queue_packets: int = 500
    queue_kbytes: float = 500.0
    weather: bool = True  # gases and rain apply
    place_antenna: Antenna = field(default_factory=Antenna)
    far_antenna: Antenna = field(default_factory=Antenna)
    #: clear-sky system noise of the place's receiver, K: rain then raises the noise too; 0: it does not
    down_system_noise_k: float = 0.0
    #: surroundings of the place (3GPP TR 38.811): "none" | "rural" | "suburban" | "urban" | "dense-urban"
    environment: str = "none"
    #: attenuation exceeded for this percentage of the year (ITU-R P.618) is counted on; 0: clear sky
    weather_percent: float = 0.0
    #: whether links of overlapping frequencies disturb this radio's links
    interference: bool = False
    #: names of `WorldSpec.models`, away from the place and towards it; empty: the plain one
    up_model: str = ""
    down_model: str = ""


@dataclass(frozen=True)
class FixedLink:
    """A link that does not depend on satellites: terrestrial, or radio between two places.

    Both directions are made. With `radio` empty, rate, delay, loss and model are as given; with a radio,
    they follow from its budget over the distance and its own models, as on a satellite link.
    """

    a: str
    b: str
    radio: str = ""
    rate_mbps: float = 1000.0
    delay_ms: float = 0.5
    jitter_ms: float = 0.0
    loss: float = 0.0
    queue_packets: int = 1000
    queue_kbytes: float = 1000.0
    #: name of one of `WorldSpec.models`, both directions; empty: the plain one
    model: str = ""
    #: that of the way from `b` to `a`; empty: the same
    back_model: str = ""


@dataclass(frozen=True)
class AccessSpec:
    """How terminals choose satellites, and when they may change."""

    policy: str = "highest-elevation"  # | "longest-visibility" | "best-snr" | "load-aware"
    #: how much better another satellite must be: by elevation, and by SNR for the policies that look at it
    hysteresis_deg: float = 5.0
    hysteresis_db: float = 1.0
    #: a satellite that still is usable is kept at least this long
    min_dwell_s: float = 0.0
    #: of "station", "leo", "meo", "geo": the first that offers anything is taken; empty: all alike
    layers: tuple[str, ...] = ()
    #: decisions are taken when emulated UTC seconds of the day = offset modulo interval
    decision_interval_s: float = 1.0
    decision_offset_s: float = 0.0


@dataclass(frozen=True)
class WorldSpec:
    """Everything the channel is computed from. `start_utc` is ISO 8601 with Z."""

    start_utc: str
    duration_s: float
    epoch_s: float
    places: tuple[Place, ...]
    constellation: ConstellationSpec
    radios: tuple[RadioSpec, ...] = ()
    links: tuple[FixedLink, ...] = ()
    access: AccessSpec = field(default_factory=AccessSpec)
    #: how links treat packets, by the names that radios, links and the constellation use
    models: tuple[_LinkModel, ...] = ()

    def __post_init__(self) -> None:
        """Models that come as tables, out of a decoded document, become what they are."""
        if any(isinstance(model, Mapping) for model in self.models):
            from emulator.links.tables import model_of

            models = tuple(model_of(m) if isinstance(m, Mapping) else m for m in self.models)
            object.__setattr__(self, "models", models)
