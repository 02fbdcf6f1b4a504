"""What a comparison with a measurement gives: figures with their bounds, tables, and a drawing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from testbed.report.verdicts import Verdict


@dataclass(frozen=True)
class Table:
    """Rows to print beneath the figures; numbers are printed to four digits."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Comparison:
    """Model against measurement. `draw` paints on a matplotlib Figure, the units in its labels."""

    model: str
    #: what was compared with what, one sentence
    summary: str
    #: units in the keys
    figures: dict[str, float]
    verdicts: tuple[Verdict, ...] = ()
    tables: tuple[Table, ...] = ()
    #: what the measurement cannot tell, a sentence each
    remarks: tuple[str, ...] = ()
    draw: Callable[[Any], None] | None = field(default=None, compare=False)
