"""The state table: versions, questions, and changes that another table takes over."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.twin import state
from testbed.twin.state import StateTable


def filled() -> StateTable:
    table = StateTable()
    table.update("a>b", "delay_ms", 5.0, 1.0, 0.5)
    table.update("a>b", "loss", 0.01, 1e-4)
    table.update("gate", "snr_bias_up_db", 0.4, 0.01, 0.5)
    return table


def test_a_state_has_mean_variance_version_and_the_time_of_what_it_rests_on() -> None:
    table = filled()
    entry = table.update("a>b", "delay_ms", 6.0, 0.5)
    assert (entry.mean, entry.variance, entry.version, entry.updates, entry.t_s) == (6.0, 0.5, 4, 2, 0.5)
    table.observed("a>b", "delay_ms", 1.5)
    found = table.get("a>b", "delay_ms")
    assert found is not None
    assert (found.t_s, found.version) == (1.5, 4)
    assert table.get("a>b", "loss").t_s == -math.inf  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ({}, ["a>b delay_ms", "a>b loss", "gate snr_bias_up_db"]),
        ({"target": "a>*"}, ["a>b delay_ms", "a>b loss"]),
        ({"name": "*_db"}, ["gate snr_bias_up_db"]),
        ({"since_version": 2}, ["gate snr_bias_up_db"]),
        ({"target": "nobody"}, []),
    ],
)
def test_states_are_found_by_target_name_and_version(question: dict[str, Any], found: list[str]) -> None:
    assert [f"{entry.target} {entry.name}" for entry in filled().query(**question)] == found


def test_a_delta_holds_what_changed_and_nothing_else() -> None:
    table = filled()
    since = table.version
    table.update("gate", "snr_bias_up_db", 0.5, 0.01)
    table.drop("a>b")
    delta = table.delta(since)
    assert [entry.target for entry in delta.entries] == ["gate"]
    assert (delta.gone, delta.whole) == (["a>b"], False)
    assert table.delta(table.version).entries == []


def test_a_gap_is_noticed_and_a_whole_copy_mends_it() -> None:
    table, copy = filled(), StateTable()
    assert copy.apply(table.delta(0))
    first = table.version
    table.update("a>b", "loss", 0.02, 1e-4)
    second = table.version
    table.update("a>b", "loss", 0.03, 1e-4)
    assert not copy.apply(table.delta(second))  # the change before it never came
    assert copy.get("a>b", "loss").mean == 0.01  # type: ignore[union-attr]
    assert copy.apply(table.delta(first))
    assert copy.query() == table.query()
    assert StateTable().apply(table.delta(0))


def test_what_is_gone_for_too_long_asks_for_a_whole_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "REMEMBERED", 2)
    table = filled()
    since = table.version
    for name in ("x", "y", "z"):
        table.update(name, "delay_ms", 1.0, 1.0)
        table.drop(name)
    assert table.delta(since).whole
    assert not table.delta(table.version - 1).whole


changes = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("mn"), st.floats(-9.0, 9.0), st.booleans()), max_size=30
)


@settings(max_examples=60, deadline=None)
@given(changes, st.lists(st.booleans(), max_size=30))
def test_a_copy_that_takes_deltas_whenever_it_can_ends_equal(
    made: list[tuple[str, str, float, bool]], sent: list[bool]
) -> None:
    table, copy = StateTable(), StateTable()
    for index, (target, name, mean, drop) in enumerate(made):
        if drop:
            table.drop(target)
        else:
            table.update(target, name, mean, 1.0, float(index))
        if index < len(sent) and sent[index]:
            assert copy.apply(table.delta(copy.version))
    assert copy.apply(table.delta(copy.version))
    assert copy.query() == table.query()


def test_a_twin_tells_every_link_and_server_before_it_is_observed(synthetic: Any) -> None:
    twin = synthetic.make_twin(20.0, 5.0)
    twin.predict(0)
    for name in ("delay_ms", "loss", "throughput_bps", "snr_db"):
        found = twin.table.query("field-*>sat-*", name)
        assert len(found) == 7
        assert all(entry.t_s == -math.inf for entry in found)
        assert name == "loss" or all(entry.variance > 0.0 for entry in found)
    assert len(twin.table.query("edge-*", "service_rate_hz")) == 2
    plant = synthetic.Plant(synthetic.Truth(handover_s=5.0))
    for number in range(20):
        twin.take(plant.window(number))
        twin.close(number, synthetic.start_ns + (number + 1) * synthetic.window_ns)
        twin.predict(number + 1)
    assert not twin.table.query("*>sat-1") + twin.table.query("sat-1>*")  # the satellite has set
    entry = twin.table.get("field-2>sat-2", "delay_ms")
    assert entry.updates == 21
    assert entry.t_s == pytest.approx(10.0, abs=0.01)
    assert twin.table.get("gateway-site", "snr_bias_up_db").t_s == pytest.approx(10.0, abs=0.01)
