"""How long a packet of LoRa or LR-FHSS is on the air. No channel, no duty cycle: the waveform alone."""

from __future__ import annotations

import math

from emulator.errors import WorldError

#: longer symbols ask for the low data-rate optimisation, s (Semtech AN1200.13, section 4)
_LONG_SYMBOL_S = 16e-3
#: LoRa's preamble ends in this many symbols of synchronisation (AN1200.13, section 4)
_SYNC_SYMBOLS = 4.25

#: GMSK symbols a second in a hop of LR-FHSS
LR_FHSS_SYMBOL_RATE_HZ = 488.28125
#: bits of a header replica, of a full payload block, and of the coded bits in that; Semtech LR-FHSS driver
_HEADER_BITS, _BLOCK_BITS, _FRAGMENT_BITS = 114, 50, 48
#: coding rate: (numerator, denominator), header replicas that LoRaWAN sends with it (RP002: DR8 to DR11)
_LR_FHSS_CODING = {"1/3": (1, 3, 3), "1/2": (1, 2, 2), "2/3": (2, 3, 2), "5/6": (5, 6, 1)}


def lora_airtime_s(
    payload_bytes: int,
    spreading_factor: int,
    bandwidth_hz: float,
    coding_denominator: int = 5,
    preamble_symbols: int = 8,
    explicit_header: bool = True,
    crc: bool = True,
    low_data_rate: bool | None = None,
) -> float:
    """Seconds on the air of one LoRa packet.

    `spreading_factor` 7 to 12; the coding rate is 4 / `coding_denominator` (5 to 8); `low_data_rate`: None
    for what the symbol's length asks. Raises `WorldError`. Source: Semtech AN1200.13, section 4.
    """
    _payload(payload_bytes, 255)
    if not 7 <= spreading_factor <= 12:
        raise WorldError(f"spreading_factor is {spreading_factor}, allowed: 7 to 12")
    if not 5 <= coding_denominator <= 8:
        raise WorldError(f"coding_denominator is {coding_denominator}, allowed: 5 to 8")
    if not bandwidth_hz > 0.0:
        raise WorldError(f"bandwidth_hz is {bandwidth_hz:g}, it must be above 0")
    symbol_s = 2.0**spreading_factor / bandwidth_hz
    optimised = symbol_s > _LONG_SYMBOL_S if low_data_rate is None else low_data_rate
    bits = 8 * payload_bytes - 4 * spreading_factor + 28 + 16 * crc - 20 * (not explicit_header)
    blocks = math.ceil(bits / (4 * (spreading_factor - 2 * optimised)))
    payload_symbols = 8 + max(blocks * coding_denominator, 0)
    return (preamble_symbols + _SYNC_SYMBOLS + payload_symbols) * symbol_s


def lr_fhss_airtime_s(payload_bytes: int, coding: str = "1/3", headers: int | None = None) -> float:
    """Seconds on the air of one LR-FHSS packet, all header replicas and payload hops.

    `coding`: "1/3", "1/2", "2/3" or "5/6"; `headers`: replicas, None for what LoRaWAN sends with the coding.
    Raises `WorldError`. Source: Semtech's LR-FHSS driver (payload and 16 bits of CRC with 6 bits of tail,
    coded, in fragments of 48 bits with 2 guard bits each).
    """
    _payload(payload_bytes, 255)
    if coding not in _LR_FHSS_CODING:
        raise WorldError(f"coding is {coding!r}, allowed: {', '.join(_LR_FHSS_CODING)}")
    numerator, denominator, usual = _LR_FHSS_CODING[coding]
    replicas = usual if headers is None else headers
    if not 1 <= replicas <= 4:
        raise WorldError(f"headers is {replicas}, allowed: 1 to 4")
    plain = (payload_bytes + 2) * 8 + 6
    # rate 2/3 drops an odd bit, rate 5/6 rounds up
    coded = plain * denominator // numerator if coding != "5/6" else -(-plain * 6 // 5)
    whole, rest = divmod(coded, _FRAGMENT_BITS)
    bits = _HEADER_BITS * replicas + whole * _BLOCK_BITS
    if rest:
        bits += rest + _BLOCK_BITS - _FRAGMENT_BITS
    return bits / LR_FHSS_SYMBOL_RATE_HZ


def _payload(payload_bytes: int, most: int) -> None:
    if not 0 <= payload_bytes <= most:
        raise WorldError(f"payload_bytes is {payload_bytes}, allowed: 0 to {most}")
