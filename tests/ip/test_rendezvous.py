"""Finding the run that is under way: the named one, the newest, none."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from testbed.errors import BadInput, EnvironmentProblem
from testbed.ip.rendezvous import NOTE, Published, connect


def _folder(root: Path, name: str) -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    return folder


def _reached(published: Published, run: Path | None) -> bool:
    with connect(run) as connection:
        return Path(connection.getpeername()).parent == published.path.parent


def test_a_run_is_found_by_its_folder(temporary: Path) -> None:
    folder = _folder(temporary, "one")
    published = Published(folder)
    assert _reached(published, folder)
    published.withdraw()


def test_the_run_that_began_last_is_the_default(temporary: Path) -> None:
    old, new = (Published(_folder(temporary, name)) for name in ("old", "new"))
    assert (_reached(new, None), _reached(old, None)) == (True, False)
    new.withdraw()
    assert _reached(old, None)
    old.withdraw()


def test_only_its_user_reaches_the_socket(temporary: Path) -> None:
    published = Published(_folder(temporary, "one"))
    assert stat.S_IMODE(os.stat(published.path.parent).st_mode) == 0o700
    published.withdraw()


def test_nothing_is_left_of_a_run_that_is_over(temporary: Path) -> None:
    folder = _folder(temporary, "one")
    Published(folder).withdraw()
    assert [path.name for path in temporary.iterdir()] == ["one"]
    assert not (folder / NOTE).exists()


def test_what_a_killed_run_has_left_goes_when_the_next_begins(temporary: Path) -> None:
    killed = Published(_folder(temporary, "killed"))
    killed.listener.close()
    with pytest.raises(EnvironmentProblem, match="no run of yours with IP interfaces is under way"):
        connect(None)
    published = Published(_folder(temporary, "next"))
    assert not killed.path.parent.exists()
    published.withdraw()


@pytest.mark.parametrize("note", [None, "", "[]", '{"socket": "/no/such"}', '{"socket": 3}'])
def test_a_folder_whose_run_is_over_is_told(temporary: Path, note: str | None) -> None:
    folder = _folder(temporary, "over")
    if note is not None:
        (folder / NOTE).write_text(note)
    with pytest.raises(BadInput, match="over: this run is over, or has no IP interfaces"):
        connect(folder)


def test_a_long_folder_for_temporary_files_is_not_used(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = temporary / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    folder = _folder(temporary, "one")
    published = Published(folder)
    assert len(json.loads((folder / NOTE).read_text())["socket"]) < 108
    assert _reached(published, folder)
    published.withdraw()
