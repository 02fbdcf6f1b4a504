"""Modulation and coding: order of the tables, choice with margin and hysteresis, frame errors."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import WorldError
from emulator.radio.modcod import TABLES, ModCodStack, ModCodTable, modcod_table, packet_error

#: printed in the standard with six digits
PRINTED = 1e-6
#: dB, by which the sensitivities of a data sheet are rounded
ROUNDED_DB = 1.0
#: bits of a rate of LoRaWAN's regional parameters, which are whole
WHOLE_BIT_S = 1.0


def _select(
    table: ModCodTable, snr: float, current: int, margin: float = 1.0, hysteresis: float = 0.5
) -> int:
    one = np.ones(1)
    return int(table.select(snr * one, np.array([current], np.int16), margin * one, hysteresis * one)[0])


@pytest.mark.parametrize("name", sorted(TABLES))
def test_more_signal_buys_more_rate(name: str) -> None:
    table = modcod_table(name)
    assert np.all(np.diff(table.threshold_db) > 0.0)
    assert np.all(np.diff(table.efficiency) > 0.0)
    assert len(table.labels) == len(table.threshold_db) == len(table.efficiency)


def test_no_modcod_beats_shannon() -> None:
    for name in TABLES:
        table = modcod_table(name)
        assert np.all(table.efficiency < np.log2(1.0 + 10.0 ** (table.threshold_db / 10.0)))


def test_lora_rates_are_those_of_the_data_sheet() -> None:
    table = modcod_table("lora")
    rates = dict(zip(table.labels, np.rint(table.efficiency * 125e3), strict=True))
    assert rates == {"SF12": 293, "SF11": 537, "SF10": 977, "SF9": 1758, "SF8": 3125, "SF7": 5469}


def test_a_new_link_takes_the_fastest_that_keeps_the_margin() -> None:
    table = modcod_table("dvb-s2x")
    half = table.labels.index("QPSK 1/2")
    assert _select(table, table.threshold_db[half] + 1.0 + 1e-9, -1) == half
    assert _select(table, table.threshold_db[half] + 1.0 - 1e-9, -1) == half - 1


def test_a_link_steps_down_at_once_and_up_only_with_hysteresis() -> None:
    table = modcod_table("dvb-s2x")
    half = table.labels.index("QPSK 1/2")
    just_enough = table.threshold_db[half] + 1.0 + 0.1
    assert _select(table, just_enough, half + 3) == half
    assert _select(table, just_enough, half - 1) == half - 1
    assert _select(table, just_enough + 0.4 + 1e-9, half - 1) == half
    assert _select(table, just_enough, half) == half


def test_noise_within_the_hysteresis_does_not_make_a_link_flap() -> None:
    table = modcod_table("dvb-s2x")
    generator = np.random.default_rng(5)
    level = table.threshold_db[10] + 1.0
    chosen, changes = -1, 0
    for noise in generator.uniform(-0.2, 0.2, 500):
        now = _select(table, level + noise, chosen)
        changes += now != chosen
        chosen = now
    assert changes <= 3


def test_below_the_last_threshold_the_most_robust_is_kept_and_fails() -> None:
    table = modcod_table("dvb-s2x")
    lowest = np.zeros(1, np.int16)
    assert _select(table, -10.0, -1) == 0
    assert table.frame_error([-10.0], lowest)[0] == pytest.approx(1.0)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_frame_errors_fall_through_the_stated_points(name: str) -> None:
    table = modcod_table(name)
    for index in range(len(table.labels)):
        threshold = table.threshold_db[index]
        at = np.full(3, index, np.int16)
        snr = threshold - np.array([table.half_below_db, 0.0, -1.0])
        half, edge, above = table.frame_error(snr, at)
        assert half == pytest.approx(0.5)
        assert edge == pytest.approx(table.error_at_threshold)
        assert above < edge


def test_an_unknown_table_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        WorldError, match="modcods is 'wifi', allowed: dvb-s2x, lora, lr-fhss, nb-iot, nr, nr-64"
    ):
        modcod_table("wifi")


def test_an_snr_that_is_not_a_number_takes_the_most_robust() -> None:
    assert _select(modcod_table("dvb-s2x"), float("nan"), 20) == 0


_BITS_PER_SYMBOL = {"QPSK": 2, "8PSK": 3, "8APSK": 3, "16APSK": 4, "32APSK": 5, "64APSK": 6}


def test_dvb_s2x_efficiencies_follow_from_the_frame() -> None:
    """EN 302 307: (Kbch - 80) bits in 90 + 64,800 / m symbols; BCH of S2's 2/3 and 5/6 takes 160 bits."""
    table = modcod_table("dvb-s2x")
    for label, efficiency in zip(table.labels, table.efficiency, strict=True):
        name, over, under = re.fullmatch(r"(\w+) (\d+)/(\d+)(?:-L)?", label).groups()  # type: ignore[union-attr]
        rate = int(over) / int(under)
        parity = 160 if rate in (2 / 3, 5 / 6) and not label.endswith("-L") else 192
        symbols = 64_800 / _BITS_PER_SYMBOL[name] + 90
        assert efficiency == pytest.approx((64_800 * rate - parity - 80) / symbols, abs=PRINTED), label


def test_lora_sensitivities_are_those_of_the_data_sheet() -> None:
    """SX1276 data sheet, table 10: band 1, 125 kHz."""
    table = modcod_table("lora")
    expected = {"SF12": -137.0, "SF11": -134.0, "SF10": -132.0, "SF9": -129.0, "SF8": -126.0, "SF7": -123.0}
    for label, sensitivity in zip(table.labels, table.sensitivity_dbm(125e3, 6.0), strict=True):
        assert sensitivity == pytest.approx(expected[label], abs=1.6 * ROUNDED_DB), label


def test_lr_fhss_carries_the_rates_of_lorawan() -> None:
    table = modcod_table("lr-fhss")
    assert table.efficiency * 488.28125 == pytest.approx([162.0, 325.0], abs=WHOLE_BIT_S)
    assert table.sensitivity_dbm(488.28125, 6.0)[0] == pytest.approx(-137.0)


def test_nb_iot_stands_at_the_stated_repetitions() -> None:
    """TS 36.104 table 8.5.1.1.1-1."""
    table = modcod_table("nb-iot")
    threshold = dict(zip(table.labels, table.threshold_db, strict=True))
    assert threshold["BPSK 1/3 x1"] == -1.9
    assert threshold["BPSK 1/3 x16"] == pytest.approx(-9.2)
    assert threshold["BPSK 1/3 x64"] == -12.2


@pytest.mark.parametrize("name", ["nr", "nr-64qam-low-se"])
def test_nr_passes_through_the_thresholds_of_the_quality_indicators(name: str) -> None:
    table = modcod_table(name)
    threshold = dict(zip(table.labels, table.threshold_db, strict=True))
    tolerance_db = 0.01  # efficiencies are printed with four digits
    assert threshold["QPSK 120/1024"] == pytest.approx(-5.147, abs=tolerance_db)
    assert threshold["QPSK 602/1024"] == pytest.approx(2.699, abs=tolerance_db)
    assert threshold["64QAM 772/1024"] == pytest.approx(15.888, abs=tolerance_db)


def _by_search(table: ModCodTable, snr: float, current: int, margin: float, hysteresis: float) -> int:
    """The rule, said once more without a kernel."""
    keeps = [i for i, least in enumerate(table.threshold_db) if least <= snr - margin]
    keeps_well = [i for i, least in enumerate(table.threshold_db) if least <= snr - margin - hysteresis]
    fits, fits_well = max(keeps, default=0), max(keeps_well, default=0)
    return fits if current < 0 or fits <= current else max(current, fits_well)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(-30.0, 30.0), st.integers(0, len(TABLES) - 1), st.integers(-1, 40), st.floats(0.0, 3.0),
            st.floats(0.0, 3.0),
        ),
        max_size=20,
    )
)  # fmt: skip
def test_links_of_different_tables_are_adapted_by_one_call(
    rows: list[tuple[float, int, int, float, float]],
) -> None:
    tables = [modcod_table(name) for name in sorted(TABLES)]
    stack = ModCodStack(tables)
    rows = [(snr, k, min(held, len(tables[k].labels) - 1), m, h) for snr, k, held, m, h in rows]
    snr, margin, hysteresis = (np.array([row[i] for row in rows], dtype=float) for i in (0, 3, 4))
    number = np.array([row[1] for row in rows], np.int32)
    current = np.array([row[2] for row in rows], np.int16)
    chosen = stack.select(snr, number, current, margin, hysteresis)
    assert chosen.tolist() == [_by_search(tables[k], s, held, m, h) for s, k, held, m, h in rows]
    error = stack.frame_error(snr, number, chosen)
    rate = stack.rate_bps(number, chosen, np.full(len(rows), 1e6))
    for i, (value, k, _, _, _) in enumerate(rows):
        alone = tables[k].frame_error([value], chosen[i : i + 1])[0]
        assert error[i] == pytest.approx(alone, rel=1e-12)
        assert rate[i] == tables[k].efficiency[chosen[i]] * 1e6


def test_a_packet_is_lost_with_any_of_its_frames() -> None:
    assert packet_error(0.1, 2_000, 1_000) == pytest.approx(1.0 - 0.9**2)
    assert packet_error(0.1, 1, 1_000) == pytest.approx(0.1)
    assert packet_error(1e-17, 3_000, 1_000) == pytest.approx(3e-17)
    assert packet_error(1.0, 3_000, 1_000) == 1.0


@pytest.mark.parametrize("bandwidth_hz", [0.0, -1.0, float("nan")])
def test_no_sensitivity_is_told_without_a_bandwidth(bandwidth_hz: float) -> None:
    with pytest.raises(WorldError, match=r"bandwidth_hz is (0|-1|nan), it must be above 0"):
        modcod_table("lora").sensitivity_dbm(bandwidth_hz, 6.0)


def test_dvb_s2_thresholds_are_those_of_the_standard() -> None:
    """EN 302 307-1 table 13: ideal Es/N0 of the rows that no S2X row replaces."""
    standard = {
        "QPSK": {"1/4": -2.35, "1/3": -1.24, "2/5": -0.30, "1/2": 1.00, "3/5": 2.23, "2/3": 3.10,
                 "3/4": 4.03, "4/5": 4.68},
        "8PSK": {"3/5": 5.50},
        "16APSK": {"3/4": 10.21, "4/5": 11.03},
        "32APSK": {"3/4": 12.73, "4/5": 13.64},
    }  # fmt: skip
    table = modcod_table("dvb-s2x")
    found = dict(zip(table.labels, table.threshold_db.tolist(), strict=True))
    expected = {f"{name} {rate}": level for name, rows in standard.items() for rate, level in rows.items()}
    assert {label: found[label] for label in expected} == expected
