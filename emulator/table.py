"""The link table: every directed link that exists at one instant, and the way to every destination.

`LinkTable` is what physics hands to the packets. `Adjustments` is what the plant knows beyond the
published world: whoever builds a world without them gets the nominal one. Neither computes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

ACCESS, FEEDER, ISL, FIXED = 0, 1, 2, 3
KIND_NAMES = ("access", "feeder", "isl", "fixed")

Floats = NDArray[np.float64]
Link = tuple[str, str]


@dataclass
class Adjustments:
    """Hidden truth, applied at every epoch; links are (from, to) place ids. May be changed between epochs."""

    #: extra attenuation in dB of every radio link at a ground place, both directions: by place id, or a
    #: function of (place id, run time s, elevation 5 to 90 deg, frequency GHz)
    attenuation_db: Callable[[str, float, float, float], float] | Mapping[str, float] | None = None
    link_down: set[Link] = field(default_factory=set)
    extra_delay_ms: dict[Link, float] = field(default_factory=dict)
    #: probability, independent of the other losses of the link
    extra_loss: dict[Link, float] = field(default_factory=dict)
    rate_factor: dict[Link, float] = field(default_factory=dict)
    #: by radio name: factor on its processing time
    processing_bias: dict[str, float] = field(default_factory=dict)
    #: by place id: dB lost in addition on each of its radio links; on a satellite, on all of the satellite's
    implementation_loss_bias_db: dict[str, float] = field(default_factory=dict)
    #: what surroundings (`RadioSpec.environment`) take is a process of this seed; None: it is their mean
    shadowing_seed: int | None = None
    #: by satellite name: km by which it runs ahead of its published elements
    along_track_km: dict[str, float] = field(default_factory=dict)


@dataclass
class LinkTable:
    """One row a directed link; arrays of length n. Arrays are not to be written to.

    The rows of a pair of places follow one another, first away from the place that owns the radio.
    """

    t_s: float
    src: NDArray[np.int32]
    dst: NDArray[np.int32]
    kind: NDArray[np.uint8]
    #: False: the link exists but is faulted
    up: NDArray[np.bool_]
    rate_bps: Floats
    #: propagation and processing
    delay_ns: NDArray[np.int64]
    #: mean of the exponential jitter
    jitter_ns: Floats
    #: probability per packet, whatever its size
    loss: Floats
    #: probability per frame of `frame_bits`
    frame_error: Floats
    frame_bits: NDArray[np.int32]
    queue_packets: NDArray[np.int32]
    queue_bytes: NDArray[np.int64]
    #: index of the model by which the link treats packets (emulator.links.model)
    model: NDArray[np.int32]
    #: not a number where no radio is modelled; so too the next three
    snr_db: Floats
    #: beyond free space
    attenuation_db: Floats
    range_m: Floats
    elevation_deg: Floats
    #: index in the radio's table, -1: none
    modcod: NDArray[np.int16]
    #: [places, hosts] row of the next link towards a host, -1: no way, or already there
    next_hop: NDArray[np.int32]
    #: terminal place id -> satellite name, "" for none, as last decided
    serving: dict[str, str]

    def __len__(self) -> int:
        return len(self.src)
