"""Modulation and coding: order of the tables, choice with margin and hysteresis, frame errors."""

from __future__ import annotations

import numpy as np
import pytest

from emulator.errors import WorldError
from emulator.radio.modcod import TABLES, ModCodTable, modcod_table


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
    with pytest.raises(WorldError, match="modcods is 'wifi', allowed: dvb-s2x, lora"):
        modcod_table("wifi")
