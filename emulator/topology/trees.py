"""Kernels that keep shortest-path trees right while weights move and links come and go.

A tree is, for one destination, the row of the next link of every place; its labels are the delays from
there. Labels are sums along the way from the destination outwards, so they are the same floating-point
numbers however a tree came about. What a caller sees is `emulator.topology.routes`.
"""

from __future__ import annotations

import numpy as np

from emulator.jit import kernel

#: a tree that lost more than this share of its places is made anew: mending would take longer
_LOST_SHARE = 0.25
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
def _relabel(host, towards, weight, tree, label, stack):  # type: ignore[no-untyped-def]
    """Delays along a tree; returns how many places had a next link and have lost their way.

    `towards`, `weight` [n] by row. Places cut off get -1 and infinity.
    """
    places = tree.shape[0]
    lost = 0
    for v in range(places):
        label[v] = -1.0  # not known yet
    label[host] = 0.0
    tree[host] = -1
    for v in range(places):
        depth = 0
        at = v
        while label[at] < 0.0:
            row = tree[at]
            if row < 0:
                label[at] = np.inf
                break
            stack[depth] = at
            depth += 1
            at = towards[row]
        total = label[at]
        while depth > 0:
            depth -= 1
            at = stack[depth]
            total += weight[tree[at]]
            label[at] = total
            if total == np.inf:
                tree[at] = -1
                lost += 1
    return lost


@kernel
def mend(  # type: ignore[no-untyped-def]
    src, dst, out_start, out_rows, in_start, in_rows, given, hosts, tree, label, result
):
    """Bring trees to the weights given, and fill `result` [places, hosts] with the rows of the next links.

    `src`, `dst` [n]; `out_start`, `out_rows` and `in_start`, `in_rows`: rows by the place they leave and
    reach (`by_place`); `given` [n] ns; `tree` [hosts, places] any tree over these rows, or -1: changed, as
    is `label` [hosts, places] ns.
    """
    count, places = given.shape[0], tree.shape[1]
    weight = np.empty(count)
    for row in range(count):
        w = given[row]
        # written so that what is not a number counts as closed
        weight[row] = np.inf if not w < np.inf else max(w, _LEAST_WEIGHT_NS)
    # in the order of the passes, so that these read memory in a line
    out_dst = np.empty(count, dtype=np.int32)
    out_weight = np.empty(count)
    in_src = np.empty(count, dtype=np.int32)
    in_weight = np.empty(count)
    for k in range(count):
        out_dst[k] = dst[out_rows[k]]
        out_weight[k] = weight[out_rows[k]]
        in_src[k] = src[in_rows[k]]
        in_weight[k] = weight[in_rows[k]]
    stack = np.empty(places, dtype=np.int32)
    # one entry a place from the pass, one a link from the mending: each place is settled once
    key = np.empty(places + count + 1)
    node = np.empty(places + count + 1, dtype=np.int32)
    for h in range(hosts.shape[0]):
        host = hosts[h]
        next_row, delay = tree[h], label[h]
        size = 0
        had = 0
        for v in range(places):
            had += next_row[v] >= 0
        lost = _relabel(host, dst, weight, next_row, delay, stack)
        if had == 0 or lost > _LOST_SHARE * had:
            for v in range(places):
                delay[v] = np.inf
                next_row[v] = -1
            delay[host] = 0.0
            size = _push(key, node, size, 0.0, host)
        else:
            for v in range(places):
                if v == host:
                    continue
                best, best_row = delay[v], next_row[v]
                by = dst[best_row] if best_row >= 0 else places
                better = False
                for k in range(out_start[v], out_start[v + 1]):
                    through = out_weight[k] + delay[out_dst[k]]
                    if through < best:
                        best, best_row, by, better = through, out_rows[k], out_dst[k], True
                    elif through == best and through < np.inf:
                        row = out_rows[k]
                        if out_dst[k] < by or (out_dst[k] == by and row < best_row):
                            best_row, by = row, out_dst[k]
                next_row[v] = best_row
                if better:
                    delay[v] = best
                    size = _push(key, node, size, best, v)
        while size > 0:
            here, u = key[0], node[0]
            size = _remove_first(key, node, size)
            if here > delay[u]:
                continue  # a shorter way was found after this entry was made
            for k in range(in_start[u], in_start[u + 1]):
                v = in_src[k]
                through = here + in_weight[k]
                if through < delay[v]:
                    delay[v] = through
                    next_row[v] = in_rows[k]
                    size = _push(key, node, size, through, v)
                elif through == delay[v] and through < np.inf:
                    row = next_row[v]
                    if row >= 0 and (u < dst[row] or (u == dst[row] and in_rows[k] < row)):
                        next_row[v] = in_rows[k]
        for v in range(places):
            result[v, h] = next_row[v]
