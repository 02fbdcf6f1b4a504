"""Kernels that keep shortest-path trees right while weights move and links come and go.

A tree is, for one destination, the row of the next link of every place; its labels are the delays from
there. Labels are sums along the way from the destination outwards, so they are the same floating-point
numbers however a tree came about. What a caller sees is `emulator.topology.routes`.
"""

from __future__ import annotations

import numpy as np

from emulator.jit import kernel

#: weights below this, ns, count as this: a way must grow with every link, or equal ways could form a circle
_LEAST_WEIGHT_NS = 1.0


@kernel
def by_place(ends, places):  # type: ignore[no-untyped-def]
    """(start [places + 1], rows [n]): `rows[start[v]:start[v + 1]]` have `ends[row] == v`, rising."""
    start = np.zeros(places + 1, dtype=np.int32)
    for row in range(ends.shape[0]):
        start[ends[row] + 1] += 1
    for v in range(places):
        start[v + 1] += start[v]
    rows = np.empty(ends.shape[0], dtype=np.int32)
    at = start.copy()
    for row in range(ends.shape[0]):
        v = ends[row]
        rows[at[v]] = row
        at[v] += 1
    return start, rows


@kernel
def moved_rows(old_src, old_dst, out_start, out_rows, dst):  # type: ignore[no-untyped-def]
    """[old n] the row that an old row's ends have now, -1 when there is none."""
    moved = np.full(old_src.shape[0], -1, dtype=np.int32)
    for row in range(old_src.shape[0]):
        v = old_src[row]
        for k in range(out_start[v], out_start[v + 1]):
            if dst[out_rows[k]] == old_dst[row]:
                moved[row] = out_rows[k]
                break
    return moved


@kernel
def carry_over(old_tree, moved, tree):  # type: ignore[no-untyped-def]
    """Fill `tree` [hosts, places] with the rows of `old_tree` by their new numbers."""
    for h in range(tree.shape[0]):
        for v in range(tree.shape[1]):
            row = old_tree[h, v]
            tree[h, v] = moved[row] if row >= 0 else -1


@kernel
def _push(key, node, size, new_key, new_node):  # type: ignore[no-untyped-def]
    at = size
    while at > 0:
        parent = (at - 1) // 2
        if key[parent] <= new_key:
            break
        key[at] = key[parent]
        node[at] = node[parent]
        at = parent
    key[at] = new_key
    node[at] = new_node
    return size + 1


@kernel
def _remove_first(key, node, size):  # type: ignore[no-untyped-def]
    size -= 1
    last_key, last_node = key[size], node[size]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and key[child + 1] < key[child]:
            child += 1
        if key[child] >= last_key:
            break
        key[at] = key[child]
        node[at] = node[child]
        at = child
    key[at] = last_key
    node[at] = last_node
    return size


@kernel
def _relabel(host, towards, weight, next_row, delay, stack):  # type: ignore[no-untyped-def]
    """Delays along a tree; places cut off get -1 and infinity. `towards`, `weight` [n] by row."""
    places = next_row.shape[0]
    for v in range(places):
        delay[v] = -1.0  # not known yet
    delay[host] = 0.0
    next_row[host] = -1
    for v in range(places):
        depth = 0
        at = v
        while delay[at] < 0.0:
            row = next_row[at]
            if row < 0:
                delay[at] = np.inf
                break
            stack[depth] = at
            depth += 1
            at = towards[row]
        total = delay[at]
        while depth > 0:
            depth -= 1
            at = stack[depth]
            total += weight[next_row[at]]
            delay[at] = total
            if total == np.inf:
                next_row[at] = -1


@kernel
def _improve(host, dst, out, next_row, delay, queue, queued):  # type: ignore[no-untyped-def]
    """Give every place its best next link by the delays as they are; returns how many were queued.

    Queued are the places whose delay fell: what is behind them may do better too.
    """
    start, rows, ends, weight = out
    count = 0
    for v in range(next_row.shape[0]):
        if v == host:
            continue
        best, best_row = delay[v], next_row[v]
        by = dst[best_row] if best_row >= 0 else -1
        better = False
        for k in range(start[v], start[v + 1]):
            through = weight[k] + delay[ends[k]]
            if through < best:
                best, best_row, by, better = through, rows[k], ends[k], True
            elif (
                through == best < np.inf
                # a weight below the last digit of the sum adds nothing: that way might lead back here
                and delay[ends[k]] < best
                and (ends[k] < by or (ends[k] == by and rows[k] < best_row))
            ):
                best_row, by = rows[k], ends[k]
        next_row[v] = best_row
        if better:
            delay[v] = best
            queue[count] = v
            queued[v] = True
            count += 1
    return count


@kernel
def mend(  # type: ignore[no-untyped-def]
    src, dst, out_start, out_rows, in_start, in_rows, given, hosts, patience, tree, label
):
    """Bring trees to the weights given.

    `src`, `dst` [n]; `out_start`, `out_rows` and `in_start`, `in_rows`: rows by the place they leave and
    reach (`by_place`); `given` [n] ns; `tree` [hosts, places] any tree over these rows, or -1: changed, as
    is `label` [hosts, places] ns.

    Places whose delay fell pass it on first come, first served (Moore 1959), which is several times faster
    than in order of delay where links are of like length. That may take long on other nets: after
    `patience` turns a place, what is left is done in order of delay (Dijkstra 1959).
    """
    count, places = given.shape[0], tree.shape[1]
    weight = np.empty(count)
    for row in range(count):
        w = given[row]
        # written so that what is not a number counts as closed
        weight[row] = np.inf if not w < np.inf else max(w, _LEAST_WEIGHT_NS)
    # in the order of the passes, so that these read memory in a line
    out = out_start, out_rows, dst[out_rows], weight[out_rows]
    in_src, in_weight = src[in_rows], weight[in_rows]
    queue = np.empty(places, dtype=np.int32)
    queued = np.zeros(places, dtype=np.bool_)
    # one entry for each that is queued, then one a link at most: in order of delay a place is settled once
    key = np.empty(places + count + 1)
    node = np.empty(places + count + 1, dtype=np.int32)
    for h in range(hosts.shape[0]):
        next_row, delay = tree[h], label[h]
        _relabel(hosts[h], dst, weight, next_row, delay, queue)
        waiting = _improve(hosts[h], dst, out, next_row, delay, queue, queued)
        head, turns, size = 0, patience * places, 0
        in_order = False
        while True:
            if not in_order and turns == 0:
                in_order = True
                while waiting > 0:
                    u = queue[head]
                    head = head + 1 if head + 1 < places else 0
                    waiting -= 1
                    queued[u] = False
                    size = _push(key, node, size, delay[u], u)
            if in_order:
                if size == 0:
                    break
                here, u = key[0], node[0]
                size = _remove_first(key, node, size)
                if here > delay[u]:
                    continue  # a shorter way was found after this entry was made
            else:
                if waiting == 0:
                    break
                turns -= 1
                u = queue[head]
                head = head + 1 if head + 1 < places else 0
                waiting -= 1
                queued[u] = False
                here = delay[u]
            for k in range(in_start[u], in_start[u + 1]):
                v = in_src[k]
                through = here + in_weight[k]
                if through < delay[v]:
                    delay[v] = through
                    next_row[v] = in_rows[k]
                    if in_order:
                        size = _push(key, node, size, through, v)
                    elif not queued[v]:
                        at = head + waiting
                        queue[at if at < places else at - places] = v
                        queued[v] = True
                        waiting += 1
                elif through == delay[v] and here < through < np.inf:
                    row = next_row[v]
                    # of links side by side the first was taken already: rows come in rising order
                    if row >= 0 and u < dst[row]:
                        next_row[v] = in_rows[k]
