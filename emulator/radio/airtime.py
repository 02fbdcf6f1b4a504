"""How long a packet of LoRa or LR-FHSS is on the air. No channel, no duty cycle: the waveform alone."""

from __future__ import annotations

import math

from emulator.errors import WorldError

#: longer symbols ask for the low data-rate optimisation, s (Semtech AN1200.13, section 4)
_LONG_SYMBOL_S = 16e-3
#: LoRa's preamble ends in this many symbols of synchronisation (AN1200.13, section 4)
_SYNC_SYMBOLS = 4.25

#: registers of the SX1276 hold preambles of this length, symbols
_PREAMBLE_SYMBOLS = (6, 65_535)

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

    `spreading_factor` 7 to 12; the coding rate is 4 / `coding_denominator` (5 to 8); `preamble_symbols` 6 and
    above; `low_data_rate`: None for what the symbol's length asks. Raises `WorldError`. Source: Semtech
    AN1200.13, section 4.
    """
    _whole("payload_bytes", payload_bytes, 0, 255)
    _whole("spreading_factor", spreading_factor, 7, 12)
    _whole("coding_denominator", coding_denominator, 5, 8)
    _whole("preamble_symbols", preamble_symbols, *_PREAMBLE_SYMBOLS)
    if not 0.0 < bandwidth_hz < math.inf:
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
    _whole("payload_bytes", payload_bytes, 0, 255)
    if coding not in _LR_FHSS_CODING:
        raise WorldError(f"coding is {coding!r}, allowed: {', '.join(_LR_FHSS_CODING)}")
    numerator, denominator, usual = _LR_FHSS_CODING[coding]
    replicas = usual if headers is None else headers
    _whole("headers", replicas, 1, 4)
    plain = (payload_bytes + 2) * 8 + 6
    # rate 2/3 drops an odd bit, rate 5/6 rounds up
    coded = plain * denominator // numerator if coding != "5/6" else -(-plain * 6 // 5)
    whole, rest = divmod(coded, _FRAGMENT_BITS)
    bits = _HEADER_BITS * replicas + whole * _BLOCK_BITS
    if rest:
        bits += rest + _BLOCK_BITS - _FRAGMENT_BITS
    return bits / LR_FHSS_SYMBOL_RATE_HZ


def _whole(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise WorldError(f"{name} is {value}, allowed: {least} to {most}")
    if value != int(value):
        raise WorldError(f"{name} is {value}, it must be a whole number")
