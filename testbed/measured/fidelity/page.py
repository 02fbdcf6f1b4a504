"""The page of a validation: one HTML file that needs nothing else, for light and dark."""

from __future__ import annotations

from html import escape
from typing import Any

from testbed.measured.fidelity import charts
from testbed.measured.fidelity.command import COLUMNS, headline, rows
from testbed.measured.fidelity.measures import MEASURES
from testbed.measured.fidelity.study import Study
from testbed.report import style
from testbed.report.markup import CSS, panel, panel_figure, table, tile, verdict_row
from testbed.report.terminal import number


def page(study: Study, content: dict[str, Any]) -> str:
    """The page as text."""
    with style.drawing():
        sections = [
            _tiles(content),
            _verdicts(content),
            _distances(content),
            panel(
                "Values",
                panel_figure(charts.distribution(study), "The band is that of the seeds.")
                + panel_figure(
                    charts.over_time(study), "Upright lines are the boundaries of the grid found."
                ),
            ),
            panel("Memory", panel_figure(charts.memory(study), "")),
        ]
        for title, svg in (("Slots", charts.slots(study)), ("Losses", charts.bursts(study))):
            if svg:
                sections.append(panel(title, panel_figure(svg, "")))
    if content["choice"]:
        chosen = [[s["model"], number(s["score"]), s["reason"] or ""] for s in content["choice"]]
        sections.append(panel("How the model was chosen", table(["model", "score", "remark"], chosen)))
    if content["remarks"]:
        items = "".join(f"<li>{escape(remark)}</li>" for remark in content["remarks"])
        sections.append(panel("Remarks", f"<ul>{items}</ul>"))
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta name='color-scheme' content='light dark'>"
        f"<title>Validation of {escape(content['model'])}</title><style>{CSS}</style></head><body><main>"
        f"<h1>Validation of the model {escape(content['model'])}</h1>"
        f"<p class='headline'>{escape(headline(content))}</p>{''.join(sections)}</main></body></html>\n"
    )


def _tiles(content: dict[str, Any]) -> str:
    slot = content["slot"]
    shown = [
        tile(number(content["fidelity_ratio"]), "", "fidelity ratio R of W1: 1 is like reality to itself"),
        tile(number(content["w1"]), content["unit"], "W1 from the test"),
        tile(number(content["crps_skill"]), "", "CRPS skill one second ahead"),
        tile("none" if not slot["found"] else number(slot["period_s"]), "s" if slot["found"] else "",
             "grid found" + (f", offset {number(slot['offset_s'], 4)} s" if slot["found"] else "")),
    ]  # fmt: skip
    return f"<div class='tiles'>{''.join(shown)}</div>"


def _verdicts(content: dict[str, Any]) -> str:
    lines = "".join(
        verdict_row(verdict, number(verdict["figure"]), number(verdict["bound"]))
        for verdict in content["verdicts"]
    )
    return panel("Verdicts", f"<div class='scroll'><table class='verdicts'>{lines}</table></div>")


def _distances(content: dict[str, Any]) -> str:
    body = table(list(COLUMNS), [[number(cell) for cell in row] for row in rows(content)])
    names = "".join(
        f"<div><dt>{k.replace('_', ' ')}</dt><dd>{escape(v)}</dd></div>" for k, v in MEASURES.items()
    )
    floor = content["floor"]
    said = (
        ""
        if floor is None
        else f"<p class='small'>The floor is the median over {floor['pairs']} pairs of disjoint real "
        f"stretches of {floor['length_s']:.0f} s. The model was played with seeds "
        f"{', '.join(map(str, content['seeds']))}; figures are medians over them.</p>"
    )
    return panel("Distances, floor and baselines", body + said + f"<dl>{names}</dl>")
