"""Raw records of owping: one-way delays in NTP time, losses, and the bound that the clocks' errors give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from testbed.errors import BadInput
from testbed.measured.formats import open_measurement

START_S = 1_700_000_000.0
#: of a double that holds NTP time, s
STAMP_RESOLUTION_S = 1e-6


def _line(number: int, delay_ms: float | None, synchronised: int = 1, error_s: float = 1e-4) -> str:
    sent_s = START_S + 0.1 * number
    sent = int((sent_s + 2_208_988_800) * 2**32)
    received = 0 if delay_ms is None else sent + int(delay_ms / 1e3 * 2**32)
    return f"{number} {sent} {synchronised} {error_s:g} {received} 1 {error_s:g} 250\n"


def _write(folder: Path, *lines: str) -> Path:
    path = folder / "owping.txt"
    path.write_text("".join(lines))
    return path


def test_delays_are_read_with_losses_and_a_bound(tmp_path: Path) -> None:
    read = open_measurement(_write(tmp_path, _line(0, 20.5), _line(1, None), _line(2, 22.0, 1, 3e-4)))
    assert read.quantity == "delay"
    assert read.values == pytest.approx([20.5, np.nan, 22.0], abs=1e-3, nan_ok=True)
    assert read.times_s == pytest.approx(START_S + 0.1 * np.arange(3), abs=STAMP_RESOLUTION_S)
    assert read.clock_bound_ms == pytest.approx(0.6)
    assert read.losses_known


def test_clocks_that_are_not_synchronised_are_told(tmp_path: Path) -> None:
    read = open_measurement(_write(tmp_path, _line(0, 20.5), _line(1, 21.0, 0)))
    assert any("not synchronised: 1" in remark for remark in read.remarks)


def test_a_line_of_something_else_gets_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="line 2: must have the 8 numbers of owping -R, is 'and so on'"):
        open_measurement(_write(tmp_path, _line(0, 20.5), "and so on\n", _line(1, 20.5)))


def test_a_last_line_that_broke_off_is_left_out(tmp_path: Path) -> None:
    read = open_measurement(_write(tmp_path, _line(0, 20.5), _line(1, 20.5), _line(2, 20.5)[:30]))
    assert len(read) == 2
    assert read.found.truncated


def test_an_error_that_is_no_number_gets_one_sentence(tmp_path: Path) -> None:
    path = _write(tmp_path, _line(0, 20.0), _line(1, 20.0).replace("0.0001", "1e-4x"))
    with pytest.raises(BadInput, match="holds what is no number"):
        open_measurement(path)
