"""Next hops: against scipy's shortest paths, the same with and without a history, and the ways themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from emulator.errors import WorldError
from emulator.topology.routes import Routes, check_size


def _random_links(places: int, links: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(11)
    ends = np.unique(generator.integers(0, places, (links, 2)), axis=0)
    ends = ends[ends[:, 0] != ends[:, 1]].astype(np.int32)
    return ends[:, 0].copy(), ends[:, 1].copy(), generator.uniform(1.0, 100.0, len(ends))


def _walk(start: int, host: int, column: int, hops: np.ndarray, dst: np.ndarray, weight: np.ndarray) -> float:
    at, total = start, 0.0
    for _ in range(len(hops)):
        if at == host:
            return total
        row = hops[at, column]
        if row < 0:
            return np.inf
        total += weight[row]
        at = dst[row]
    raise AssertionError("the route runs in a circle")


def test_every_route_is_as_short_as_scipy_finds() -> None:
    places = 60
    src, dst, weight = _random_links(places, 150)
    hosts = np.array([0, 7, 33], dtype=np.int32)
    hops = Routes(src, dst, hosts, places).next_hops(weight)
    graph = coo_matrix((weight, (dst, src)), shape=(places, places)).tocsr()
    expected = dijkstra(graph, indices=hosts)
    for column, host in enumerate(hosts):
        for start in range(places):
            found = _walk(start, int(host), column, hops, dst, weight)
            assert np.isclose(found, expected[column, start]) or found == expected[column, start] == np.inf


def test_links_of_infinite_weight_are_not_used() -> None:
    src = np.array([0, 1, 0], dtype=np.int32)
    dst = np.array([1, 2, 2], dtype=np.int32)
    hosts = np.array([2], dtype=np.int32)
    routes = Routes(src, dst, hosts, 3)
    assert routes.next_hops(np.array([1.0, 1.0, 5.0])).tolist() == [[0], [1], [-1]]
    assert routes.next_hops(np.array([1.0, np.inf, 5.0])).tolist() == [[2], [-1], [-1]]


def test_equal_ways_are_settled_the_same_every_time() -> None:
    src = np.array([0, 0, 1, 2], dtype=np.int32)
    dst = np.array([2, 1, 3, 3], dtype=np.int32)
    routes = Routes(src, dst, np.array([3], dtype=np.int32), 4)
    # by place 1 or by place 2 alike: the lower place is settled first
    assert routes.next_hops(np.ones(4))[0, 0] == 1


def test_without_links_nobody_gets_anywhere() -> None:
    none = np.zeros(0, dtype=np.int32)
    hops = Routes(none, none, np.array([1], dtype=np.int32), 3).next_hops(np.zeros(0))
    assert hops.tolist() == [[-1], [-1], [-1]]


def _chain() -> Routes:
    """0 - 1 - 2 - 3, both ways."""
    ends = [(0, 1), (1, 2), (2, 3), (1, 0), (2, 1), (3, 2)]
    src, dst = np.array(ends, dtype=np.int32).T
    return Routes(src, dst, np.array([3], dtype=np.int32), 4)


def test_a_way_is_told_as_places_and_delay() -> None:
    routes = _chain()
    routes.next_hops(np.array([10.0, 20.0, 30.0, 1.0, 1.0, 1.0]))
    assert routes.path(0, 3) == ([0, 1, 2, 3], 60.0)
    assert routes.path(3, 3) == ([3], 0.0)
    assert routes.delays_ns()[:, 0].tolist() == [60.0, 50.0, 30.0, 0.0]


def test_where_no_way_leads_the_delay_is_infinite() -> None:
    routes = _chain()
    routes.next_hops(np.array([10.0, np.inf, 30.0, 1.0, 1.0, 1.0]))
    assert routes.path(0, 3) == ([], np.inf)
    assert routes.delays_ns()[:, 0].tolist() == [np.inf, np.inf, 30.0, 0.0]


def test_a_weight_that_is_no_number_closes_the_link() -> None:
    hops = _chain().next_hops(np.array([10.0, np.nan, 30.0, 1.0, 1.0, 1.0]))
    assert hops[:, 0].tolist() == [-1, -1, 2, -1]


def test_links_without_delay_make_no_circle() -> None:
    src = np.array([0, 1, 0, 1], dtype=np.int32)
    dst = np.array([1, 0, 2, 2], dtype=np.int32)
    hops = Routes(src, dst, np.array([2], dtype=np.int32), 3).next_hops(np.zeros(4))
    assert hops[:, 0].tolist() == [2, 3, -1]


def test_weights_that_vanish_beside_others_make_no_circle() -> None:
    ends = [(0, 1), (1, 0), (1, 2), (2, 1), (2, 3)]
    src, dst = np.array(ends, dtype=np.int32).T
    weight = np.array([1.0, 1.0, 1.0, 1.0, 1e17])
    routes = Routes(src, dst, np.array([3], dtype=np.int32), 4)
    for _ in range(2):
        assert routes.next_hops(weight)[:, 0].tolist() == [0, 2, 4, -1]
    assert routes.path(0, 3)[0] == [0, 1, 2, 3]


def test_of_links_side_by_side_the_shortest_and_of_equal_ones_the_first_is_taken() -> None:
    src, dst = np.array([[0, 1], [0, 1], [0, 1]], dtype=np.int32).T
    routes = Routes(src, dst, np.array([1], dtype=np.int32), 2)
    assert routes.next_hops(np.array([3.0, 2.0, 2.0]))[0, 0] == 1
    assert routes.next_hops(np.array([2.0, 2.0, 2.0]))[0, 0] == 0
    assert routes.next_hops(np.array([2.0, 2.0, 1.0]))[0, 0] == 2


def test_a_table_that_is_too_large_is_refused_before_it_is_made() -> None:
    none = np.zeros(0, dtype=np.int32)
    with pytest.raises(WorldError, match=r"10000 destinations in a world of 11584 .* allowed: 50000000"):
        Routes(none, none, np.arange(10_000, dtype=np.int32), 11_584)
    check_size(42_000, 1000)


def test_what_does_not_fit_is_said_in_a_sentence() -> None:
    one = np.array([0], dtype=np.int32)
    with pytest.raises(WorldError, match="a host names place 7, allowed: 0 to 2"):
        Routes(one, one, np.array([7], dtype=np.int32), 3)
    with pytest.raises(WorldError, match="a link names place -1, allowed: 0 to 2"):
        Routes(np.array([-1], dtype=np.int32), one, one, 3)
    with pytest.raises(WorldError, match="3 weights are given for 6 links"):
        _chain().next_hops(np.zeros(3))
    with pytest.raises(WorldError, match=r"place 1 is no destination, allowed: \[3\]"):
        _chain().path(0, 1)
    with pytest.raises(WorldError, match="there is no place 4, allowed: 0 to 3"):
        _chain().path(4, 3)


@st.composite
def _histories(
    draw: st.DrawFn,
) -> tuple[int, list[int], list[tuple[list[tuple[int, int]], list[list[float]]]]]:
    """Places, hosts, and sets of links, each with several weights: few values, so that ties abound."""
    places = draw(st.integers(2, 9))
    place = st.integers(0, places - 1)
    hosts = draw(st.lists(place, min_size=1, max_size=3, unique=True))
    link = st.tuples(place, place).filter(lambda ends: ends[0] != ends[1])
    weight = st.sampled_from([1.0, 1.0, 2.0, 3.0, 0.1, np.inf])
    sets = []
    for _ in range(draw(st.integers(1, 4))):
        links = draw(st.lists(link, max_size=30))
        given = st.lists(weight, min_size=len(links), max_size=len(links))
        sets.append((links, draw(st.lists(given, min_size=1, max_size=3))))
    return places, hosts, sets


@settings(max_examples=300, deadline=None)
@given(_histories())
def test_routes_do_not_depend_on_what_was_asked_before(
    history: tuple[int, list[int], list[tuple[list[tuple[int, int]], list[list[float]]]]],
) -> None:
    places, hosts, sets = history
    towards = np.array(hosts, dtype=np.int32)
    kept: Routes | None = None
    for links, weights in sets:
        ends = np.array(links, dtype=np.int32).reshape(-1, 2)
        src, dst = ends[:, 0].copy(), ends[:, 1].copy()
        kept = Routes(src, dst, towards, places, before=kept)
        for given_now in weights:
            weight = np.array(given_now)
            fresh = Routes(src, dst, towards, places)
            assert np.array_equal(kept.next_hops(weight), fresh.next_hops(weight))
            assert np.array_equal(kept.delays_ns(), fresh.delays_ns())


@pytest.mark.parametrize("patience", [0, 1])
def test_out_of_patience_routes_are_the_same(patience: int, monkeypatch: pytest.MonkeyPatch) -> None:
    places = 200
    src, dst, weight = _random_links(places, 900)
    hosts = np.array([3, 150], dtype=np.int32)
    expected = Routes(src, dst, hosts, places)
    hops = expected.next_hops(weight)
    monkeypatch.setattr("emulator.topology.routes._PATIENCE", patience)
    routes = Routes(src, dst, hosts, places)
    routes.next_hops(weight[::-1])
    assert np.array_equal(routes.next_hops(weight), hops)
    assert np.array_equal(routes.delays_ns(), expected.delays_ns())


def test_a_large_net_that_drifts_keeps_its_shortest_ways() -> None:
    generator = np.random.default_rng(5)
    side = 30
    index = np.arange(side * side).reshape(side, side)
    pairs = np.concatenate(
        [
            np.stack([index.ravel(), np.roll(index, 1, axis=0).ravel()], axis=1),
            np.stack([index.ravel(), np.roll(index, 1, axis=1).ravel()], axis=1),
        ]
    )
    hosts = np.array([0, 17, 444], dtype=np.int32)
    length = generator.uniform(50.0, 150.0, len(pairs))
    routes: Routes | None = None
    for _ in range(6):
        there = generator.random(len(pairs)) > 0.05
        length = length + generator.uniform(-5.0, 5.0, len(pairs))
        ends = np.concatenate([pairs[there], pairs[there][:, ::-1]]).astype(np.int32)
        weight = np.concatenate([length[there], length[there]])
        routes = Routes(ends[:, 0], ends[:, 1], hosts, side * side, before=routes)
        routes.next_hops(weight)
        graph = coo_matrix((weight, (ends[:, 1], ends[:, 0])), shape=(side * side, side * side)).tocsr()
        np.testing.assert_allclose(routes.delays_ns().T, dijkstra(graph, indices=hosts), rtol=1e-12)
