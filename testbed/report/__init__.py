"""The report of a run: report.json, report.html and the summary in a terminal.

Works on any run folder, also one that was broken off: what is missing is said in the report.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Report:
    """A rendered report: the content of report.json, and where the files are."""

    document: dict[str, Any]
    folder: Path
    #: False: the disk did not take all of it
    complete: bool = True

    @property
    def exit_status(self) -> int:
        """1 when a verdict failed or the report could not be kept, otherwise 0.

        A void verdict fails nothing by itself: what made it void does.
        """
        failed = any(verdict["holds"] is False for verdict in self.document["verdicts"])
        return int(failed or not self.complete)


def render(run_path: str | Path, json_path: str | Path | None = None) -> Report:
    """Reads a run folder and writes report.json and report.html into it.

    `json_path` receives a copy of report.json. BadInput when `run_path` is not a run folder. A page
    that cannot be drawn leaves report.json and a sentence in its `problems`.
    """
    from testbed.report import collect, document, page

    data = collect.load(Path(run_path))
    content = document.build(data)
    problems: list[str] = content["problems"]
    unwritten: list[str] = []

    def keep(path: Path, write: Callable[[Path], None]) -> None:
        try:
            write(path)
        except OSError as error:
            unwritten.append(f"{path} could not be written: {error.strerror}")

    try:
        html = page.page(data, content)
    except Exception as error:
        # The figures are the last and the largest part: whatever breaks there must not cost the verdicts.
        problems.append(f"report.html could not be drawn: {type(error).__name__}: {error}")
    else:
        keep(data.path / "report.html", lambda path: _replace(path, html))
    for path in (data.path / "report.json", json_path):
        if path is not None:
            keep(Path(path), lambda path: write_json(path, content))
    problems += unwritten
    return Report(content, data.path, complete=not unwritten)


def print_summary(report: Report, console: Console | None = None) -> None:
    """Prints the summary of a report, by default to standard output."""
    from rich.console import Console

    from testbed.report import terminal

    terminal.show(report.document, str(report.folder), console or Console())


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON file whole or not at all; OSError when the disk refuses."""
    _replace(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
