"""The embedded store: a run's telemetry as SQLite tables that anyone can query.

One table a measurement, one row a record: `t_ns`, then the tags, then the fields, each a column under its
own name, so that `SELECT t_ns, delay_mean_ms FROM link WHERE link = 'a>b'` is all there is to it. Samples
stay in the file. Columns appear as records bring them. The store is a copy of `telemetry.jsonl`: how far
it has got is kept in the same transaction as the rows, and `rebuild` makes it anew.

Where a name is taken already (names differ only in case, a field is called like a tag) the column gets a
number behind it; the table `_catalogue` says which.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nodes.wire import Record
from testbed.errors import BadInput
from testbed.store.feed import FeedCounters, Feeder, SinkUnavailable
from testbed.store.runfile import RunFolder

if TYPE_CHECKING:
    import numpy as np

#: columns a table may have; a record that needs more is refused (SQLite's own bound is 2,000)
MAX_COLUMNS: Final = 1_000
#: how long to wait for whoever holds the lock before the attempt counts as failed
BUSY_TIMEOUT_S: Final = 2.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS _progress (one INTEGER PRIMARY KEY CHECK (one = 1), offset INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS _catalogue (measurement TEXT, kind TEXT, name TEXT, tab TEXT, col TEXT,
                                       PRIMARY KEY (measurement, kind, name));
INSERT OR IGNORE INTO _progress VALUES (1, 0);
"""


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _free(name: str, taken: Iterable[str]) -> str:
    """`name`, or `name_2`, ... : SQLite holds names that differ only in case for the same."""
    lower = {other.lower() for other in taken}
    candidate, number = name, 1
    while candidate.lower() in lower:
        number += 1
        candidate = f"{name}_{number}"
    return candidate


class _Table:
    """What the catalogue knows of one measurement."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.columns: dict[tuple[str, str], str] = {}  # (kind, name) -> column

    def of(self, kind: str) -> dict[str, str]:
        return {name: column for (k, name), column in self.columns.items() if k == kind}


def _load_catalogue(db: sqlite3.Connection) -> dict[str, _Table]:
    tables: dict[str, _Table] = {}
    rows = db.execute("SELECT measurement, kind, name, tab, col FROM _catalogue ORDER BY rowid")
    for measurement, kind, name, table, column in rows:
        entry = tables.setdefault(measurement, _Table(table))
        if kind != "table":
            entry.columns[(kind, name)] = column
    return tables


class EmbeddedSink:
    """The writing side, fed by a `Feeder`. Opens the file when first asked, again after any failure."""

    name = "embedded store"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last_refusal = ""
        self._db: sqlite3.Connection | None = None
        self._tables: dict[str, _Table] = {}

    def offset(self) -> int:
        """Bytes of the telemetry file stored so far."""
        try:
            row = self._open().execute("SELECT offset FROM _progress").fetchone()
        except sqlite3.Error as error:
            raise self._unavailable(error) from None
        return int(row[0])

    def write(self, records: list[Record], next_offset: int) -> int:
        """Store records and the offset in one transaction; see `Sink.write`."""
        refused = 0
        rows: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[list[Any]]] = {}
        for record in records:
            key = (record.measurement, tuple(record.tags), tuple(record.fields))
            values = [record.t_ns, *record.tags.values(), *map(_storable, record.fields.values())]
            rows.setdefault(key, []).append(values)
        try:
            db = self._open()
            db.execute("BEGIN IMMEDIATE")
            for (measurement, tags, fields), values_of in rows.items():
                insert = self._insert(db, measurement, tags, fields)
                if insert is None:
                    refused += len(values_of)
                    self.last_refusal = f"measurement {measurement!r}: its name or its many fields do not fit"
                else:
                    db.executemany(insert, values_of)
            db.execute("UPDATE _progress SET offset = ?", (next_offset,))
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._unavailable(error) from None
        return refused

    def close(self) -> None:
        """Close the file; what was not committed is rolled back, and will be offered again."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            # one thread at a time uses it, but not always the one that opened it
            db = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._db = db
            db.execute("PRAGMA journal_mode = WAL")
            # a copy that can be made again need not wait for the disk
            db.execute("PRAGMA synchronous = NORMAL")
            db.executescript(_SCHEMA)
            self._tables = _load_catalogue(db)
        return self._db

    def _unavailable(self, error: sqlite3.Error) -> SinkUnavailable:
        # the tables made in the transaction that failed are gone: forget them with the connection
        self.close()
        return SinkUnavailable(f"{self.path.name}: {error}")

    def _insert(
        self, db: sqlite3.Connection, measurement: str, tags: Sequence[str], fields: Sequence[str]
    ) -> str | None:
        table = self._tables.get(measurement)
        if table is None:
            if not measurement or "\0" in measurement or measurement.lower().startswith("sqlite_"):
                return None
            # tables and indices share one room of names
            taken = [name for (name,) in db.execute("SELECT name FROM sqlite_master")]
            table = _Table(_free(measurement, taken))
            index = _free(f"by_time_{measurement}", [*taken, table.name])
            db.execute(f"CREATE TABLE {_quoted(table.name)} (t_ns INTEGER NOT NULL)")
            db.execute(f"CREATE INDEX {_quoted(index)} ON {_quoted(table.name)} (t_ns)")
            db.execute("INSERT INTO _catalogue VALUES (?, 'table', '', ?, '')", (measurement, table.name))
            self._tables[measurement] = table
        wanted = [("tag", name) for name in tags] + [("field", name) for name in fields]
        new = [key for key in wanted if key not in table.columns]
        if len(table.columns) + len(new) > MAX_COLUMNS or any("\0" in name for _, name in new):
            return None
        for kind, name in new:
            column = _free(name or "unnamed", ["t_ns", *table.columns.values()])
            # no declared type for a field: integers stay integers, text stays text
            declared = "TEXT" if kind == "tag" else ""
            db.execute(f"ALTER TABLE {_quoted(table.name)} ADD COLUMN {_quoted(column)} {declared}")
            db.execute(
                "INSERT INTO _catalogue VALUES (?, ?, ?, ?, ?)", (measurement, kind, name, table.name, column)
            )
            table.columns[(kind, name)] = column
        columns = ["t_ns", *(_quoted(table.columns[key]) for key in wanted)]
        marks = ", ".join("?" * len(columns))
        return f"INSERT INTO {_quoted(table.name)} ({', '.join(columns)}) VALUES ({marks})"


def _storable(value: object) -> object:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


class EmbeddedStore:
    """The reading side. BadInput when the file is no such store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise BadInput(f"{path}: there is no embedded store; it can be rebuilt from telemetry.jsonl")
        try:
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
            _load_catalogue(self._db)
        except sqlite3.Error as error:
            raise BadInput(f"{path}: is not an embedded store ({error})") from None

    def measurements(self) -> dict[str, tuple[list[str], list[str]]]:
        """Of every measurement: the names of its tags and of its fields."""
        tables = _load_catalogue(self._db)
        return {name: (list(t.of("tag")), list(t.of("field"))) for name, t in tables.items()}

    def query(
        self,
        measurement: str,
        fields: Sequence[str] | None = None,
        tags: Mapping[str, str | Sequence[str]] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> dict[str, np.ndarray]:
        """Columns of the records of a measurement, in order of time.

        `fields`: which (None: all); `tags`: the value, or the allowed values, of a tag; the records with
        start_ns <= t_ns < end_ns. The answer has `t_ns` (int64), one array a tag of the measurement
        (objects: text or None) and one a field: float64 with nan where a record lacks it, or objects when
        any of its values is text. A tag and a field of one name: the field's key is NAME_2, as its column
        is. What was never recorded gives empty columns, not an error.
        """
        import numpy as np

        table = _load_catalogue(self._db).get(measurement, _Table(""))
        tag_columns, field_columns = table.of("tag"), table.of("field")
        wanted = list(field_columns) if fields is None else list(fields)
        keys = ["t_ns", *tag_columns.values(), *(field_columns.get(name, name) for name in wanted)]
        rows: list[tuple[Any, ...]] = []
        if table.name and all(name in tag_columns for name in tags or {}):
            stored = {"t_ns", *tag_columns.values(), *field_columns.values()}
            selected = ", ".join(_quoted(key) if key in stored else "NULL" for key in keys)
            where, values = ["1"], []
            for name, allowed in (tags or {}).items():
                choice = [allowed] if isinstance(allowed, str) else list(allowed)
                where.append(f"{_quoted(tag_columns[name])} IN ({', '.join('?' * len(choice))})")
                values += choice
            for bound, comparison in ((start_ns, ">="), (end_ns, "<")):
                if bound is not None:
                    where.append(f"t_ns {comparison} {int(bound)}")
            sql = f"SELECT {selected} FROM {_quoted(table.name)} WHERE {' AND '.join(where)}"
            rows = self._db.execute(sql + " ORDER BY t_ns, rowid", values).fetchall()
        columns: dict[str, np.ndarray] = {}
        tag_keys = set(tag_columns.values())
        for index, key in enumerate(keys):
            column = [row[index] for row in rows]
            if key == "t_ns":
                columns[key] = np.array(column, dtype=np.int64)
            elif key in tag_keys or any(isinstance(value, str) for value in column):
                columns[key] = np.array(column, dtype=object)
            else:
                columns[key] = np.array([np.nan if v is None else v for v in column], dtype=np.float64)
        return columns

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> EmbeddedStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def feeder(run: RunFolder) -> Feeder:
    """What keeps the run's embedded store up to date while the run goes: start it, finish it at the end."""
    return Feeder(run.telemetry_path, EmbeddedSink(run.database_path))


def rebuild(run: RunFolder) -> FeedCounters:
    """Make the run's embedded store anew from its telemetry; the old one is replaced when this is done.

    BadInput when the store cannot be written.
    """
    fresh = run.database_path.with_suffix(".rebuilding")
    _remove(fresh)
    sink = EmbeddedSink(fresh)
    try:
        counters = Feeder(run.telemetry_path, sink).drain()
        sink.close()
        _remove(run.database_path)  # with its log, which must not be applied to the new file
        fresh.replace(run.database_path)
    except (SinkUnavailable, OSError) as error:
        raise BadInput(f"{run.database_path}: cannot be rebuilt ({error})") from None
    finally:
        sink.close()
        _remove(fresh)
    return counters


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
