"""Predictions for the next window, and residuals of the last: records from belief and observation.

For every link that should exist: delay, loss, throughput, SNR; for every server its service rate; each
with a 90 % band and the trivial baselines. A prediction is made from the nominal network at the window's
middle and from what was learned up to the window before; `Prediction` objects are kept until the
window's observation is looked at, and are never changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from nodes.wire import Record, Value
from testbed.twin.baselines import Climatology, ConstantBaseline
from testbed.twin.forecast import Band
from testbed.twin.links import LinkBelief
from testbed.twin.nominal import NominalLink
from testbed.twin.radio import RadioChannel
from testbed.twin.servers import ServerBelief

DELAY, LOSS, THROUGHPUT, SNR, SERVICE = "delay_ms", "loss", "throughput_bps", "snr_db", "service_rate_hz"
Z90 = 1.645


@dataclass
class Prediction:
    """What was predicted for one link (or server, with `link` None) and one window."""

    target: str
    link: NominalLink | None
    bands: dict[str, Band] = field(default_factory=dict)
    #: rate of the believed ModCod; that of `link` is what it is believed to serve
    modcod_bps: float = 0.0


def baseline_key(link: NominalLink) -> str:
    """What a constant baseline belongs to: an end and direction, whatever the satellite."""
    return f"{link.kind}/{link.place}/{link.direction}" if link.place else link.id


def predict_link(link: NominalLink, belief: LinkBelief, channel: RadioChannel | None) -> Prediction:
    """The prediction for one link."""
    made = Prediction(link.id, link)
    if link.rate_bps > 0.0:
        made.bands[DELAY] = belief.delay_band(link)
        made.bands[THROUGHPUT] = belief.throughput_band(link)
        made.bands[LOSS] = belief.loss_band(link)
    if channel is not None and math.isfinite(link.snr_db):
        sd = channel.sd
        made.bands[SNR] = Band(link.snr_db, sd, link.snr_db - Z90 * sd, link.snr_db + Z90 * sd)
    return made


def predict_server(name: str, belief: ServerBelief) -> Prediction:
    """The prediction for one server."""
    mean = belief.mean_hz
    band = Band(mean, mean * belief.sd_log, *belief.band_hz(), belief.median_hz)
    return Prediction(name, None, {SERVICE: band})


def prediction_records(
    made: Prediction, belief: LinkBelief | None, baseline: ConstantBaseline, t_ns: int, window_s: float
) -> list[Record]:
    """The records of a prediction; `t_ns` is the start of its window."""
    key = made.target if made.link is None else baseline_key(made.link)
    records = []
    for quantity, band in made.bands.items():
        fields: dict[str, Value] = {
            "mean": band.mean, "sd": band.sd, "median": band.median, "lo90": band.low, "hi90": band.high,
            "window_s": window_s,
        }  # fmt: skip
        samples: list[float] = []
        constant = baseline.value(key, quantity)
        if constant is not None:
            fields["baseline_constant"] = constant
        if quantity == DELAY and made.link is not None and belief is not None:
            fields["packet_lo90"], fields["packet_hi90"] = belief.packet_band_ms(made.link)
            fields["baseline_propagation"] = made.link.propagation_ms
            samples = belief.packet_delays_ms(made.link).tolist()
        records.append(
            Record(t_ns, "prediction", {"target": made.target, "quantity": quantity}, fields, samples)
        )  # fmt: skip
    return records


def residual_record(
    target: str,
    quantity: str,
    t_ns: int,
    band: Band,
    observed: float,
    z: float,
    climatology: Climatology | None = None,
) -> Record:
    """How an observation compares with what was predicted for it, and what a climatology makes of it."""
    fields: dict[str, Value] = {
        "observed": observed, "predicted": band.mean, "z": z, "inside90": band.holds(observed),
    }  # fmt: skip
    if climatology is not None:
        fields["crps_climatology"] = climatology.crps(observed)
    return Record(t_ns, "residual", {"target": target, "quantity": quantity}, fields)
