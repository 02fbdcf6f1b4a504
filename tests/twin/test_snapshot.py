"""A twin that takes over what another knew goes on as that one would have; what does not fit is refused."""

from __future__ import annotations

import math
import random
from collections import Counter, OrderedDict, defaultdict, deque
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pytest

from nodes.wire import Record
from testbed.twin import freeze, snapshot
from testbed.twin.detect import Alarm
from testbed.twin.filters import Reservoir, ScalarKalman
from testbed.twin.freeze import SnapshotError
from testbed.twin.radio import Phase

WINDOWS = 80
#: of a snapshot, how many places a byte is changed at
DAMAGES = 60


def truth(synthetic: Any) -> Any:
    """Something of everything: a handover, a fade, a slow server, a link down, reports that do not come."""
    return synthetic.Truth(
        handover_s=20.0, missing=0.1,
        fade_db=lambda place, t: 6.0 if place == "gateway-site" and 15.0 < t < 25.0 else 0.0,
        server_factor=lambda name, t: 0.5 if name == "edge-sat" and t > 24.0 else 1.0,
        link_down=lambda link, t: link.startswith("field-2>") and t > 30.0,
    )  # fmt: skip


def said(synthetic: Any, kills: tuple[int, ...] = ()) -> list[Record]:
    """What a twin says in a run, in which another one takes its place after each of the windows `kills`."""
    plant, twin = synthetic.Plant(truth(synthetic)), synthetic.make_twin(40.0, 20.0)
    out = twin.predict(0)
    for number in range(WINDOWS):
        twin.take(plant.window(number))
        now_ns = synthetic.start_ns + (number + 1) * synthetic.window_ns + 100_000_000
        out += twin.close(number, now_ns) + twin.predict(number + 1) + twin.beliefs(now_ns)
        if number in kills:
            data = twin.snapshot()
            twin = synthetic.make_twin(40.0, 20.0)
            assert twin.restore(data) == number
    return out


def test_a_twin_that_was_replaced_says_the_same_to_the_last_bit(synthetic: Any) -> None:
    uninterrupted = said(synthetic)
    kinds = {r.tags["kind"] for r in uninterrupted if r.measurement == "detection"}
    assert kinds >= {"attenuation", "slow_server", "link_down"}
    choose = random.Random(5)
    for _ in range(4):
        kills = tuple(sorted(choose.sample(range(WINDOWS - 1), 3)))
        assert said(synthetic, kills) == uninterrupted, kills


def test_observations_that_were_held_are_kept(synthetic: Any) -> None:
    plant, twin = synthetic.Plant(truth(synthetic)), synthetic.make_twin(40.0, 20.0)
    twin.predict(0)
    twin.take(plant.window(0))
    other = synthetic.make_twin(40.0, 20.0)
    other.restore(twin.snapshot())
    assert other.holds(0) == twin.holds(0) > 10
    ends = synthetic.start_ns + synthetic.window_ns
    assert other.close(0, ends) == twin.close(0, ends)


def test_missed_windows_leave_the_belief_and_widen_its_doubt(synthetic: Any) -> None:
    plant, twin = synthetic.Plant(synthetic.Truth()), synthetic.make_twin(100.0)
    twin.predict(0)
    for number in range(40):
        twin.take(plant.window(number))
        twin.close(number, synthetic.start_ns + (number + 1) * synthetic.window_ns)
        twin.predict(number + 1)
    before = twin.belief(0)
    plant_goes_on = [plant.window(number) for number in range(40, 140)]
    twin.miss(100)
    after = twin.belief(0)
    for values, were in (
        (after.delay_ms, before.delay_ms),
        (after.snr_bias_db, before.snr_bias_db),
        (after.service_factor, before.service_factor),
    ):
        for name, estimate in values.items():
            assert estimate.mean == were[name].mean
            # 60 windows of half a second: the variance grows by 30 s of the state's own wandering
            assert estimate.sd > were[name].sd
    one = after.delay_ms["field-1>sat-1"]
    assert one.sd**2 - before.delay_ms["field-1>sat-1"].sd ** 2 == pytest.approx(30.0 * 0.005**2)
    assert twin.counters["windows_missed"] == 60
    found = twin.predict(100)
    for number in range(100, 140):
        twin.take(plant_goes_on[number - 40])
        found += twin.close(number, synthetic.start_ns + (number + 1) * synthetic.window_ns)
        found += twin.predict(number + 1)
    assert not [record for record in found if record.measurement == "detection"]
    assert [record for record in found if record.measurement == "residual"]


# --- what does not fit ------------------------------------------------------------------------


def test_a_damaged_snapshot_is_refused_and_changes_nothing(synthetic: Any) -> None:
    plant, twin = synthetic.Plant(synthetic.Truth()), synthetic.make_twin(40.0)
    twin.predict(0)
    twin.take(plant.window(0))
    good = twin.snapshot()
    choose = random.Random(1)
    fresh = synthetic.make_twin(40.0)
    untouched = freeze.freeze(fresh)
    for _ in range(DAMAGES):
        bad = bytearray(good)
        bad[choose.randrange(len(bad))] ^= 1 << choose.randrange(8)
        with pytest.raises(SnapshotError):
            fresh.restore(bytes(bad))
    for bad in (b"", b"nothing of the kind", good[:100], good[:-1], good + b"x"):
        with pytest.raises(SnapshotError):
            fresh.restore(bad)
    assert freeze.freeze(fresh) == untouched
    fresh.restore(good)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda s: s.make_twin(41.0), "another network or other settings"),
        (lambda s: s.make_twin(40.0, false_alarms_per_day=1.0), "another network or other settings"),
    ],
)
def test_a_snapshot_of_another_network_is_refused(synthetic: Any, make: Any, sentence: str) -> None:
    data = synthetic.make_twin(40.0).snapshot()
    with pytest.raises(SnapshotError, match=sentence):
        make(synthetic).restore(data)


def test_a_snapshot_of_another_run_or_program_is_refused(
    synthetic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = synthetic.make_twin(40.0)
    data = twin.snapshot()
    twin.begin(synthetic.start_ns + 1)
    with pytest.raises(SnapshotError, match="belongs to another run"):
        twin.restore(data)
    twin.begin(synthetic.start_ns)
    monkeypatch.setattr(snapshot, "program_digest", lambda: "another")
    with pytest.raises(SnapshotError, match="another version of the twin"):
        twin.restore(data)


@pytest.mark.parametrize(
    "name",
    ["os:system", "builtins:eval", "testbed.twin.freeze:random", "testbed.twin.nothing:Twin",
     "testbed.twin.core:Twin.close", "testbed.twin.core:math", "testbed.twin.knowledge:Knowledge"],
)  # fmt: skip
def test_data_that_name_anything_but_a_class_of_the_twin_are_refused(synthetic: Any, name: str) -> None:
    twin = synthetic.make_twin(40.0)
    data = freeze.freeze(twin)
    data["classes"][0] = name
    with pytest.raises(SnapshotError):
        freeze.thaw(data, synthetic.make_twin(40.0))


def test_a_method_that_is_none_of_the_objects_own_is_refused() -> None:
    data = freeze.freeze(ScalarKalman(1.0, 1.0, 1.0))
    for name in ("__init__", "__reduce__", "mean", "missing"):
        data["nodes"][0][2]["process_sd"] = ["m", ["r", 0], name]
        with pytest.raises(SnapshotError):
            freeze.thaw(data, ScalarKalman(0.0, 1.0, 1.0))


# --- what can be kept -------------------------------------------------------------------------


def holder(content: Any) -> ScalarKalman:
    """An object of one of the twin's classes that holds anything."""
    made = ScalarKalman(0.0, 1.0, 1.0)
    made.mean = content
    return made


def through(content: Any, fresh: Any = None) -> Any:
    """`content` written, sent, and read again."""
    data = msgspec.msgpack.decode(msgspec.msgpack.encode(freeze.freeze(holder(content))))
    other = holder(fresh)
    freeze.thaw(data, other)
    return other.mean


@pytest.mark.parametrize(
    "content",
    [
        None, True, -3, 2**200, 0.1, float("inf"), "text", b"bytes", (1, (2.0, "x")), [1, [2], {}],
        {"a": 1, ("b", 2): [3]}, {1, 2, 3}, frozenset({"x", "y"}), Counter({"n": 4}),
        OrderedDict([("z", 1), ("a", 2)]), Phase.FADED, Alarm(-1, 2.0, 3.0, 4.0),
        Record(5, "link", {"link": "a>b"}, {"x": 1.5}, [1.0, 2.0]),
    ],
)  # fmt: skip
def test_plain_values_come_back_equal(content: Any) -> None:
    back = through(content)
    assert back == content
    assert type(back) is type(content)


def test_a_number_that_is_none_comes_back_as_such() -> None:
    assert np.isnan(through(float("nan")))


def test_arrays_and_containers_of_numpy_and_collections_come_back() -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    back = through({"a": array, "b": np.float64(2.5), "c": deque([1, 2], maxlen=2), "d": np.array([])})
    np.testing.assert_array_equal(back["a"], array)
    assert back["a"].dtype == np.int32
    back["a"][0, 0] = 9  # it can be written to
    assert back["b"] == 2.5
    assert type(back["b"]) is np.float64
    assert back["c"].maxlen == 2
    grown = through(defaultdict(list, {"k": [1]}))
    grown["new"].append(2)
    assert grown == {"k": [1], "new": [2]}


def test_sources_of_chance_go_on_where_they_were() -> None:
    numbers, plain = np.random.default_rng(3), random.Random(3)
    numbers.normal()
    plain.random()
    back = through([numbers, plain])
    assert back[0].normal() == numbers.normal()
    assert back[1].random() == plain.random()


def test_a_long_list_of_numbers_comes_back_as_it_was_with_others_among_them_or_not() -> None:
    numbers = [0.1 * k for k in range(50)] + [math.inf, -0.0]
    mixed: list[Any] = [*numbers, 3, True, "text"]
    back = through([numbers, mixed, numbers])
    assert [repr(one) for one in back[0]] == [repr(one) for one in numbers]
    assert [repr(one) for one in back[1]] == [repr(one) for one in mixed]
    assert back[2] is back[0]
    back[0].append(1.0)  # it is a list, to be added to


def test_what_was_shared_is_shared_and_what_refers_to_itself_does() -> None:
    shared = Reservoir(4)
    shared.add(1.0)
    ring: list[Any] = [shared, shared]
    ring.append(ring)
    back = through(ring)
    assert back[0] is back[1]
    assert back[2] is back
    assert back[0].quantile(0.5) == 1.0


class _Outside:
    """Stands for a compiled model: not of the twin's classes."""

    def method(self, offset: float, value: float) -> float:
        return offset + value


def test_what_is_not_the_twins_is_taken_from_the_new_one_in_the_same_place() -> None:
    old, new = _Outside(), _Outside()
    back = through({"model": old, "bound": partial(old.method, 2.0)}, {"model": new})
    assert back["model"] is new
    assert back["bound"].func.__self__ is new
    assert back["bound"](1.0) == 3.0
    with pytest.raises(SnapshotError, match="where this twin has none"):
        through({"model": old}, {})


@pytest.mark.parametrize("content", [iter([1]), (n for n in (1,)), np.array(["text"])])
def test_what_cannot_be_kept_is_named_with_its_place(content: Any) -> None:
    with pytest.raises(SnapshotError, match=r"ScalarKalman\.mean: .*cannot be kept"):
        freeze.freeze(holder(content))
