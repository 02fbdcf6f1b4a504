"""Time on the air of LoRa and LR-FHSS packets."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import WorldError
from emulator.radio.airtime import lora_airtime_s, lr_fhss_airtime_s

MICROSECOND = 1e-6


@pytest.mark.parametrize(
    ("payload_bytes", "spreading_factor", "milliseconds"),
    [(13, 7, 46.336), (13, 9, 164.864), (13, 12, 1155.072)],
)
def test_lora_agrees_with_the_designers_guide(
    payload_bytes: int, spreading_factor: int, milliseconds: float
) -> None:
    """Semtech AN1200.13 and the calculators made from it: 125 kHz, 4/5, eight symbols of preamble."""
    airtime = lora_airtime_s(payload_bytes, spreading_factor, 125e3)
    assert airtime == pytest.approx(milliseconds / 1e3, abs=MICROSECOND)


def test_lora_takes_half_the_time_in_twice_the_bandwidth() -> None:
    assert lora_airtime_s(20, 9, 250e3) == pytest.approx(lora_airtime_s(20, 9, 125e3) / 2.0)


def test_lora_takes_the_optimisation_for_long_symbols() -> None:
    assert lora_airtime_s(51, 11, 125e3) == lora_airtime_s(51, 11, 125e3, low_data_rate=True)
    assert lora_airtime_s(51, 11, 250e3) == lora_airtime_s(51, 11, 250e3, low_data_rate=False)


def test_lora_header_and_checksum_take_time() -> None:
    bare = lora_airtime_s(30, 7, 125e3, explicit_header=False, crc=False)
    assert bare < lora_airtime_s(30, 7, 125e3, crc=False) < lora_airtime_s(30, 7, 125e3)


@given(st.integers(0, 254), st.integers(7, 12), st.integers(5, 8))
def test_lora_longer_packets_never_take_less(payload_bytes: int, factor: int, coding: int) -> None:
    shorter = lora_airtime_s(payload_bytes, factor, 125e3, coding)
    assert shorter <= lora_airtime_s(payload_bytes + 1, factor, 125e3, coding)


def test_lr_fhss_header_and_full_block_last_as_published() -> None:
    """233.472 ms a header, 102.4 ms a block of 50 bits: LoRaWAN regional parameters, LR-FHSS."""
    one, two = lr_fhss_airtime_s(10, "1/3", headers=1), lr_fhss_airtime_s(10, "1/3", headers=2)
    assert two - one == pytest.approx(0.233472, abs=MICROSECOND)
    # 10 bytes: (12 x 8 + 6) x 3 = 306 coded bits, six full blocks and one of 18 + 2 bits
    assert one == pytest.approx(0.233472 + 6 * 0.1024 + 20 / 488.28125, abs=MICROSECOND)


def test_lr_fhss_rounds_up_to_whole_bits_with_the_fastest_coding() -> None:
    # 2 bytes: (4 x 8 + 6) x 6/5 = 45.6 coded bits, one block of 46 + 2 bits
    assert lr_fhss_airtime_s(2, "5/6", headers=1) == pytest.approx((114 + 48) / 488.28125, abs=MICROSECOND)


def test_lr_fhss_sends_three_headers_with_the_robust_coding_and_two_with_the_fast() -> None:
    assert lr_fhss_airtime_s(10, "1/3") == lr_fhss_airtime_s(10, "1/3", headers=3)
    assert lr_fhss_airtime_s(10, "2/3") == lr_fhss_airtime_s(10, "2/3", headers=2)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: lora_airtime_s(300, 7, 125e3), "payload_bytes is 300, allowed: 0 to 255"),
        (lambda: lora_airtime_s(10, 6, 125e3), "spreading_factor is 6, allowed: 7 to 12"),
        (lambda: lora_airtime_s(10, 7, -1.0), "bandwidth_hz is -1, it must be above 0"),
        (lambda: lora_airtime_s(10, 7, 125e3, 9), "coding_denominator is 9, allowed: 5 to 8"),
        (lambda: lora_airtime_s(10, 7, math.inf), "bandwidth_hz is inf, it must be above 0"),
        (lambda: lora_airtime_s(10, 7.5, 125e3), "spreading_factor is 7.5, it must be a whole number"),  # type: ignore[arg-type]
        (lambda: lora_airtime_s(10, 7, 125e3, preamble_symbols=-100), "preamble_symbols is -100, allowed: 6"),
        (lambda: lr_fhss_airtime_s(10, "3/4"), "coding is '3/4', allowed: 1/3, 1/2, 2/3, 5/6"),
        (lambda: lr_fhss_airtime_s(10, "1/3", 5), "headers is 5, allowed: 1 to 4"),
    ],
)
def test_bad_input_gets_one_sentence(call: Any, sentence: str) -> None:
    with pytest.raises(WorldError, match=sentence):
        call()
