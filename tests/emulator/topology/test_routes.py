"""Next hops: against scipy's shortest paths, and that links to avoid are avoided."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from emulator.topology.routes import Routes


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
