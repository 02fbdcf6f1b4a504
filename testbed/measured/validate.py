"""`testbed validate`: finds a comparison by its name, fills its parameters, shows what it gives.

What is compared, and how, stands in the comparison's own module; here are only the names, the typed
parameters from the command line, and the ways out: terminal, picture, page, JSON.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import math
import typing
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any

from emulator.errors import MissingPackageError, WorldError
from testbed.errors import BadInput, EnvironmentProblem
from testbed.measured.comparison import Comparison

_HOME = Path(__file__).parent
#: the calibrated model that is chosen by held-out score
AUTO = "auto"
#: height of a figure in inches, at the width that all figures have; a drawing may change it
_HEIGHT = 4.6
_DOTS_PER_INCH = 150
_KINDS = {float: "a number", int: "a whole number", bool: "true or false", str: "a text", Path: "a path"}


def models() -> dict[str, str]:
    """Name of each comparison there is, and its first line; no module is imported."""
    found = {}
    for path in sorted(_HOME.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "compare" for node in tree.body):
            about = (ast.get_docstring(tree) or "").split("\n", 1)[0]
            found[path.stem.replace("_", "-")] = about
    return found


def names() -> dict[str, str]:
    """Each comparison and each calibrated model of a path, and what it is."""
    from testbed.measured.models import kinds

    calibrated = {name: f"{kind.about} (calibrated)" for name, kind in kinds().items()}
    return {
        **models(),
        AUTO: "the calibrated model that does best on held-out calibration data",
        **calibrated,
    }


def check_name(name: str) -> None:
    """Raises `BadInput` when no comparison and no model of a path has that name."""
    from testbed.measured.models import kinds

    there_are = kinds()
    if name not in (AUTO, *models()) and any(part not in there_are for part in name.split("+")):
        allowed = ", ".join((*models(), AUTO, *there_are))
        raise BadInput(f"--model is {name!r}, allowed: {allowed}")


def validate(
    files: Sequence[Path],
    model: str,
    sets: Sequence[str] = (),
    site: str = "",
    elements: Path | None = None,
    calibrate: Sequence[Path] = (),
) -> Comparison:
    """Compare measurements with a model by its name.

    `sets`: KEY=VALUE for the comparison's `Parameters`; `site`: LAT,LON[,ALT] in degrees and m;
    `elements`: the file of the satellites' elements. Raises `BadInput` with one sentence.
    """
    module = _module(model)
    if calibrate and not hasattr(module, "calibrate"):
        raise BadInput(f"--calibrate: {model} has nothing to calibrate from files of its own")
    if not files:
        raise BadInput(f"validate --model {model}: name at least one file of measurements")
    for path in files:
        if path.is_dir():
            raise BadInput(f"{path}: is a folder, name the files of measurements in it")
        if not path.is_file():
            raise BadInput(f"{path}: {'not an ordinary' if path.exists() else 'no such'} file")
    if elements is not None and not elements.is_file():
        raise BadInput(f"--elements {elements}: {'not a' if elements.exists() else 'no such'} file")
    given = {**_site(site), **({} if elements is None else {"elements": str(elements)})}
    parameters = fill(module.Parameters, model, given, sets)
    try:
        result: Comparison = module.compare(list(files), parameters)
    except MissingPackageError as error:
        raise EnvironmentProblem(str(error)) from None
    except WorldError as error:
        raise BadInput(str(error)) from None
    return result


def _module(model: str) -> ModuleType:
    there_are = models()
    if model not in there_are:
        raise BadInput(f"--model is {model!r}, allowed: {', '.join(there_are) or 'none'}")
    return importlib.import_module(f"testbed.measured.{model.replace('-', '_')}")


def _site(site: str) -> dict[str, str]:
    if not site:
        return {}
    parts = [part.strip() for part in site.split(",")]
    if len(parts) not in (2, 3) or not all(parts):
        raise BadInput(f"--site is {site!r}, it must be LAT,LON or LAT,LON,ALT (degrees, m)")
    return dict(zip(("latitude_deg", "longitude_deg", "altitude_m"), parts, strict=False))


def fill(kind: Any, model: str, given: Mapping[str, str], sets: Sequence[str]) -> Any:
    """An instance of the dataclass `kind` from texts; `sets` come after `given`, the last one counts.

    Raises `BadInput` for a key that there is not, a value of another type, or one that is missing.
    """
    texts = dict(given)
    for entry in sets:
        key, equals, text = entry.partition("=")
        if not equals or not key:
            raise BadInput(f"--set {entry}: must be KEY=VALUE")
        texts[key.strip()] = text.strip()
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in texts:
        if key not in fields and key in given:
            raise BadInput(f"{_way_of(key).split(' ', 1)[0]}: {model} has no use for it")
        if key not in fields:
            raise BadInput(f"{model} has no parameter {key!r}, allowed: {', '.join(fields) or 'none'}")
    types = typing.get_type_hints(kind)
    values = {key: _value(key, text, types[key]) for key, text in texts.items()}
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise BadInput(f"{model} needs {name} ({_way_of(name)})")
    return kind(**values)


def _way_of(name: str) -> str:
    if name in ("latitude_deg", "longitude_deg", "altitude_m"):
        return "--site LAT,LON[,ALT]"
    return "--elements PATH" if name == "elements" else f"--set {name}=VALUE"


def _value(key: str, text: str, kind: Any) -> Any:
    if kind not in _KINDS:
        raise BadInput(f"{key} cannot be set from the command line")
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        value = kind(text)
    except (ValueError, KeyError):
        raise BadInput(f"{key} is {text!r}, it must be {_KINDS[kind]}") from None
    if kind is float and not math.isfinite(value):
        raise BadInput(f"{key} is {text!r}, it must be a finite number")
    return value


# --- ways out ------------------------------------------------------------------------------------------


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain JSON types; what is not finite is null."""
    from testbed.report.document import finite

    return dict(
        finite(
            {
                "model": comparison.model,
                "summary": comparison.summary,
                "figures": comparison.figures,
                "verdicts": [verdict.as_dict() for verdict in comparison.verdicts],
                "tables": [dataclasses.asdict(table) for table in comparison.tables],
                "remarks": list(comparison.remarks),
            }
        )
    )


def exit_status(comparison: Comparison) -> int:
    """0 when no verdict failed, else 1."""
    return 1 if any(verdict.holds is False for verdict in comparison.verdicts) else 0


def show(comparison: Comparison, console: Any = None) -> None:
    """Print it to a rich console."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from testbed.report.terminal import MARKS, number

    console = console or Console()
    console.print(Text(comparison.model, style="bold").append(f"  {comparison.summary}", style="default"))
    judged = Table.grid(padding=(0, 2))
    for verdict in comparison.verdicts:
        word, style = MARKS[verdict.holds]
        judged.add_row(Text(f"  {word}", style=style), verdict.name.replace("_", " "), Text(verdict.text))
    console.print(judged)
    figures = Table.grid(padding=(0, 2))
    for key, value in comparison.figures.items():
        figures.add_row(f"  {key}", Text(number(_plain(value), 4), justify="right"))
    console.print(figures)
    for table in comparison.tables:
        shown = Table(title=table.title, title_justify="left", box=None, padding=(0, 2, 0, 0))
        for index, column in enumerate(table.columns):
            texts = all(isinstance(row[index], str) for row in table.rows)
            shown.add_column(("  " if index == 0 else "") + column, justify="left" if texts else "right")
        for row in table.rows:
            cells = [number(_plain(cell), 4) for cell in row]
            shown.add_row("  " + cells[0], *cells[1:])
        console.print(shown)
    for remark in comparison.remarks:
        console.print(Text(f"  note: {remark}", style="dim"))


def _plain(value: Any) -> Any:
    from testbed.report.document import finite

    return finite(value)


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """NAME.json, and NAME.png and NAME.html when there is something to draw, into `folder`."""
    name = comparison.model
    files = [folder / f"{name}.json"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(as_dict(comparison), indent=2, ensure_ascii=False) + "\n"
        files[0].write_text(text, encoding="utf-8")
        if comparison.draw is not None:
            files += _draw(comparison, folder)
    except OSError as error:
        raise EnvironmentProblem(f"--out {folder}: cannot be written ({error.strerror})") from None
    return files


def _draw(comparison: Comparison, folder: Path) -> list[Path]:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    from testbed.report import style

    assert comparison.draw is not None
    png, page = folder / f"{comparison.model}.png", folder / f"{comparison.model}.html"
    with style.drawing():
        figure = Figure(figsize=(style.WIDTH, _HEIGHT), layout="constrained")
        FigureCanvasSVG(figure)
        comparison.draw(figure)
        figure.savefig(png, dpi=_DOTS_PER_INCH, facecolor="white")
        svg = style.to_svg(figure, comparison.model, comparison.summary)
    page.write_text(_page(comparison, svg), encoding="utf-8")
    return [png, page]


def _page(comparison: Comparison, svg: str) -> str:
    from testbed.report.markup import CSS, panel, table, verdict_row
    from testbed.report.terminal import number

    plain = as_dict(comparison)
    verdicts = "".join(
        verdict_row(v, number(v["figure"], 4), number(v["bound"], 4)) for v in plain["verdicts"]
    )
    figures = [[key, number(value, 4)] for key, value in plain["figures"].items()]
    tables = "".join(
        panel(t["title"], table(list(t["columns"]), [[number(c, 4) for c in row] for row in t["rows"]]))
        for t in plain["tables"]
    )
    remarks = "".join(f"<li>{escape(remark)}</li>" for remark in comparison.remarks)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta name='color-scheme' content='light dark'>"
        f"<title>{escape(comparison.model)}</title><style>{CSS}</style></head><body><main>"
        f"<h1>{escape(comparison.model)}</h1><p class='headline'>{escape(comparison.summary)}</p>"
        + (panel("Verdicts", f"<table class='verdicts'>{verdicts}</table>") if verdicts else "")
        + panel("Figure", f"<figure>{svg}</figure>")
        + panel("Figures", table(["figure", "value"], figures))
        + tables
        + (panel("Remarks", f"<ul>{remarks}</ul>") if remarks else "")
        + "</main></body></html>\n"
    )
