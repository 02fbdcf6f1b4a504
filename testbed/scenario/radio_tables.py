"""The tables of radio interfaces: what `[radios.NAME]` may say.

`translate` turns them into `emulator.spec.RadioSpec`, where the same words mean the same things.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from testbed.scenario.base import Table


class AntennaTable(Table):
    """How an antenna's gain falls away from its peak, which EIRP and G/T already hold."""

    pattern: Literal[
        "isotropic", "dish-s465", "aperture", "satellite-s1528", "phased-array", "dipole", "turnstile", "qfh"
    ] = Field(default="isotropic", description="shape of the pattern")
    pointing: Literal["tracking", "zenith", "nadir"] = Field(
        default="tracking", description="where the peak is; tracking: at the other end"
    )
    diameter_m: float = Field(default=0.0, ge=0, le=100, description="of dishes, apertures and arrays")
    gain_dbi: float = Field(default=0.0, ge=0, le=80, description="at the peak; 0: from the diameter")
    scan_exponent: float = Field(
        default=1.2, ge=0, le=4, description="phased arrays: power of the cosine of the scan angle"
    )


class Radio(Table):
    """A radio interface; up is away from the place that owns it, down is towards that place."""

    preset: str = Field(
        default="",
        description="named set of figures; keys that the table gives itself go before it",
    )
    modcods: Literal["dvb-s2x", "nr", "nb-iot", "lora", "lr-fhss"] = Field(
        default="dvb-s2x", description="table of modulations and codings"
    )
    up_frequency_ghz: float = Field(gt=0.05, le=100, description="carrier, away from the place")
    down_frequency_ghz: float = Field(gt=0.05, le=100, description="carrier, towards the place")
    up_bandwidth_mhz: float = Field(ge=1e-4, le=5000, description="occupied bandwidth, away from the place")
    down_bandwidth_mhz: float = Field(ge=1e-4, le=5000, description="occupied bandwidth, towards the place")
    up_eirp_dbw: float = Field(ge=-60, le=100, description="radiated power of the place")
    down_eirp_dbw: float = Field(ge=-60, le=100, description="radiated power of the far end")
    up_g_over_t_db_k: float = Field(ge=-60, le=60, description="figure of merit of the far end, receiving")
    down_g_over_t_db_k: float = Field(ge=-60, le=60, description="figure of merit of the place, receiving")
    implementation_loss_db: float = Field(
        default=1.0, ge=0, le=10, description="loss of a real modem over theory"
    )
    margin_db: float = Field(
        default=1.0, ge=0, le=20, description="kept by adaptive coding over the threshold"
    )
    hysteresis_db: float = Field(
        default=0.5, ge=0, le=10, description="extra margin before a faster ModCod is taken"
    )
    processing_ms: float = Field(
        default=2.0, ge=0, le=1000, description="framing, coding and scheduling, per hop"
    )
    jitter_ms: float = Field(
        default=0.05, ge=0, le=1000, description="mean of the exponential per-packet jitter"
    )
    loss: float = Field(default=0.0, ge=0, lt=1, description="packet loss that remains at any signal level")
    queue_packets: int = Field(
        default=500, ge=1, le=100_000, description="packets a queue holds, each direction"
    )
    queue_kbytes: float = Field(default=500.0, gt=0, le=1e6, description="kilobytes (1000 B) a queue holds")
    weather: bool = Field(default=True, description="gases and rain attenuate this radio")
    place_antenna: AntennaTable = Field(default_factory=AntennaTable, description="antenna of the place")
    far_antenna: AntennaTable = Field(default_factory=AntennaTable, description="antenna of the far end")
    down_system_noise_k: float = Field(
        default=0.0, ge=0, le=10_000, description="of the place, clear sky: rain adds to it; 0: it does not"
    )
    environment: Literal["none", "rural", "suburban", "urban", "dense-urban"] = Field(
        default="none", description="surroundings of the place, 3GPP TR 38.811: clutter on the way up"
    )
    weather_percent: float = Field(
        default=0.0, ge=0, le=50, description="attenuation exceeded this share of the year is counted on, %"
    )
    interference: bool = Field(
        default=False, description="links of overlapping frequencies disturb those of this radio"
    )
    up_model: str = Field(
        default="",
        description="model of [models] that its links away from the place have; empty: the plain one",
    )
    down_model: str = Field(
        default="",
        description="model of [models] that its links towards the place have; empty: the plain one",
    )
