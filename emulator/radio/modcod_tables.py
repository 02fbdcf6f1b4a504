"""The published figures of modulation and coding schemes, one function a radio system.

Numbers and where they come from, nothing else: what is done with them stands in `modcod`. Efficiency is
bit/s per Hz of the noise bandwidth that the threshold's signal-to-noise ratio is measured in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from emulator.radio.airtime import LR_FHSS_SYMBOL_RATE_HZ


class Published(NamedTuple):
    """What a table says: rows in rising order of threshold, and how frames fail around it."""

    labels: tuple[str, ...]
    efficiency: tuple[float, ...]
    threshold_db: tuple[float, ...]
    frame_bits: int
    error_at_threshold: float
    half_below_db: float


#: label, spectral efficiency in bit/symbol, ideal Es/N0 in dB for a quasi-error-free channel (frame
#: error rate 1e-7 for S2, 1e-5 for the S2X additions), normal frames, no pilots, additive white Gaussian
#: noise: EN 302 307-1 V1.4.1 table 13 and EN 302 307-2 table 20a. The thirteen S2 rows agree with four
#: public listings of table 13, the S2X rows with two of table 20a, but for two efficiencies in which these
#: differ from each other (32APSK 2/3-L: 3.289502 and 3.291954; 64APSK 5/6: 4.933701 and 4.936639). There,
#: as in all other rows, stands what follows from the frame: (Kbch - 80) / (64800 / bits per symbol + 90).
#: Those that need more Es/N0 than another of the same efficiency are left out.
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
    ("32APSK 2/3-L", 3.289502, 11.10),
    ("32APSK 32/45", 3.510192, 11.75),
    ("32APSK 11/15", 3.620536, 12.17),
    ("32APSK 3/4", 3.703295, 12.73),
    ("32APSK 7/9", 3.841226, 13.05),
    ("32APSK 4/5", 3.951571, 13.64),
    ("64APSK 32/45-L", 4.206428, 13.98),
    ("64APSK 11/15", 4.338659, 14.81),
    ("64APSK 7/9", 4.603122, 15.47),
    ("64APSK 4/5", 4.735354, 15.87),
    ("64APSK 5/6", 4.936639, 16.55),
)


def dvb_s2x() -> Published:
    """DVB-S2 and S2X, normal frames. LDPC codes of 64,800 bits go from 1e-7 to total loss within some
    tenths of a dB."""
    labels, efficiency, threshold = zip(*_DVB_S2X, strict=True)
    return Published(labels, efficiency, threshold, 64_800, 1e-7, 0.5)


#: spreading factor and least SNR in the channel's bandwidth, the same for 125, 250 and 500 kHz: Semtech
#: SX1276/77/78/79 data sheet, table 13
_LORA = ((12, -20.0), (11, -17.5), (10, -15.0), (9, -12.5), (8, -10.0), (7, -7.5))
#: coding rate 4/5, as LoRaWAN uses it
_LORA_CODING = 4.0 / 5.0


def lora() -> Published:
    """LoRa. Bit rate = SF / 2^SF x bandwidth x coding rate (SX1276 data sheet, section 4.1.1).

    The frame is the largest LoRa payload, 255 bytes; the sensitivities are for about one packet in a
    hundred lost, and chirps fade out over about a decibel.
    """
    factors, threshold = zip(*_LORA, strict=True)
    efficiency = tuple(factor / 2.0**factor * _LORA_CODING for factor in factors)
    return Published(tuple(f"SF{factor}" for factor in factors), efficiency, threshold, 2_040, 1e-2, 1.0)


#: dBm, the sensitivity of DR8 and DR10 as it is usually quoted from Semtech AN1200.64. In 488 Hz of
#: noise, with the 6 dB noise figure that the SX1276's own sensitivities imply, that is the first threshold.
_LR_FHSS_SENSITIVITY_DBM = -137.0
#: what coding 2/3 needs more than 1/3, dB. Not published by the vendor: 3.0 dB of code rate, and 1.0 dB
#: that a punctured convolutional code of 64 states gives away against the unpunctured one
_LR_FHSS_TWO_THIRDS_DB = 4.0


def lr_fhss() -> Published:
    """LR-FHSS in one hop's 488.28125 Hz (GMSK at as many bit/s): give the radio that bandwidth.

    DR8 and DR10 (coding 1/3) carry 162 bit/s, DR9 and DR11 (2/3) 325 bit/s: LoRaWAN regional parameters
    RP002, EU863-870; they differ in the width hopped over (137 and 336 kHz), which noise does not see.
    The frame is the largest LoRaWAN payload of DR8, 58 bytes; one in ten is lost at the sensitivity.
    """
    first = _LR_FHSS_SENSITIVITY_DBM + 174.0 - 10.0 * float(np.log10(LR_FHSS_SYMBOL_RATE_HZ)) - 6.0
    return Published(
        ("DR8/DR10 1/3", "DR9/DR11 2/3"),
        (1 / 3, 2 / 3),
        (first, first + _LR_FHSS_TWO_THIRDS_DB),
        464,
        0.1,
        1.0,
    )


#: efficiency of the channel quality indicators 1 to 15, bit per resource element: TS 38.214 table 5.2.2.1-2
#: (the same as LTE's, TS 36.213 table 7.2.3-1)
_CQI_EFFICIENCY = (
    0.1523, 0.2344, 0.3770, 0.6016, 0.8770, 1.1758, 1.4766, 1.9141, 2.4063, 2.7305, 3.3223, 3.9023, 4.5234,
    5.1152, 5.5547,
)  # fmt: skip
#: SNR at which one block in ten is lost over additive white Gaussian noise, dB, of the same fifteen: LTE
#: turbo codes simulated by the Vienna LTE simulators (Ikuno, Wrulich, Rupp, VTC Spring 2010). NR's LDPC
#: codes are some tenths of a dB better at these lengths, which is left as a reserve.
_CQI_THRESHOLD_DB = (
    -6.936, -5.147, -3.180, -1.253, 0.761, 2.699, 4.694, 6.525, 8.573, 10.366, 12.289, 14.173, 15.888, 17.814,
    19.829,
)  # fmt: skip
#: (bits per symbol, code rate x 1024): TS 38.214 table 5.1.3.1-1 (64QAM). MCS 17 (64QAM 438/1024) is left
#: out: it carries less than MCS 16.
_NR_64QAM = (
    *((2, rate) for rate in (120, 157, 193, 251, 308, 379, 449, 526, 602, 679)),
    *((4, rate) for rate in (340, 378, 434, 490, 553, 616, 658)),
    *((6, rate) for rate in (466, 517, 567, 616, 666, 719, 772, 822, 873, 910, 948)),
)
#: TS 38.214 table 5.1.3.1-3 (64QAM, low spectral efficiency)
_NR_LOW = (
    *((2, rate) for rate in (30, 40, 50, 64, 78, 99, 120, 157, 193, 251, 308, 379, 449, 526, 602)),
    *((4, rate) for rate in (340, 378, 434, 490, 553, 616)),
    *((6, rate) for rate in (438, 466, 517, 567, 616, 666, 719, 772)),
)
_CONSTELLATION = {2: "QPSK", 4: "16QAM", 6: "64QAM"}
#: bit/s per Hz of an efficiency of one bit per resource element: 14 symbols a millisecond on carriers 15 kHz
#: apart (cyclic prefix), less the overhead of TS 38.306 section 4.1.2 (downlink, FR1)
_NR_PER_ELEMENT = 14.0 / 15.0 * (1.0 - 0.14)


def _nr_threshold_db(efficiency: np.ndarray) -> np.ndarray:
    """Thresholds between the fifteen known ones follow their distance to Shannon's bound, linearly in the
    efficiency; below the lowest that distance stays."""
    known = np.array(_CQI_EFFICIENCY)
    gap = np.array(_CQI_THRESHOLD_DB) - 10.0 * np.log10(2.0**known - 1.0)
    return np.asarray(10.0 * np.log10(2.0**efficiency - 1.0) + np.interp(efficiency, known, gap))


def _nr(rows: tuple[tuple[int, int], ...]) -> Published:
    efficiency = np.array([bits * rate / 1024.0 for bits, rate in rows])
    labels = tuple(f"{_CONSTELLATION[bits]} {rate}/1024" for bits, rate in rows)
    # a code block of LDPC base graph 1; one in ten lost at the threshold, half of them 0.3 dB below
    return Published(
        labels, tuple(efficiency * _NR_PER_ELEMENT), tuple(_nr_threshold_db(efficiency)), 8_448, 0.1, 0.3
    )


def nr() -> Published:
    """5G NR, shared channel, up to 64QAM; the bandwidth is that of the allocated resource blocks."""
    return _nr(_NR_64QAM)


def nr_64qam_low_se() -> Published:
    """5G NR for weak links: the low spectral efficiency table."""
    return _nr(_NR_LOW)


#: repetitions and SNR in dB of NPUSCH format 1, one tone of 3.75 kHz, pi/2-BPSK, 32 bits in two resource
#: units (64 ms): TS 36.104 table 8.5.1.1.1-1, 70 % of the throughput with two receive antennas over ETU 1 Hz
_NB_IOT_STATED = ((1, -1.9), (16, -9.2), (64, -12.2))
#: 32 bits in 64 ms in 3.75 kHz
_NB_IOT_EFFICIENCY = 32 / 64e-3 / 3750.0


def nb_iot() -> Published:
    """NB-IoT uplink on a single tone, by repetitions; give the radio 3.75 kHz (15 kHz: four times the rate).

    Between the stated numbers of repetitions the threshold is taken linear in their logarithm. The stated
    fading with two antennas stands in for a satellite link, for which the standard states no such figures.
    No retransmission is modelled: at the threshold three blocks in ten are lost. The frame is the largest
    transport block of release 13, 1,000 bits.
    """
    stated = np.log2([repetitions for repetitions, _ in _NB_IOT_STATED])
    repetitions = (64, 32, 16, 8, 4, 2, 1)
    threshold = np.interp(np.log2(repetitions), stated, [snr for _, snr in _NB_IOT_STATED])
    return Published(
        tuple(f"BPSK 1/3 x{n}" for n in repetitions),
        tuple(_NB_IOT_EFFICIENCY / n for n in repetitions),
        tuple(threshold.tolist()),
        1_000,
        0.3,
        0.5,
    )


PUBLISHED: dict[str, Callable[[], Published]] = {
    "dvb-s2x": dvb_s2x,
    "lora": lora,
    "lr-fhss": lr_fhss,
    "nb-iot": nb_iot,
    "nr": nr,
    "nr-64qam-low-se": nr_64qam_low_se,
}
