"""Dual prediction: the receiver is never further off than the bound, whatever the series."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.twin.state import StateTable
from testbed.twin.suppression import Receiver, Source, Telling

#: of the arithmetic of a prediction, relative to the size of its values
ROUNDING = 1e-12

series = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)
bounds = st.floats(0.0, 1e3)
heartbeats = st.integers(1, 20)


@settings(max_examples=150, deadline=None)
@given(series, bounds, heartbeats)
def test_the_bound_holds_in_every_window_of_any_series(
    values: list[float], bound: float, heartbeat: int
) -> None:
    source, receiver = Source({"x": bound}, heartbeat), Receiver(heartbeat)
    for window, value in enumerate(values):
        update = source.offer(window, {"x": value})
        if update is not None:
            receiver.take(update)
        assert receiver.holds(window)
        assert abs(receiver.values(window)["x"] - value) <= bound


@settings(max_examples=150, deadline=None)
@given(series, bounds, heartbeats, st.sets(st.integers(0, 59), max_size=20))
def test_a_lost_message_harms_until_the_next_one_that_comes_and_no_longer(
    values: list[float], bound: float, heartbeat: int, lost: set[int]
) -> None:
    source, receiver = Source({"x": bound}, heartbeat), Receiver(heartbeat)
    whole, silent, missing, noticed = False, 0, 0, 0
    for window, value in enumerate(values):
        update = source.offer(window, {"x": value})
        silent += 1
        if update is not None:
            if window in lost:
                whole, missing = False, missing + 1
            else:
                receiver.take(update)
                whole, silent, noticed = True, 0, missing
        if whole:
            assert abs(receiver.values(window)["x"] - value) <= bound
        if silent >= heartbeat:
            assert not receiver.holds(window)  # a source that lives would have spoken
    assert receiver.lost == noticed


def test_a_straight_line_needs_heartbeats_only() -> None:
    source = Source({"x": 0.01}, 20)
    sent = [w for w in range(200) if source.offer(w, {"x": 3.0 + 0.5 * w}) is not None]
    assert [later - one for one, later in pairwise(sent[-8:])] == [20] * 7
    assert len(sent) < 25


def test_a_constant_needs_heartbeats_only_and_a_jump_one_message() -> None:
    source = Source({"x": 0.5}, 10)
    sent = [w for w in range(40) if source.offer(w, {"x": 1.0 if w < 25 else 9.0}) is not None]
    assert sent == [0, 10, 20, 25, 35]


def test_of_several_quantities_any_one_is_enough_and_those_without_bound_are_none() -> None:
    source, receiver = Source({"x": 1.0, "y": 1.0}, 100), Receiver(100)
    rows = [{"x": 0.0, "y": 0.0, "note": float(w * w)} for w in range(6)]
    rows[4]["y"] = rows[5]["y"] = 5.0
    sent = []
    for window, row in enumerate(rows):
        update = source.offer(window, row)
        if update is not None:
            sent.append(window)
            receiver.take(update)
    assert sent == [0, 4]
    assert receiver.values(4)["y"] == 5.0


def test_messages_out_of_order_or_repeated_change_nothing() -> None:
    source, receiver = Source({"x": 0.0}, 5), Receiver(5)
    first, second = source.offer(0, {"x": 1.0}), source.offer(1, {"x": 2.0})
    assert first is not None
    assert second is not None
    for update in (second, first, second):
        receiver.take(update)
    assert receiver.values(1) == {"x": 2.0}


@pytest.mark.parametrize("wild", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_told_once_and_so_is_its_end(wild: float) -> None:
    source, receiver = Source({"x": 1.0}, 100), Receiver(100)
    sent = 0
    for window, value in enumerate([1.0, wild, wild, wild, 2.0, 2.0]):
        update = source.offer(window, {"x": value})
        if update is not None:
            sent += 1
            receiver.take(update)
        believed = receiver.values(window)["x"]
        assert believed == value or (math.isnan(believed) and math.isnan(value)) or abs(believed - value) <= 1
    assert sent == 3


states = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.sampled_from("xy"), st.floats(-100.0, 100.0), st.floats(1e-6, 10.0),
        st.booleans(),
    ),
    max_size=60,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(states, st.floats(0.0, 3.0))
def test_what_is_told_of_a_table_is_within_the_bound_after_every_look(
    changes: list[tuple[str, str, float, float, bool]], bound_sds: float
) -> None:
    table, telling = StateTable(), Telling(bound_sds)
    for target, name, mean, variance, drop in changes:
        if drop:
            table.drop(target)
        else:
            table.update(target, name, mean, variance)
        telling.look(table)
        assert {e[:2] for e in telling.told.query()} == {e[:2] for e in table.query()}
        for entry in table.query():
            told = telling.told.get(entry.target, entry.name)
            assert told is not None
            allowed = bound_sds * math.sqrt(min(entry.variance, told.variance))
            assert abs(entry.mean - told.mean) <= allowed * (1.0 + ROUNDING)
            assert 0.5 <= entry.variance / told.variance <= 2.0


def test_a_state_that_grows_with_time_alone_is_told_when_it_lags_by_what_is_allowed() -> None:
    table, telling = StateTable(), Telling(0.5, {"last_heard_s": 5.0})
    for second in range(61):
        table.update("node", "last_heard_s", float(second), 0.0)
        telling.look(table)
        assert abs(telling.told.get("node", "last_heard_s").mean - second) <= 5.0  # type: ignore[union-attr]
    assert telling.told.version == 11


def test_a_state_that_hardly_moves_is_told_once() -> None:
    table, telling = StateTable(), Telling(0.5)
    for step in range(100):
        table.update("a>b", "delay_ms", 5.0 + 0.004 * step, 1.0)
        telling.look(table)
    assert telling.told.get("a>b", "delay_ms").updates == 1  # type: ignore[union-attr]
