"""A run's telemetry in formats that other programs read: CSV, Parquet, InfluxDB line protocol.

CSV and Parquet: one file a measurement, one row a record, with `t_ns` (the run's own clock), `utc_ns`
(wall clock, ns since 1970), then the tags, then the fields. Parquet has the samples as well. Line
protocol: one file, ready for any 1.x or 2.x import.
"""

from __future__ import annotations

import csv
import hashlib
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from nodes.wire import Record
from testbed.errors import BadInput, EnvironmentProblem
from testbed.store.lineprotocol import line
from testbed.store.runfile import RunFolder

FORMATS: Final = ("csv", "parquet", "lp")
#: rows of one measurement held in memory before they are written as a Parquet row group
ROW_GROUP: Final = 20_000
_LONGEST_NAME: Final = 200


class _Columns:
    """The columns of a measurement: `columns[(kind, name)]` is the heading."""

    def __init__(self) -> None:
        self.headings: dict[tuple[str, str], str] = {}
        self.types: dict[tuple[str, str], set[type]] = {}
        self.samples = False

    def see(self, record: Record) -> None:
        for kind, values in (("tag", record.tags), ("field", record.fields)):
            for name, value in values.items():
                key = (kind, name)
                if key not in self.headings:
                    taken = {"t_ns", "utc_ns", "samples", *self.headings.values()}
                    self.headings[key] = name if name not in taken else f"{name} ({kind})"
                self.types.setdefault(key, set()).add(_type(value))
        self.samples = self.samples or bool(record.samples)

    def ordered(self) -> list[tuple[str, str]]:
        return sorted(self.headings, key=lambda key: key[0] != "tag")  # tags first, else as they came


def _type(value: object) -> type:
    """The type that a column needs for a value; whole numbers beyond 64 bits are floats there."""
    fits = not isinstance(value, int) or -(2**63) <= value < 2**63
    return type(value) if fits else float


def _survey(run: RunFolder) -> dict[str, _Columns]:
    """The columns of every measurement: only the whole file tells."""
    found: dict[str, _Columns] = {}
    for record in run.records():
        found.setdefault(record.measurement, _Columns()).see(record)
    return found


def _values(record: Record, keys: list[tuple[str, str]]) -> Iterator[Any]:
    for kind, name in keys:
        yield (record.tags if kind == "tag" else record.fields).get(name)


def _file_name(measurement: str, suffix: str) -> str:
    name = (quote(measurement, safe=" ") or "unnamed").replace(".", "%2E")
    if len(name) > _LONGEST_NAME:
        # file systems take 255 bytes; the digest keeps names apart that begin alike
        name = f"{name[:_LONGEST_NAME]}-{hashlib.sha256(measurement.encode()).hexdigest()[:16]}"
    return name + suffix


def _to_csv(run: RunFolder, folder: Path, epoch_offset_ns: int) -> list[Path]:
    columns = _survey(run)
    keys = {measurement: columns[measurement].ordered() for measurement in columns}
    paths = {measurement: folder / _file_name(measurement, ".csv") for measurement in columns}
    files = {}
    try:
        writers = {}
        for measurement, path in paths.items():
            files[measurement] = path.open("w", newline="", encoding="utf-8")
            writers[measurement] = csv.writer(files[measurement])
            headings = [columns[measurement].headings[key] for key in keys[measurement]]
            writers[measurement].writerow(["t_ns", "utc_ns", *headings])
        for record in run.records():
            m = record.measurement
            writers[m].writerow([record.t_ns, record.t_ns + epoch_offset_ns, *_values(record, keys[m])])
    finally:
        for file in files.values():
            file.close()
    return list(paths.values())


def _to_parquet(run: RunFolder, folder: Path, epoch_offset_ns: int) -> list[Path]:
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise EnvironmentProblem("Parquet needs the package pyarrow: pip install pyarrow") from None
    columns = _survey(run)
    paths = []
    for measurement, found in columns.items():
        keys = found.ordered()
        schema = [arrow.field("t_ns", arrow.int64()), arrow.field("utc_ns", arrow.timestamp("ns", tz="UTC"))]
        casts: list[Callable[[Any], Any]] = []
        for key in keys:
            kind, cast = _arrow_type(arrow, found.types[key])
            schema.append(arrow.field(found.headings[key], kind))
            casts.append(cast)
        if found.samples:
            schema.append(arrow.field("samples", arrow.list_(arrow.float64())))
        path = folder / _file_name(measurement, ".parquet")
        with parquet.ParquetWriter(path, arrow.schema(schema)) as writer:
            for group in _groups(run, measurement):
                data: list[list[Any]] = [[r.t_ns for r in group], [r.t_ns + epoch_offset_ns for r in group]]
                rows = [list(_values(record, keys)) for record in group]
                for index, cast in enumerate(casts):
                    data.append([None if row[index] is None else cast(row[index]) for row in rows])
                if found.samples:
                    data.append([record.samples for record in group])
                fields = [arrow.array(values, field.type) for values, field in zip(data, schema, strict=True)]
                writer.write_table(arrow.Table.from_arrays(fields, schema=arrow.schema(schema)))
        paths.append(path)
    return paths


def _arrow_type(arrow: Any, types: set[type]) -> tuple[Any, Callable[[Any], Any]]:
    if str in types:
        return arrow.string(), str
    if types == {bool}:
        return arrow.bool_(), bool
    if types == {int}:
        return arrow.int64(), int
    return arrow.float64(), float


def _groups(run: RunFolder, measurement: str) -> Iterator[list[Record]]:
    group: list[Record] = []
    for record in run.records():
        if record.measurement == measurement:
            group.append(record)
            if len(group) == ROW_GROUP:
                yield group
                group = []
    if group:
        yield group


def _to_lines(run: RunFolder, folder: Path, epoch_offset_ns: int) -> list[Path]:
    path = folder / "telemetry.lp"
    tags = {"run": run.id}
    with path.open("w", encoding="utf-8") as file:
        for record in run.records():
            text = line(record, epoch_offset_ns, tags)
            if text is not None:
                file.write(text + "\n")
    return [path]


_WRITERS: Final = {"csv": _to_csv, "parquet": _to_parquet, "lp": _to_lines}


def export(run: RunFolder, to: str, out: Path | None = None) -> list[Path]:
    """Write the run's telemetry as `to` (one of FORMATS) into `out` (None: RUN/export); the files written.

    BadInput for an unknown format, a folder that cannot be written or a run that cannot be read;
    EnvironmentProblem when a package is missing.
    """
    if to not in _WRITERS:
        raise BadInput(f"--to: {to!r} is not a format; allowed are {', '.join(FORMATS)}")
    folder = out or run.path / "export"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _WRITERS[to](run, folder, run.epoch_offset_ns())
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written ({error.strerror})") from None
