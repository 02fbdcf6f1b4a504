"""Pieces of the page: its style sheet, panels, tables and tiles. Knows nothing of runs."""

from __future__ import annotations

from html import escape
from typing import Any

#: characters of a number; what is longer is several
_LONG_CELL = 12
_MARKS = {True: ("✓", "good", "holds"), False: ("✗", "bad", "fails"), None: ("–", "void", "void")}

CSS = """
:root { --font: system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif;
  --page: #f4f5f7; --paper: #ffffff; --ink: #16191d; --muted: #5c6570; --grid: #d5dae0;
  --blue: #0072b2; --orange: #d55e00; --green: #00805d; --purple: #b4588f; --amber: #e69f00; --sky: #3a9bd9;
  --good: #00734f; --bad: #b3261e; --void: #8a5a00; }
@media (prefers-color-scheme: dark) { :root {
  --page: #101317; --paper: #181c22; --ink: #e8ebef; --muted: #a0a9b4; --grid: #353c46;
  --blue: #56a8e8; --orange: #f0803c; --green: #2fc79a; --purple: #dd92c0; --amber: #edb640; --sky: #8fd0f5;
  --good: #3fcf9d; --bad: #ff8a80; --void: #f0c05a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 var(--font); }
main { max-width: 1040px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 12px; } h3 { font-size: 15px; margin: 20px 0 6px; }
.eyebrow, .small, figcaption, dt { color: var(--muted); font-size: 13px; } .eyebrow { margin: 0; }
.headline { font-size: 18px; font-weight: 600; margin: 0; }
.good { color: var(--good); } .bad { color: var(--bad); } .void { color: var(--void); }
.notes { margin: 10px 0 0; padding-left: 20px; color: var(--void); font-size: 14px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
  gap: 12px; margin: 18px 0; }
.tile, section { background: var(--paper); border: 1px solid var(--grid); border-radius: 10px; }
.tile { padding: 12px 14px; } .tile b { font-size: 24px; font-weight: 600; } .tile i { font-style: normal; }
.tile span { display: block; color: var(--muted); font-size: 13px; line-height: 1.35; }
section { padding: 18px 20px; margin: 16px 0; } section > p { margin: 6px 0 10px; }
figure { margin: 4px 0 18px; } figcaption { margin-top: 4px; max-width: 76ch; }
.scroll { overflow-x: auto; } svg { display: block; width: 100%; min-width: 620px; height: auto; }
svg.map text { paint-order: stroke; stroke: var(--paper); stroke-width: 2.5px; stroke-linejoin: round; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; color: var(--muted); font-size: 13px; }
th, td { padding: 5px 12px 5px 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
td.n, th.n { text-align: right; } td.n:not(.long) { white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
.verdicts td:nth-child(2) { white-space: nowrap; font-weight: 500; }
.verdicts td:first-child { font-weight: 700; white-space: nowrap; }
details { margin: 8px 0; } summary { cursor: pointer; color: var(--blue); font-size: 14px; padding: 4px 0; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(260px, 1fr));
  gap: 8px 20px; margin: 0 0 12px; }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 640px) { main { padding: 16px 10px 40px; } section { padding: 14px 12px; }
  .verdicts .n { display: none; } }
@media print { body { background: none; } section, .tile { break-inside: avoid; } }
"""


def panel(title: str, body: str) -> str:
    """A section of the page."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def panel_figure(svg: str, caption: str) -> str:
    """A figure with its caption; nothing when there is no figure."""
    note = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure><div class='scroll'>{svg}</div>{note}</figure>" if svg else ""


def details(label: str, body: str) -> str:
    """What a reader opens only when wanted."""
    return f"<details><summary>{escape(label)}</summary>{body}</details>"


def tile(figure: str, unit: str, label: str) -> str:
    """One number, large, with what it is."""
    return (
        f"<div class='tile'><b>{escape(figure)}</b> <i>{escape(unit)}</i><span>{escape(label)}</span></div>"
    )


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A table of texts; a column of which every cell looks like a number is set flush right."""
    right = [bool(rows) and all(_numeric(row[i]) for row in rows) for i in range(len(columns))]

    def line(tag: str, cells: list[str]) -> str:
        # A figure with its interval may go on in the next line; a plain number may not.
        kinds = (
            (" class='n long'" if len(cell) > _LONG_CELL else " class=n") if r else ""
            for cell, r in zip(cells, right, strict=True)
        )
        marked = (f"<{tag}{kind}>{escape(cell)}</{tag}>" for cell, kind in zip(cells, kinds, strict=True))
        return f"<tr>{''.join(marked)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<div class='scroll'><table>{line('th', columns)}{body}</table></div>"


def verdict_row(verdict: dict[str, Any], figure: str, bound: str) -> str:
    """One verdict with its mark; the mark is also spoken, colour is never the only sign."""
    mark, tone, word = _MARKS[verdict["holds"]]
    name = escape(verdict["name"].replace("_", " "))
    return (
        f"<tr><td class='{tone}' title='{word}'>{mark}<span class='small'> {word}</span></td><td>{name}</td>"
        f"<td class='n'>{escape(figure)}</td><td class='n'>{escape(bound)}</td>"
        f"<td>{escape(verdict['text'])}</td></tr>"
    )


def _numeric(cell: str) -> bool:
    return cell == "–" or cell[:1].isdigit() or cell[:2] in {f"{s}{d}" for s in "+-" for d in range(10)}
