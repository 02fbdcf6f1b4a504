"""`testbed validate` of a calibrated model: carries the study out, shows it, writes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from testbed.errors import BadInput, EnvironmentProblem
from testbed.measured.fidelity import study as studies
from testbed.measured.fidelity.measures import MEASURES
from testbed.measured.fidelity.result import figures
from testbed.measured.fidelity.study import Study
from testbed.measured.measurement import QUANTITIES, Quantity

Content = dict[str, Any]


def validate(
    files: Sequence[Path],
    calibrate: Sequence[Path],
    model: str,
    columns: str | None = None,
    quantity: Quantity | None = None,
) -> tuple[Study, Content]:
    """The study of `files` with a model calibrated on others, and its result as plain JSON types.

    Raises `BadInput` with one sentence.
    """
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("reading") as status:
        data = studies.open_data(files, calibrate, columns, quantity)
        study = studies.carry_out(data, model, lambda text: status.update(text))
        return study, figures(study)


def quantity_of(text: str) -> Quantity | None:
    """The quantity of that name, None for none. Raises `BadInput` for another name."""
    for quantity in QUANTITIES:
        if text == quantity:
            return quantity
    if text:
        raise BadInput(f"--quantity is {text!r}, allowed: {', '.join(QUANTITIES)}")
    return None


def exit_status(content: Content) -> int:
    """0 when no verdict failed, else 1."""
    return 1 if any(verdict["holds"] is False for verdict in content["verdicts"]) else 0


def rows(content: Content) -> list[list[Any]]:
    """One row for each measure: model with interval, R, floor, and the baselines."""
    floor = content["floor"] or {}
    table = []
    for name in MEASURES:
        ends = content["intervals90"].get(name)
        table.append(
            [name.replace("_", " "), content["distances"][name], ends, floor.get(name),
             content["fidelity_ratios"][name], content["baselines"]["constant"][name],
             content["baselines"]["empirical"][name]]
        )  # fmt: skip
    return table


COLUMNS = ("distance", "model", "90 % interval", "floor", "R", "constant", "empirical")


def show(content: Content, console: Any = None) -> None:
    """Print it to a rich console."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from testbed.report.terminal import MARKS, number

    console = console or Console()
    console.print(Text(content["model"], style="bold").append(f"  {headline(content)}", style="default"))
    judged = Table.grid(padding=(0, 2))
    for verdict in content["verdicts"]:
        word, style = MARKS[verdict["holds"]]
        name = verdict["name"].replace("_", " ")
        judged.add_row(Text(f"  {word}", style=style), name, Text(verdict["text"]))
    console.print(judged)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for index, column in enumerate(COLUMNS):
        table.add_column(
            ("  " if index == 0 else "") + column, justify="left" if index == 0 else "right", no_wrap=True
        )
    for row in rows(content):
        table.add_row("  " + row[0], *[number(cell) for cell in row[1:]])
    console.print(table)
    for remark in content["remarks"]:
        console.print(Text(f"  note: {remark}", style="dim"))


def headline(content: Content) -> str:
    """What was compared with what, one sentence."""
    files = content["files"]
    test = files["test"]
    against = (
        "its first half calibrates, its second tests"
        if files["divided"]
        else "calibrated on " + " and ".join(part["source"] for part in files["calibration"])
    )
    return f"{test['source']}: {test['samples']:,} samples over {test['span_s']:.0f} s, {against}"


def write(study: Study, content: Content, folder: Path) -> list[Path]:
    """validation.json, model.json, which a run plays as `link.model`, and validation.html, into `folder`."""
    from testbed.measured.fidelity.page import page
    from testbed.measured.models.file import text_of

    texts = {
        "validation.json": json.dumps(content, indent=2, ensure_ascii=False) + "\n",
        "model.json": text_of(study.model, calibrated_on=[p.source for p in study.data.calibration]),
        "validation.html": page(study, content),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise EnvironmentProblem(f"--out {folder}: cannot be written ({error.strerror})") from None
    return [folder / name for name in texts]
