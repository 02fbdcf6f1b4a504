"""Next hops towards every destination: least delay over the links that are up.

Dijkstra's algorithm backwards from each destination, with a binary heap. Equal delays go to the place
of lower index, so that the same table always gives the same routes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulator.jit import kernel


@kernel
def next_hops(start, rows, source, weight, hosts, places, result):  # type: ignore[no-untyped-def]
    """Fill `result` [places, hosts] with the row of the first link from each place towards each host.

    `rows[start[v]:start[v + 1]]`: the links that end at place v; `source`, `weight` [n] of each link, the
    weight infinite when it may not be used. -1: no way, or already there.
    """
    links = source.shape[0]
    distance = np.empty(places, dtype=np.float64)
    heap_key = np.empty(links + 2, dtype=np.float64)
    heap_node = np.empty(links + 2, dtype=np.int32)
    for h in range(hosts.shape[0]):
        for v in range(places):
            distance[v] = np.inf
            result[v, h] = -1
        distance[hosts[h]] = 0.0
        heap_key[0] = 0.0
        heap_node[0] = hosts[h]
        size = 1
        while size > 0:
            key = heap_key[0]
            node = heap_node[0]
            size -= 1
            # sift the last entry down from the root
            k, n = heap_key[size], heap_node[size]
            at = 0
            while True:
                child = 2 * at + 1
                if child >= size:
                    break
                right = child + 1
                if right < size and (
                    heap_key[right] < heap_key[child]
                    or (heap_key[right] == heap_key[child] and heap_node[right] < heap_node[child])
                ):
                    child = right
                if heap_key[child] < k or (heap_key[child] == k and heap_node[child] < n):
                    heap_key[at] = heap_key[child]
                    heap_node[at] = heap_node[child]
                    at = child
                else:
                    break
            heap_key[at] = k
            heap_node[at] = n
            if key > distance[node]:
                continue  # a shorter way was found after this entry was made
            for e in range(start[node], start[node + 1]):
                row = rows[e]
                through = key + weight[row]
                other = source[row]
                if through < distance[other]:
                    distance[other] = through
                    result[other, h] = row
                    at = size
                    size += 1
                    while at > 0:
                        parent = (at - 1) // 2
                        if heap_key[parent] > through or (
                            heap_key[parent] == through and heap_node[parent] > other
                        ):
                            heap_key[at] = heap_key[parent]
                            heap_node[at] = heap_node[parent]
                            at = parent
                        else:
                            break
                    heap_key[at] = through
                    heap_node[at] = other


class Routes:
    """Routes over one set of links; made anew when the set changes, asked at every epoch."""

    def __init__(
        self, src: NDArray[np.int32], dst: NDArray[np.int32], hosts: NDArray[np.int32], places: int
    ) -> None:
        self._source = src
        self._hosts = hosts
        self._places = places
        self._rows = np.argsort(dst, kind="stable").astype(np.int32)
        self._start = np.searchsorted(dst[self._rows], np.arange(places + 1)).astype(np.int32)

    def next_hops(self, weight: NDArray[np.float64]) -> NDArray[np.int32]:
        """[places, hosts] row of the next link, -1 for none. `weight` [n]: infinite for links not to use."""
        result = np.empty((self._places, len(self._hosts)), dtype=np.int32)
        next_hops(self._start, self._rows, self._source, weight, self._hosts, self._places, result)
        return result
