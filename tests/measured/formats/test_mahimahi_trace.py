"""Packet-delivery traces as throughput."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from testbed.errors import BadInput
from testbed.measured.formats import open_measurement
from testbed.measured.formats.source import BLOCK
from tests.emulator.worlds import shared


def _write(folder: Path, instants_ms: list[int]) -> Path:
    path = folder / "trace.down"
    path.write_text("".join(f"{one}\n" for one in instants_ms))
    return path


def test_opportunities_are_counted_in_bins(tmp_path: Path) -> None:
    read = open_measurement(_write(tmp_path, [0, 0, 1, 99, 250, 250, 299, 300]))
    assert read.quantity == "rate"
    assert read.times_s.tolist() == [0.0, 0.1, 0.2]
    assert read.values == pytest.approx([4 * 1504 * 8 / 1e5, 0.0, 3 * 1504 * 8 / 1e5])


@pytest.mark.parametrize(
    ("instants_ms", "sentence"),
    [
        ([0, 5, 4, 200], "line 3: 4 ms comes after a later instant"),
        ([0, 5, 8], "lasts 8 ms, and must last 100 ms or more"),
        ([0, 10**11], "lasts longer than ten days"),
    ],
)
def test_a_trace_that_cannot_be_gets_one_sentence(
    tmp_path: Path, instants_ms: list[int], sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        open_measurement(_write(tmp_path, instants_ms))


def test_a_public_trace_has_the_mean_its_readme_says() -> None:
    read = open_measurement(shared("mahimahi_lte") / "Verizon-LTE-short.down.gz")
    assert read.values.mean() == pytest.approx(5.04, abs=0.02)
    assert np.ptp(read.times_s) == pytest.approx(140.0, abs=0.2)


def test_a_long_trace_is_read_block_by_block(tmp_path: Path) -> None:
    path = tmp_path / "long.up"
    path.write_text("".join(f"{one}\n" * 20 for one in range(100_000, 140_000)))
    assert path.stat().st_size > BLOCK
    read = open_measurement(path)
    assert np.all(read.values[:1000] == 0.0)
    assert read.values[1000:] == pytest.approx(20 * 100 * 1504 * 8 / 1e5)


def test_blanks_after_a_long_trace_are_no_instant(tmp_path: Path) -> None:
    path = _write(tmp_path, list(range(20_000)))
    path.write_text(path.read_text() + "  ")
    assert len(open_measurement(path)) == 199
