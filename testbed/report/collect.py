"""Reads a run folder into memory: what was recorded, by measurement, and what is missing.

A broken-off run is read as far as it goes: whatever cannot be read becomes a sentence in `problems`
instead of an error. Nothing is judged or drawn here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from nodes.wire import Record
from testbed.errors import BadInput
from testbed.store.runfile import RunFolder
from testbed.store.telemetry import decode_record

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Deviation:
    """What the plant did that the twin was not told, in run time; `end_s` is None if it never ended."""

    kind: str
    target: str
    start_s: float
    end_s: float | None
    size: str

    def concerns(self, name: str) -> bool:
        """Whether a place, node or link is what the deviation is about, by itself, as an end of the link,
        or as a member of the group that the target names (`field` has `field-1`, `field-2` and so on).
        """
        return name == self.target or any(_is_or_belongs(end, self.target) for end in name.split(">"))


@dataclass
class RunData:
    """A run folder in memory. Run time is seconds since `t0_ns`."""

    path: Path
    info: dict[str, Any] = field(default_factory=dict)
    scenario: dict[str, Any] = field(default_factory=dict)
    public: dict[str, Any] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    packets_recorded: int | None = None
    _grouped: dict[tuple[str, str], dict[str, list[Record]]] = field(default_factory=dict)

    @cached_property
    def t0_ns(self) -> int:
        """Start of the run on the host's monotonic clock; the first record's time if it never started."""
        given = self.info.get("t0_ns")
        if isinstance(given, int):
            return given
        return min((r.t_ns for r in self.records), default=0)

    @cached_property
    def duration_s(self) -> float:
        """How long the run lasted: as noted, or up to its last observation."""
        given = self.info.get("duration_s")
        if isinstance(given, int | float) and given > 0:
            return float(given)
        last = max((r.t_ns for r in self.records), default=self.t0_ns)
        return (last - self.t0_ns) / 1e9

    @cached_property
    def observed_s(self) -> float:
        """The part of the run in which traffic was offered and observed: without what it took to end."""
        planned = self.info.get("planned_duration_s")
        if isinstance(planned, int | float) and planned > 0:
            return min(self.duration_s, float(planned))
        return self.duration_s

    @cached_property
    def shown_s(self) -> float:
        """The length of a time axis: never nothing, whatever little was recorded."""
        return max(self.observed_s, 1.0)

    @cached_property
    def by_measurement(self) -> dict[str, list[Record]]:
        """The records of every measurement, in the order of their times."""
        groups: dict[str, list[Record]] = {}
        for record in self.records:
            groups.setdefault(record.measurement, []).append(record)
        for group in groups.values():
            group.sort(key=lambda r: r.t_ns)
        return groups

    def of(self, measurement: str, **tags: str) -> list[Record]:
        """The records of a measurement whose tags have the given values."""
        found = self.by_measurement.get(measurement, [])
        if not tags:
            return found
        wanted = tags.items()
        return [r for r in found if all(r.tags.get(key) == value for key, value in wanted)]

    def by_tag(self, measurement: str, tag: str) -> dict[str, list[Record]]:
        """The records of a measurement, grouped by the value of one tag, in the order of that value."""
        key = (measurement, tag)
        if key not in self._grouped:
            groups: dict[str, list[Record]] = {}
            for record in self.by_measurement.get(measurement, []):
                groups.setdefault(record.tags.get(tag, ""), []).append(record)
            self._grouped[key] = dict(sorted(groups.items()))
        return self._grouped[key]

    @cached_property
    def predictions(self) -> dict[tuple[str, str], list[Record]]:
        """The twin's predictions by (target, quantity)."""
        return self._by_target("prediction")

    @cached_property
    def residuals(self) -> dict[tuple[str, str], list[Record]]:
        """The twin's residuals by (target, quantity)."""
        return self._by_target("residual")

    def _by_target(self, measurement: str) -> dict[tuple[str, str], list[Record]]:
        groups: dict[tuple[str, str], list[Record]] = {}
        for record in self.by_measurement.get(measurement, []):
            key = (record.tags.get("target", ""), record.tags.get("quantity", ""))
            groups.setdefault(key, []).append(record)
        return groups

    def seconds(self, t_ns: int) -> float:
        """A monotonic time as run time in s."""
        return (t_ns - self.t0_ns) / 1e9

    def times_s(self, records: Iterable[Record]) -> Array:
        """The run times of records, in s."""
        return np.array([self.seconds(r.t_ns) for r in records], dtype=np.float64)

    @cached_property
    def deviations(self) -> list[Deviation]:
        """The deviations as the plant noted them, in the order in which they began."""
        spans: list[Deviation] = []
        opened: dict[tuple[str, str], int] = {}
        for record in self.of("plant_event"):
            key = (record.tags.get("deviation", ""), record.tags.get("target", ""))
            at_s = self.seconds(record.t_ns)
            if record.fields.get("what") == "end" and key in opened:
                index = opened.pop(key)
                spans[index] = Deviation(*key, spans[index].start_s, at_s, spans[index].size)
            elif record.fields.get("what") == "start":
                opened[key] = len(spans)
                spans.append(Deviation(*key, at_s, None, _size_text(record)))
        return spans


def _is_or_belongs(name: str, target: str) -> bool:
    stem, _, number = name.rpartition("-")
    return name == target or (stem == target and number.isdigit())


def values(records: list[Record], name: str) -> Array:
    """One field of every record as floats; NaN where a record does not have it as a finite number."""
    column = np.full(len(records), np.nan)
    for index, record in enumerate(records):
        value = record.fields.get(name)
        if isinstance(value, int | float):
            column[index] = value
    return column


def load(path: Path) -> RunData:
    """Everything in a run folder that can be read. BadInput when `path` is not a run folder."""
    folder = RunFolder.open(path)
    data = RunData(folder.path)
    data.info = _guarded(folder.run_info, data.problems)
    _drop_damaged(data)
    if not data.info.get("channel"):
        # The supervisor puts the channel's last counts into run.json; if it could not, they are still here.
        data.info["channel"] = _beside(folder.path / "channel.json")
    # what became of the telemetry, as far as a store did not take all of it
    data.problems += (data.info.get("telemetry") or {}).get("sentences") or []
    data.scenario = _guarded(folder.scenario, data.problems)
    data.public = _guarded(folder.public, data.problems)
    data.records = _read_records(folder.telemetry_path, data.problems)
    data.packets_recorded = _count_packets(folder.packets_path, data)
    return data


def _size_text(record: Record) -> str:
    about_time = ("at", "for", "start_s", "end_s", "ramp_s")
    return ", ".join(
        f"{key} {value:g}"
        for key, value in record.fields.items()
        if isinstance(value, int | float) and key not in about_time
    )


def _guarded(read: Callable[[], dict[str, Any]], problems: list[str]) -> dict[str, Any]:
    try:
        return read()
    except BadInput as error:
        problems.append(str(error))
        return {}


_NUMBER: Final = int | float | None
_TABLE: Final = dict | None
#: parts of run.json that the report looks into, and what they must be
_PARTS: Final = {
    "channel": _TABLE, "nodes": _TABLE, "ports": _TABLE, "telemetry": _TABLE, "control": _TABLE,
    "versions": _TABLE, "places": list | None, "duration_s": _NUMBER, "planned_duration_s": _NUMBER,
    "first_packet_s": _NUMBER, "edges": _TABLE,
}  # fmt: skip


def _drop_damaged(data: RunData) -> None:
    """Parts of run.json of the wrong kind are as good as missing."""
    for name, kind in _PARTS.items():
        if name in data.info and not isinstance(data.info[name], kind):
            data.problems.append(f"run.json: {name} is damaged and was left out")
            del data.info[name]
    nodes = data.info.get("nodes") or {}
    for name in [name for name, node in nodes.items() if not isinstance(node, dict)]:
        data.problems.append(f"run.json: nodes.{name} is damaged and was left out")
        del nodes[name]


def _beside(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _read_records(path: Path, problems: list[str]) -> list[Record]:
    """The telemetry, line by line: a damaged line costs itself and not what follows it."""
    records: list[Record] = []
    damaged = 0
    try:
        with path.open("rb") as stream:
            for line in stream:
                try:
                    records.append(decode_record(line))
                except (msgspec.DecodeError, UnicodeDecodeError):
                    damaged += 1
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror})")
    if damaged:
        problems.append(f"{path}: {damaged} line(s) are torn or damaged and were left out")
    return records


def _count_packets(path: Path, data: RunData) -> int | None:
    if not path.exists():
        return None
    from testbed.store import packets

    try:
        return len(packets.read_hops(path))
    except (OSError, ValueError, BadInput) as error:
        data.problems.append(f"{path.name} cannot be read: {error}")
        return None
