"""Next hops towards every destination: least delay over the links that are up, kept from epoch to epoch.

For every destination a tree of shortest ways is held. When weights move or links come and go, the delays
along the old tree are upper bounds; links that offer less are found in one pass, and what hangs on them is
mended until no link offers less. The result is exact: delays are the optimum, and of equally short ways
the one over the place of lowest index is taken (then the row of lowest index), whatever was asked before.
So a table has one set of routes, with or without a history.

Nothing here knows what a place is. The compiled parts are in `emulator.topology.trees`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.topology.trees import by_place, carry_over, mend, moved_rows

#: turns a place has on average before the slower, surer way is taken; a plus grid from scratch needs five
_PATIENCE = 16
#: entries of a table of routes, places times hosts: 16 bytes each here, and more where they are obeyed
MOST_ROUTES = 50_000_000


def check_size(places: int, hosts: int) -> None:
    """Raises `WorldError` when a table of routes from `places` to `hosts` would not be one to keep."""
    if places * hosts > MOST_ROUTES:
        raise WorldError(
            f"routes: {hosts} destinations in a world of {places} places and satellites are "
            f"{places * hosts} routes, allowed: {MOST_ROUTES} (fewer places, or fewer satellites)"
        )


class Routes:
    """Routes over one set of links; made anew when the set changes, asked at every epoch.

    `src`, `dst` [n]: ends of each link (row), as place indices; `hosts` [k]: destinations; `places`: how
    many there are; `before`: the routes over the set of links before, whose trees are taken over. Raises
    `WorldError` for links and hosts that name no place, and for more than `MOST_ROUTES` entries.
    """

    def __init__(
        self,
        src: NDArray[np.int32],
        dst: NDArray[np.int32],
        hosts: NDArray[np.int32],
        places: int,
        before: Routes | None = None,
    ) -> None:
        check_size(places, len(hosts))
        for what, index in (("link", src), ("link", dst), ("host", hosts)):
            if len(index) and not 0 <= index.min() <= index.max() < places:
                wrong = index.min() if index.min() < 0 else index.max()
                raise WorldError(f"routes: a {what} names place {wrong}, allowed: 0 to {places - 1}")
        self._src = np.ascontiguousarray(src, dtype=np.int32)
        self._dst = np.ascontiguousarray(dst, dtype=np.int32)
        self._hosts = np.ascontiguousarray(hosts, dtype=np.int32)
        self._places = places
        #: rows by the place they leave, and by the place they reach
        self._out_start, self._out_rows = by_place(self._src, places)
        self._in_start, self._in_rows = by_place(self._dst, places)
        shape = (len(self._hosts), places)
        #: row of the next link by host and place, and the delay from there; -1 and infinite: no way
        self._tree: NDArray[np.int32] = np.full(shape, -1, dtype=np.int32)
        self._label: NDArray[np.float64] = np.full(shape, np.inf)
        if before is not None and before._tree.shape == shape and np.array_equal(before._hosts, hosts):
            moved = moved_rows(before._src, before._dst, self._out_start, self._out_rows, self._dst)
            carry_over(before._tree, moved, self._tree)

    def next_hops(self, weight: NDArray[np.float64]) -> NDArray[np.int32]:
        """[places, hosts] row of the next link, -1 for none or already there.

        `weight` [n] ns: infinite for links not to use; less than 1 ns counts as 1 ns. Every place that
        has a way to a host has its next link, so that packets under way when routes change go on.
        """
        if len(weight) != len(self._src):
            raise WorldError(f"routes: {len(weight)} weights are given for {len(self._src)} links")
        mend(
            self._src,
            self._dst,
            self._out_start,
            self._out_rows,
            self._in_start,
            self._in_rows,
            np.ascontiguousarray(weight, dtype=np.float64),
            self._hosts,
            _PATIENCE,
            self._tree,
            self._label,
        )
        return self._tree.T.copy(order="C")

    def delays_ns(self) -> NDArray[np.float64]:
        """[places, hosts] sum of the weights on the way to each host at the last `next_hops`; inf: no way."""
        return self._label.T.copy(order="C")

    def path(self, place: int, host: int) -> tuple[list[int], float]:
        """The places on the way from `place` to `host` (a place index), both included, and its delay in ns.

        An empty list and infinity when there is no way, as before the first `next_hops`. Raises
        `WorldError` when `host` is not among the hosts or there is no such place.
        """
        column = np.flatnonzero(self._hosts == host)
        if len(column) == 0:
            raise WorldError(f"routes: place {host} is no destination, allowed: {self._hosts.tolist()}")
        if not 0 <= place < self._places:
            raise WorldError(f"routes: there is no place {place}, allowed: 0 to {self._places - 1}")
        tree, label = self._tree[column[0]], self._label[column[0]]
        if not np.isfinite(label[place]):
            return [], float("inf")
        way = [place]
        while way[-1] != host:
            way.append(int(self._dst[tree[way[-1]]]))
        return way, float(label[place])
