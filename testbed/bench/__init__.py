"""Benchmarks: one module each, found by its name, all with the same shape of result.

A benchmark module has `run() -> Figures`; some take options, by keyword. Figures carry their unit in the
key; `limits` holds, for some of them, the value they should keep, and `at_least` names those for which
more is better.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.errors import BadInput


@dataclass(frozen=True)
class Figures:
    """What a benchmark measured. `ratios` compares figures of the same run with each other."""

    bench: str
    figures: dict[str, float]
    limits: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    #: keys of `limits` that are lower bounds; the others are upper bounds
    at_least: frozenset[str] = frozenset()
    #: tables beside the figures, by name
    tables: dict[str, Any] = field(default_factory=dict)
    #: figures of what was done when the user ended it
    interrupted: bool = False

    def holds(self, key: str) -> bool:
        """Whether a figure or ratio keeps its limit; true when it has none."""
        if key not in self.limits:
            return True
        value, limit = {**self.figures, **self.ratios}[key], self.limits[key]
        return value >= limit if key in self.at_least else value <= limit

    def as_dict(self) -> dict[str, Any]:
        """`{"bench", "figures", "limits", "ratios"}` and the tables; what is not finite is None."""
        said = {"interrupted": True} if self.interrupted else {}
        return {
            "bench": self.bench,
            "figures": _finite(self.figures),
            "limits": _finite(self.limits),
            "ratios": _finite(self.ratios),
            **self.tables,
            **said,
        }


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {key: value if math.isfinite(value) else None for key, value in values.items()}


def known() -> dict[str, str]:
    """Name of each benchmark there is, and its first line; no module is imported."""
    found = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_"):
        text = (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
        found[name] = (ast.get_docstring(ast.parse(text)) or "").split("\n", 1)[0]
    return found


def run_bench(name: str, **options: Any) -> tuple[Any, int]:
    """Run one benchmark, or `all`, printing its figures; (content for --json, exit status).

    The status is 0 when limits hold, 1 when one does not, 130 when the user ended it: the content is then
    what was done by then.

    `options` that are not None go to the benchmarks that take them. Raises `BadInput` for one that
    nobody takes.
    """
    names = list(known()) if name == "all" else [name]
    unknown = [wanted for wanted in names if wanted not in known()]
    if unknown:
        raise BadInput(f"bench {unknown[0]}: no such benchmark; there are {', '.join(known())} and all")
    given = {key: value for key, value in options.items() if value is not None}
    runs = [importlib.import_module(f"{__name__}.{wanted}").run for wanted in names]
    taken = [given.keys() & inspect.signature(one).parameters.keys() for one in runs]
    for key in given:
        if not any(key in some for some in taken):
            raise BadInput(f"bench {name}: there is no option --{key.replace('_', '-')} for it")
    # What the user gave may be refused: that must not come after minutes of measuring something else.
    order = sorted(range(len(names)), key=lambda index: not taken[index])
    results: list[Figures] = []
    for index in order:
        results.append(_run(names[index], runs[index], {key: given[key] for key in taken[index]}))
        if results[-1].interrupted:
            break
    holds = all(result.holds(key) for result in results for key in result.limits)
    content = [result.as_dict() for result in results]
    status = 130 if results[-1].interrupted else 0 if holds else 1
    return (content if name == "all" else content[0]), status


def _run(name: str, run: Callable[..., Figures], options: dict[str, Any]) -> Figures:
    result = run(**options)
    print(name)
    for key, value in {**result.figures, **result.ratios}.items():
        limit = ""
        if key in result.limits:
            side = "at least" if key in result.at_least else "at most"
            limit = f"{side} {result.limits[key]:g}: {'holds' if result.holds(key) else 'MISSED'}"
        print(f"  {key:<32}{value:>14.6g}  {limit}")
    return result
