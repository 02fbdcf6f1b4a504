"""Modulation and coding: what rate a signal-to-noise ratio buys, and how often a frame still fails.

Tables hold, from most robust to fastest, the spectral efficiency (bit/s per Hz of noise bandwidth,
which is the symbol rate) and the least Es/N0. Adaptive coding keeps a margin over that threshold and
asks for a further hysteresis before it goes faster; it steps down at once.

The thresholds are of the standards. How the frame error rate falls around a threshold is not in the
tables: it is a modelling choice here, a logistic curve through the error rate that the standard
ties to the threshold and through one half at a stated distance below it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.errors import WorldError


@dataclass(frozen=True)
class ModCodTable:
    """Choices of one radio system, in rising order of threshold and efficiency."""

    name: str
    labels: tuple[str, ...]
    efficiency: NDArray[np.float64]
    threshold_db: NDArray[np.float64]
    #: a packet is cut into frames of this size; one lost frame loses it
    frame_bits: int
    #: frame error rate at the threshold, and how far below it that is one half
    error_at_threshold: float
    half_below_db: float

    def select(
        self,
        snr_db: NDArray[np.float64],
        current: NDArray[np.int16],
        margin_db: NDArray[np.float64],
        hysteresis_db: NDArray[np.float64],
    ) -> NDArray[np.int16]:
        """Index of the ModCod for each link; all arrays [n].

        `current`: the index in use, -1 for a new link. The fastest that keeps `margin_db`; one that is
        faster than the current must keep `hysteresis_db` more. The most robust when none fits.
        """
        spare = snr_db - margin_db
        fits = np.searchsorted(self.threshold_db, spare, side="right") - 1
        fits_well = np.searchsorted(self.threshold_db, spare - hysteresis_db, side="right") - 1
        chosen = np.where(current < 0, fits, np.where(fits < current, fits, np.maximum(current, fits_well)))
        return np.clip(chosen, 0, len(self.labels) - 1).astype(np.int16)

    def frame_error(self, snr_db: ArrayLike, index: NDArray[np.int16]) -> NDArray[np.float64]:
        """Probability that one frame is lost, for Es/N0 in dB and ModCod index."""
        odds_at_threshold = math.log(1.0 / self.error_at_threshold - 1.0)
        steepness = odds_at_threshold / self.half_below_db
        above_half = np.asarray(snr_db) - self.threshold_db[index] + self.half_below_db
        return 1.0 / (1.0 + np.exp(np.clip(steepness * above_half, -700.0, 700.0)))


#: label, spectral efficiency in bit/symbol, ideal Es/N0 in dB for a quasi-error-free channel (frame
#: error rate 1e-7 for S2, 1e-5 for the S2X additions), normal frames, additive white Gaussian noise:
#: EN 302 307-1 V1.4.1 table 13 and EN 302 307-2 V1.1.1 table 20a. Those that need more
#: Es/N0 than another of the same efficiency are left out.
_DVB_S2X = (
    ("QPSK 2/9", 0.434841, -2.85),
    ("QPSK 1/4", 0.490243, -2.35),
    ("QPSK 13/45", 0.567805, -2.03),
    ("QPSK 1/3", 0.656448, -1.24),
    ("QPSK 2/5", 0.789412, -0.30),
    ("QPSK 9/20", 0.889135, 0.22),
    ("QPSK 1/2", 0.988858, 1.00),
    ("QPSK 11/20", 1.088581, 1.45),
    ("QPSK 3/5", 1.188304, 2.23),
    ("QPSK 2/3", 1.322253, 3.10),
    ("QPSK 3/4", 1.487473, 4.03),
    ("QPSK 4/5", 1.587196, 4.68),
    ("8APSK 5/9-L", 1.647211, 4.73),
    ("8APSK 26/45-L", 1.713601, 5.13),
    ("8PSK 3/5", 1.779991, 5.50),
    ("16APSK 1/2-L", 1.972253, 5.97),
    ("16APSK 8/15-L", 2.104850, 6.55),
    ("16APSK 5/9-L", 2.193247, 6.84),
    ("16APSK 3/5-L", 2.370043, 7.41),
    ("16APSK 28/45", 2.458441, 8.10),
    ("16APSK 23/36", 2.524739, 8.38),
    ("16APSK 2/3-L", 2.635236, 8.43),
    ("16APSK 25/36", 2.745734, 9.27),
    ("16APSK 13/18", 2.856231, 9.71),
    ("16APSK 3/4", 2.966728, 10.21),
    ("16APSK 7/9", 3.077225, 10.65),
    ("16APSK 4/5", 3.165623, 11.03),
    ("32APSK 2/3-L", 3.291954, 11.10),
    ("32APSK 32/45", 3.510192, 11.75),
    ("32APSK 11/15", 3.620536, 12.17),
    ("32APSK 3/4", 3.703295, 12.73),
    ("32APSK 7/9", 3.841226, 13.05),
    ("32APSK 4/5", 3.951571, 13.64),
    ("64APSK 32/45-L", 4.206428, 13.98),
    ("64APSK 11/15", 4.338659, 14.81),
    ("64APSK 7/9", 4.603122, 15.47),
    ("64APSK 4/5", 4.735354, 15.87),
    ("64APSK 5/6", 4.933701, 16.55),
)

#: spreading factor and least SNR in the channel's 125 kHz: Semtech SX1276 data sheet, table 13
_LORA = ((12, -20.0), (11, -17.5), (10, -15.0), (9, -12.5), (8, -10.0), (7, -7.5))
#: coding rate 4/5, as LoRaWAN uses it
_LORA_CODING = 4.0 / 5.0


def _dvb_s2x() -> ModCodTable:
    labels, efficiency, threshold = zip(*_DVB_S2X, strict=True)
    # FECFRAME of 64,800 bits; LDPC codes this long go from 1e-7 to total loss within some tenths of a dB
    return ModCodTable("dvb-s2x", labels, np.array(efficiency), np.array(threshold), 64_800, 1e-7, 0.5)


def _lora() -> ModCodTable:
    """Bit rate = SF / 2^SF x bandwidth x coding rate (SX1276 data sheet, section 4.1.1).

    The frame is the largest LoRa payload, 255 bytes; the sensitivities are for about one packet in a
    hundred lost, and chirps fade out over about a decibel.
    """
    factors, threshold = zip(*_LORA, strict=True)
    efficiency = np.array([factor / 2.0**factor * _LORA_CODING for factor in factors])
    labels = tuple(f"SF{factor}" for factor in factors)
    return ModCodTable("lora", labels, efficiency, np.array(threshold), 2_040, 1e-2, 1.0)


TABLES: dict[str, Callable[[], ModCodTable]] = {"dvb-s2x": _dvb_s2x, "lora": _lora}


def modcod_table(name: str) -> ModCodTable:
    """The table of that name. Raises `WorldError` naming the known ones."""
    if name not in TABLES:
        raise WorldError(f"modcods is {name!r}, allowed: {', '.join(sorted(TABLES))}")
    return TABLES[name]()
