"""The run folder: unique names, whole files, one sentence for what cannot be read."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.errors import BadInput
from testbed.store.runfile import RunFolder

NOW = datetime.datetime(2026, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)


def test_runs_created_in_the_same_second_get_names_of_their_own(tmp_path: Path) -> None:
    names = [RunFolder.create(tmp_path, "laptop", now=NOW).id for _ in range(3)]
    assert names == ["laptop-20260304T050607Z", "laptop-20260304T050607Z-2", "laptop-20260304T050607Z-3"]


def test_a_name_with_separators_stays_inside_the_root(tmp_path: Path) -> None:
    assert RunFolder.create(tmp_path, "../x/y z", now=NOW).path == tmp_path / "x-y-z-20260304T050607Z"


def test_a_root_that_is_a_file_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(BadInput, match="runs"):
        RunFolder.create(tmp_path / "runs", "laptop")


def test_what_is_written_is_read_back(run: RunFolder) -> None:
    run.write_scenario({"run": {"duration_s": 60}})
    run.write_public(b'{"given": [1, 2]}')
    assert run.epoch_offset_ns() == 1_700_000_000_000_000_000
    assert run.scenario() == {"run": {"duration_s": 60}}
    assert run.public() == {"given": [1, 2]}
    assert (run.path / "public.json").read_bytes() == b'{"given": [1, 2]}'


def test_a_failed_write_leaves_the_old_file_and_no_other(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(p.name for p in run.path.iterdir())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        run.write_run({"epoch_offset_ns": 2})
    assert run.run_info() == {"epoch_offset_ns": 1_700_000_000_000_000_000}
    assert sorted(p.name for p in run.path.iterdir()) == before


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "missing"), ("{", "not JSON"), ("[1]", "list"), ('{"a": 1}', "epoch_offset_ns")],
)
def test_a_run_json_that_cannot_be_used_is_named(run: RunFolder, content: str | None, says: str) -> None:
    if content is None:
        (run.path / "run.json").unlink()
    else:
        (run.path / "run.json").write_text(content)
    with pytest.raises(BadInput, match=rf"run\.json.*{says}"):
        run.epoch_offset_ns()


def test_only_a_run_folder_is_opened(run: RunFolder, tmp_path: Path) -> None:
    assert RunFolder.open(run.path).id == run.id
    with pytest.raises(BadInput, match="no such run folder"):
        RunFolder.open(tmp_path / "absent")
    with pytest.raises(BadInput, match="not a run folder"):
        RunFolder.open(tmp_path)


def test_the_store_is_light_to_import() -> None:
    code = (
        "import sys, testbed.store.runfile, testbed.store.embedded\n"
        "heavy = {'numpy', 'pandas', 'scapy', 'influxdb_client', 'pyarrow', 'numba'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
