"""How figures look: one palette, drawn once and coloured by the page for light or dark.

Matplotlib draws with the placeholder colours below; `to_svg` puts CSS variables in their place, so that
a figure follows the reader's colour scheme. Text stays text, in the page's own typeface.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from testbed.report.collect import Array

# Placeholders; each stands for the CSS variable beside it. The hues are those of Okabe and Ito (2008),
# which stay apart for colour-blind readers.
INK = "#101214"
MUTED = "#606468"
GRID = "#c8ccd0"
PAPER = "#fdfcfb"
BLUE = "#0072b2"
ORANGE = "#d55e00"
GREEN = "#009e73"
PURPLE = "#cc79a7"
AMBER = "#e69f00"
SKY = "#56b4e9"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER)
_VARIABLES = {
    INK: "--ink", MUTED: "--muted", GRID: "--grid", PAPER: "--paper", BLUE: "--blue", ORANGE: "--orange",
    GREEN: "--green", PURPLE: "--purple", AMBER: "--amber", SKY: "--sky",
}  # fmt: skip
_COLOUR = re.compile("|".join(_VARIABLES), re.IGNORECASE)

#: width of a figure in inches; the page scales it to its own column
WIDTH = 9.2

_SETTINGS: Any = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.titlepad": 5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=list(SERIES)),
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "grid.alpha": 0.7,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.3,
    # simplification would drop the strokes of no length that `dots` draws
    "path.simplify": False,
}


@contextmanager
def drawing() -> Iterator[None]:
    """The settings that figures are made under."""
    with mpl.rc_context(_SETTINGS):
        yield


def figure(rows: int, columns: int, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure of `height` inches and its axes, row by row."""
    made = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasSVG(made)
    axes = made.subplots(rows, columns, squeeze=False, **options)
    return made, [ax for row in axes for ax in row]


def dots(axes: Axes, x: Array, y: Array, size: float, colour: str, alpha: float = 1.0) -> None:
    """Round dots of `size` points in diameter, all in one path: a thousand cost a few tens of kilobytes.

    A dot is a stroke of no length with round ends; markers would be an element each.
    """
    shown = np.isfinite(x) & np.isfinite(y)
    gap = np.full(int(shown.sum()), np.nan)
    across, up = (np.column_stack([v[shown], v[shown], gap]).ravel() for v in (x, y))
    axes.plot(across, up, color=colour, alpha=alpha, lw=size, solid_capstyle="round")


def legend_above(axes: Axes, columns: int = 4) -> None:
    """The legend of one chart, flush right on the line of its title, where no curve can cross it."""
    if not axes.get_legend_handles_labels()[0]:
        return
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 0.985), ncols=columns, columnspacing=1.3, handlelength=1.5,
        borderaxespad=0.2,
    )  # fmt: skip


def legend_below(axes: Axes, columns: int = 2) -> None:
    """The legend of the lowest chart, under its axis: for names too long to stand beside a title."""
    if not axes.get_legend_handles_labels()[0]:
        return
    axes.legend(
        loc="upper left", bbox_to_anchor=(0.0, -0.42), ncols=columns, columnspacing=1.3, handlelength=1.5,
        borderaxespad=0.0,
    )  # fmt: skip


def to_svg(made: Figure, name: str, label: str) -> str:
    """The figure as an inline SVG element; `name` keeps its identifiers apart from other figures'."""
    stream = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        made.savefig(
            stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    text = stream.getvalue()
    box = re.search(r'viewBox="([^"]+)"', text)
    assert box is not None
    body = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = _COLOUR.sub(lambda found: f"var({_VARIABLES[found.group().lower()]})", body)
    # matplotlib quotes the family it measured with; the page's own typeface is narrower, so all fits
    body = re.sub(r"(font: [^;\"]*?)'DejaVu Sans'[^;\"]*", r"\1var(--font)", body)
    # names given by matplotlib ("figure_1", "axes_1", ...) repeat from figure to figure and serve nobody
    body = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", body)
    # a hundredth of a point is finer than any screen; matplotlib writes a millionth
    body = re.sub(r"(\.\d\d)\d+", r"\1", body)
    body = re.sub(r"\s*\n\s*", "\n", body)
    return (
        f'<svg class="{name}" viewBox="{box.group(1)}" role="img" aria-label="{escape(label)}">{body}</svg>'
    )
