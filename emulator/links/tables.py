"""Link models as plain tables that JSON can hold, and back.

A table has the fields of `LinkModel`; those that are settings are tables with a `kind`, the name that the
module of the impairment registers. Nothing is checked here: `LinkModel.check` does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from emulator.links.model import (
    ACCESSES,
    JITTERS,
    LOSSES,
    QUEUES,
    Events,
    Faults,
    LinkModel,
    Process,
    Series,
    Traces,
)
from emulator.links.process import SEGMENT_COLUMNS

#: field of a model -> its settings by kind
SETTINGS: Final[Mapping[str, Mapping[str, type]]] = {
    "queue": QUEUES,
    "access": ACCESSES,
    "loss": LOSSES,
    "jitter": JITTERS,
}


def table_of(model: LinkModel) -> dict[str, Any]:
    """A model as a table of texts, numbers, lists and tables."""
    table: dict[str, Any] = {}
    for field in dataclasses.fields(model):
        value = getattr(model, field.name)
        if field.name in SETTINGS:
            value = {"kind": value.kind, **dataclasses.asdict(value)}
        elif field.name == "faults":
            value = dataclasses.asdict(value)
        elif field.name == "traces":
            value = {f.name: _series_table(getattr(value, f.name)) for f in dataclasses.fields(value)}
        elif field.name == "process":
            value = None if value is None else _process_table(value)
        table[field.name] = value
    return table


def model_of(table: Mapping[str, Any]) -> LinkModel:
    """The model of a table as `table_of` makes it; what the table does not say is as in the plain model."""
    values = dict(table)
    for name in SETTINGS.keys() & values.keys():
        values[name] = settings_of(name, values[name])
    if "faults" in values:
        values["faults"] = Faults(**values["faults"])
    if "traces" in values:
        values["traces"] = Traces(**{key: _series_of(value) for key, value in values["traces"].items()})
    if values.get("process") is not None:
        values["process"] = _process_of(values["process"])
    return LinkModel(**values)


def settings_of(field: str, table: Mapping[str, Any]) -> Any:
    """The settings of a model's field ("queue", "access", "loss" or "jitter") from their table."""
    values = dict(table)
    return SETTINGS[field][values.pop("kind")](**values)


def _process_table(process: Process) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in dataclasses.fields(process):
        value = getattr(process, field.name)
        if isinstance(value, Events):
            value = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        values[field.name] = _plain(value)
    return values


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _process_of(table: Mapping[str, Any]) -> Process:
    values = dict(table)
    for name in ("events", "strays"):
        values[name] = Events(**{key: _array(value) for key, value in values[name].items()})
    patterns = np.array(values.pop("patterns"), np.float64)
    components = np.array(values.pop("components"), np.float64)
    return Process(
        patterns=patterns if patterns.size else np.zeros((0, 0, SEGMENT_COLUMNS)),
        components=components if components.size else np.zeros((0, 2)),
        **{key: _array(value) for key, value in values.items()},
    )


def _array(value: Any) -> Any:
    return np.array(value, np.float64) if isinstance(value, list) else value


def _series_table(series: Series | None) -> dict[str, Any] | None:
    if series is None:
        return None
    return {
        "times_ns": series.times_ns.tolist(),
        "values": series.values.tolist(),
        "kind": series.kind,
        "period_ns": series.period_ns,
    }


def _series_of(table: Mapping[str, Any] | None) -> Series | None:
    if table is None:
        return None
    times_ns = np.array(table["times_ns"], dtype=np.int64)
    return Series(times_ns, np.array(table["values"], dtype=np.float64), table["kind"], table["period_ns"])
