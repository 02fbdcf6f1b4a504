"""`testbed bench trace`: what cannot be read is refused; a short recording really reaches the packets."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.bench import trace
from testbed.errors import BadInput


@pytest.mark.parametrize("duration", [0.5, 3601.0, float("nan")])
def test_durations_that_cannot_be_are_refused(duration: float) -> None:
    with pytest.raises(BadInput, match="--duration"):
        trace.run(duration=duration)


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.csv").write_text("when,what\nnow,this\n")
    with pytest.raises(BadInput, match=r"words\.csv"):
        trace.run(trace=tmp_path / "words.csv", duration=1.0)


def test_half_of_a_recorded_round_trip_is_what_packets_meet(tmp_path: Path) -> None:
    # 40 and 200 ms in turns: no stall of the machine makes the one look like the other
    rows = [f"{second},{40 if second % 2 else 200}" for second in range(4)]
    (tmp_path / "rtt.csv").write_text("\n".join(["t_s,rtt_ms", *rows]) + "\n")
    figures = trace.run(trace=tmp_path / "rtt.csv", duration=2.0).figures
    assert figures["received"] == 1.0
    assert 20.0 < figures["recorded_ms_p50"] < 100.0
    assert figures["correlation"] > 0.9
