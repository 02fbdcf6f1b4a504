"""The embedded store: a complete, queryable copy that never stands in the run's way."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nodes.wire import Record
from testbed.errors import BadInput
from testbed.store import embedded
from testbed.store.embedded import EmbeddedSink, EmbeddedStore, feeder, rebuild
from testbed.store.feed import Feeder, SinkUnavailable
from testbed.store.runfile import RunFolder

Until = Callable[[Callable[[], bool]], None]


def link(t_ns: int, name: str, **fields: bool | int | float | str) -> Record:
    return Record(t_ns, "link", {"link": name, "kind": "isl"}, fields, [1.0, 2.0])


def fill(run: RunFolder, *records: Record) -> None:
    with run.telemetry_writer() as writer:
        writer.append(*records)


def test_columns_of_a_measurement_are_selected_by_tag_and_time(run: RunFolder) -> None:
    fill(
        run, *(link(t, name, packets_in=t, delay_mean_ms=t / 2) for t in range(10) for name in ("a>b", "b>a"))
    )
    assert rebuild(run).stored == 20
    with EmbeddedStore(run.database_path) as store:
        got = store.query("link", ["delay_mean_ms"], {"link": "a>b"}, start_ns=3, end_ns=6)
    assert got["t_ns"].tolist() == [3, 4, 5]
    assert got["delay_mean_ms"].tolist() == [1.5, 2.0, 2.5]
    assert set(got["link"]) == {"a>b"}
    assert "packets_in" not in got


def test_several_values_of_a_tag_can_be_asked_for(run: RunFolder) -> None:
    fill(run, link(1, "a>b", x=1), link(2, "b>c", x=2), link(3, "c>d", x=3))
    rebuild(run)
    with EmbeddedStore(run.database_path) as store:
        assert store.query("link", tags={"link": ["a>b", "c>d"]})["x"].tolist() == [1, 3]


def test_records_out_of_order_come_out_in_the_order_of_time(run: RunFolder) -> None:
    fill(run, link(5, "a>b", x=5), link(1, "a>b", x=1), link(3, "a>b", x=3))
    rebuild(run)
    with EmbeddedStore(run.database_path) as store:
        assert store.query("link")["x"].tolist() == [1, 3, 5]


def test_a_field_that_a_record_lacks_is_nan_and_text_stays_text(run: RunFolder) -> None:
    fill(run, link(1, "a>b", x=1), link(2, "a>b", y="late"), link(3, "a>b", x=math.nan, up=True))
    rebuild(run)
    with EmbeddedStore(run.database_path) as store:
        got = store.query("link")
    np.testing.assert_array_equal(got["x"], [1.0, np.nan, np.nan])
    assert got["y"].tolist() == [None, "late", None]
    assert got["up"][2] == 1.0


def test_what_was_never_recorded_is_empty_not_an_error(run: RunFolder) -> None:
    fill(run, link(1, "a>b", x=1))
    rebuild(run)
    with EmbeddedStore(run.database_path) as store:
        assert store.query("detection", ["size"])["size"].shape == (0,)
        assert np.isnan(store.query("link", ["nothing"])["nothing"]).all()
        assert store.query("link", tags={"colour": "red"})["x"].shape == (0,)


def test_names_that_sqlite_takes_for_the_same_are_kept_apart(run: RunFolder) -> None:
    awkward = Record(1, 'odd "name', {"node": "n", "T_ns": "t"}, {"node": 1, "Node": 2, "t_ns": 3, "": 4})
    fill(run, awkward, Record(1, 'ODD "NAME', {}, {"x": 1}), Record(1, "_catalogue", {}, {"x": 2}))
    assert rebuild(run).refused == 0
    with EmbeddedStore(run.database_path) as store:
        assert store.measurements()['odd "name'] == (["node", "T_ns"], ["node", "Node", "t_ns", ""])
        got = store.query('odd "name', ["node", "Node", "t_ns"])
        assert got["node"].tolist() == ["n"]
        assert [got[key].tolist() for key in ("node_2", "Node_3", "t_ns_3")] == [[1], [2], [3]]
        assert store.query("_catalogue")["x"].tolist() == [2]


def test_a_plain_sql_query_reads_naturally(run: RunFolder) -> None:
    fill(run, link(1, "a>b", delay_mean_ms=2.0), link(2, "a>b", delay_mean_ms=4.0))
    rebuild(run)
    with sqlite3.connect(run.database_path) as db:
        assert db.execute("SELECT avg(delay_mean_ms) FROM link WHERE link = 'a>b'").fetchall() == [(3.0,)]


def test_a_record_with_too_many_columns_is_refused_and_counted(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "MAX_COLUMNS", 5)
    fill(run, link(1, "a>b", **{f"f{n}": n for n in range(10)}), link(2, "a>b", x=1), Record(3, "", {}, {}))
    counters = rebuild(run)
    assert (counters.stored, counters.refused) == (1, 2)
    assert "2 records refused" in counters.sentence()
    assert counters.summary().startswith(
        "embedded store: 1 records stored; embedded store: 2 records refused"
    )


def test_the_store_follows_a_run_and_is_complete_at_its_end(run: RunFolder) -> None:
    feed = feeder(run)
    feed.start()
    with run.telemetry_writer() as writer:
        for t in range(3000):
            writer.append(link(t, "a>b", x=t))
    counters = feed.finish(timeout_s=30)
    assert (counters.stored, counters.behind_bytes, counters.sentence()) == (3000, 0, "")
    with EmbeddedStore(run.database_path) as store:
        assert store.query("link")["x"].tolist() == list(range(3000))


def test_feeding_goes_on_where_it_stopped(run: RunFolder) -> None:
    for part in range(3):
        fill(run, *(link(100 * part + t, "a>b", x=t) for t in range(100)))
        sink = EmbeddedSink(run.database_path)
        assert Feeder(run.telemetry_path, sink, chunk_bytes=1000).drain().stored == 100
        sink.close()
    with EmbeddedStore(run.database_path) as store:
        assert store.query("link")["t_ns"].tolist() == list(range(300))


def test_a_locked_database_is_offered_the_records_again(
    run: RunFolder, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "BUSY_TIMEOUT_S", 0.01)
    fill(run, link(1, "a>b", x=1))
    rebuild(run)
    fill(run, link(2, "a>b", x=2, new=3))
    other = sqlite3.connect(run.database_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    feed = Feeder(run.telemetry_path, EmbeddedSink(run.database_path), interval_s=0.01)
    feed.start()
    until(lambda: feed.counters.failures > 0)
    assert feed.counters.behind_bytes > 0
    assert "locked" in feed.counters.last_error
    other.execute("COMMIT")
    assert feed.finish(timeout_s=30).behind_bytes == 0
    other.close()
    with EmbeddedStore(run.database_path) as store:
        assert store.query("link")["x"].tolist() == [1, 2]


def test_a_transaction_that_fails_half_way_leaves_no_trace(run: RunFolder) -> None:
    fill(run, link(1, "a>b", x=1))
    rebuild(run)
    with sqlite3.connect(run.database_path) as db:
        db.execute("CREATE TRIGGER refuse BEFORE UPDATE ON _progress BEGIN SELECT RAISE(ABORT, 'no'); END")
    fill(run, link(2, "a>b", x=2, new=3))
    sink = EmbeddedSink(run.database_path)
    with pytest.raises(SinkUnavailable, match="no"):
        Feeder(run.telemetry_path, sink).drain()
    with sqlite3.connect(run.database_path) as db:
        db.execute("DROP TRIGGER refuse")
    assert Feeder(run.telemetry_path, sink).drain().stored == 1
    sink.close()
    with EmbeddedStore(run.database_path) as store:
        assert store.query("link")["x"].tolist() == [1, 2]


def test_a_file_that_is_no_database_is_counted_and_can_be_rebuilt(run: RunFolder, until: Until) -> None:
    fill(run, link(1, "a>b", x=1))
    run.database_path.write_text("not a database, but long enough to be looked at as one")
    feed = feeder(run)
    feed.start()
    until(lambda: feed.counters.failures > 0)
    counters = feed.finish(timeout_s=0.1)
    assert "not in it" in counters.sentence()
    with pytest.raises(BadInput, match="not an embedded store"):
        EmbeddedStore(run.database_path)
    assert rebuild(run).stored == 1
    with EmbeddedStore(run.database_path) as store:
        assert store.query("link")["x"].tolist() == [1]


def test_a_rebuilt_store_has_nothing_of_the_one_it_replaces(run: RunFolder) -> None:
    fill(run, *(link(t, "a>b", old=t) for t in range(100)))
    left_open = EmbeddedSink(run.database_path)  # as a killed process leaves it: with its log beside it
    Feeder(run.telemetry_path, left_open).drain()
    assert run.database_path.with_name("telemetry.sqlite-wal").stat().st_size > 0
    run.telemetry_path.unlink()
    fill(run, *(link(t, "a>b", new=t) for t in range(50)))
    assert rebuild(run).stored == 50
    with EmbeddedStore(run.database_path) as store:
        assert store.measurements()["link"] == (["link", "kind"], ["new"])
        assert store.query("link")["new"].tolist() == list(range(50))
    left_open.close()


def test_a_damaged_line_is_passed_over_and_counted(run: RunFolder) -> None:
    fill(run, link(1, "a>b", x=1))
    with run.telemetry_path.open("ab") as file:
        file.write(b"garbage\n")
    fill(run, link(2, "a>b", x=2))
    counters = rebuild(run)
    assert (counters.stored, counters.damaged) == (2, 1)


def test_a_missing_store_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="rebuilt"):
        EmbeddedStore(tmp_path / "telemetry.sqlite")


def test_a_measurement_may_be_called_like_an_index(run: RunFolder) -> None:
    names = ["link", "by_time_link", "by_time_task", "task"]
    with run.telemetry_writer() as writer:
        writer.extend(Record(1, name, {}, {"x": number}) for number, name in enumerate(names))
    rebuild(run)
    with EmbeddedStore(run.database_path) as store:
        assert [store.query(name)["x"].tolist() for name in names] == [[0], [1], [2], [3]]
