"""The benchmark of epochs: worlds as large as they say, the figures it promises, refusals in a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from emulator.orbits.elements import elements_to_text
from emulator.orbits.frames import RunClock
from emulator.orbits.shells import generate
from emulator.spec import CircularShell, ConstellationSpec
from testbed.bench import _worlds, epoch, run_bench
from testbed.errors import BadInput

START = "2025-10-01T12:00:00Z"


@pytest.fixture
def one_small_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epoch, "SIZES", (66,))
    monkeypatch.setattr(epoch, "LARGEST", 66)
    monkeypatch.setattr(epoch, "LIMITS", {"epoch_ms_66": 1e6})


@pytest.fixture
def elements(tmp_path: Path) -> Path:
    shell = CircularShell(1000.0, 60.0, 96, 8, 1)
    path = tmp_path / "shell.tle"
    path.write_text(elements_to_text(generate(ConstellationSpec(shells=(shell,)), RunClock(START))))
    return path


def test_worlds_have_the_size_they_are_named_after() -> None:
    for size in _worlds.SIZES:
        spec = _worlds.of_size(size, 60.0)
        assert sum(shell.satellites for shell in spec.constellation.shells) == size
        assert len(spec.places) == 20
        assert {place.access for place in spec.places} == {"terminal", "gateway"}
        assert spec.access.decision_interval_s == spec.epoch_s


def test_a_world_of_elements_starts_amid_their_moments(elements: Path) -> None:
    spec = _worlds.of_elements(elements.read_text(), 60.0, "shell.tle")
    assert spec.start_utc.startswith("2025-10-01T")
    assert spec.constellation.isl == "plus-grid"


@pytest.mark.usefixtures("one_small_size")
def test_it_tells_times_memory_and_the_curve(
    elements: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "growth.png"
    content, status = run_bench("epoch", elements=elements, plot=plot)
    figures = content["figures"]
    assert {"epoch_ms_66", "epoch_ms_66_max", "setup_s_66", "memory_mb_66", "epoch_ms_elements"} <= set(
        figures
    )
    assert 0.0 < figures["epoch_ms_66"] <= figures["epoch_ms_66_p90"] <= figures["epoch_ms_66_max"]
    assert figures["satellites_elements"] == 96.0
    assert 20.0 < figures["memory_mb_66"] < 4096.0
    assert content["limits"]["epoch_ms_elements"] == epoch.LIMIT_ELEMENTS_MS
    assert (status == 0) == all(figures[key] <= limit for key, limit in content["limits"].items())
    assert plot.read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert printed.count("set up in") == 2  # a line of progress for each
    assert "routes" in printed


def test_the_parts_of_an_epoch_are_told_by_where_their_code_is() -> None:
    assert epoch._part_of("/x/emulator/orbits/ephemeris.py") == "positions"
    assert epoch._part_of("/x/emulator/topology/routes.py") == "routes"
    assert epoch._part_of("/x/emulator/topology/isl.py") == "links"
    assert epoch._part_of("/x/emulator/world.py") == "table"
    assert epoch._part_of("/x/numpy/_core/numeric.py") == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["epoch", "--elements", "/no/such.tle"], "--elements /no/such.tle: cannot be read"),
        (["epoch", "--plot", "/no/such/growth.png"], "--plot /no/such/growth.png: cannot be written"),
        (["store", "--plot", "growth.png"], "bench store: there is no option --plot for it"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(arguments: list[str], sentence: str) -> None:
    command = [sys.executable, "-m", "testbed", "bench", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stderr
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_malformed_elements_are_refused_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.tle"
    path.write_text("SAT\n1 00005U\n")
    with pytest.raises(BadInput, match=r"--elements .*bad.tle: line 2"):
        epoch.run(elements=path)
