"""CoDel: drops exactly what the reference algorithm of RFC 8289 drops, and leaves a queue near its target."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from emulator.errors import WorldError
from emulator.jit import packet_kernel
from emulator.links.codel import CoDel, DropTail, waited_too_long
from tests.emulator.links.single import MS, links, model, packets

#: bytes below which the reference does not drop, for links without an MTU of their own
MTU = 1500
TARGET_NS, INTERVAL_NS = 5 * MS, 100 * MS


class Reference:
    """The algorithm of RFC 8289, sections 5.5 and 5.6, on a queue of its own."""

    def __init__(self, mtu: int = MTU) -> None:
        self.queue: deque[tuple[int, int, int]] = deque()  # number, arrival, size
        self.held = 0
        self.mtu = mtu
        self.dropped: list[int] = []
        self.above_since = 0
        self.next_drop = 0
        self.count = self.last_count = 0
        self.dropping = False

    def put(self, number: int, now: int, size: int) -> None:
        self.queue.append((number, now, size))
        self.held += size

    def _head(self, now: int) -> tuple[tuple[int, int, int] | None, bool]:
        if not self.queue:
            self.above_since = 0
            return None, False
        head = self.queue.popleft()
        self.held -= head[2]
        may_drop = False
        if now - head[1] < TARGET_NS or self.held <= self.mtu:
            self.above_since = 0
        elif self.above_since == 0:
            self.above_since = now + INTERVAL_NS
        elif now >= self.above_since:
            may_drop = True
        return head, may_drop

    def _law(self, time: int) -> int:
        return time + int(INTERVAL_NS / math.sqrt(self.count))

    def _drop(self, head: tuple[int, int, int] | None) -> None:
        assert head is not None
        self.dropped.append(head[0])

    def get(self, now: int) -> int:
        """Number of the packet that goes out, -1 for none."""
        head, may_drop = self._head(now)
        if self.dropping:
            self.dropping = may_drop
            while self.dropping and now >= self.next_drop:
                self._drop(head)
                self.count += 1
                head, may_drop = self._head(now)
                if may_drop:
                    self.next_drop = self._law(self.next_drop)
                else:
                    self.dropping = False
        elif may_drop:
            self._drop(head)
            head, _ = self._head(now)
            self.dropping = True
            delta = self.count - self.last_count
            self.count = delta if delta > 1 and now - self.next_drop < 16 * INTERVAL_NS else 1
            self.next_drop = self._law(now)
            self.last_count = self.count
        return -1 if head is None else head[0]


@packet_kernel
def too_long(models: Any, rows: Any, held: Any, number: int, now_ns: int) -> bool:
    return waited_too_long(models[0], rows[0], held[number], now_ns)


def compare(arrivals: Any, sizes: Any, services: Any, mtu: int = 0) -> Reference:
    """Run both through the same arrivals and service times; they must agree at every step."""
    reference = Reference(mtu or MTU)
    models, rows = model(queue=CoDel(), mtu_bytes=mtu), links()
    held = packets(len(arrivals), length=sizes, in_ns=arrivals)
    waiting: deque[int] = deque()
    dropped: list[int] = []
    now, entered, step = 1, 0, 0
    while entered < len(arrivals) or waiting:
        if not waiting:
            now = max(now, int(arrivals[entered]))
        while entered < len(arrivals) and arrivals[entered] <= now:
            reference.put(entered, int(arrivals[entered]), int(sizes[entered]))
            waiting.append(entered)
            rows[0]["bytes"] += sizes[entered]
            entered += 1
        sent = -1
        while waiting and sent < 0:
            head = waiting.popleft()
            drop = too_long(models, rows, held, head, now)
            rows[0]["bytes"] -= sizes[head]
            if drop:
                dropped.append(head)
            else:
                sent = head
        assert sent == reference.get(now)
        assert dropped == reference.dropped
        assert rows[0]["codel_next_ns"][0] == reference.next_drop
        assert rows[0]["codel_count"][0] == reference.count
        assert rows[0]["codel_above_ns"][0] == reference.above_since
        now += int(services[step % len(services)])
        step += 1
    return reference


def test_a_long_overload_is_treated_as_by_the_reference() -> None:
    # chosen once: overloads with idle times shorter and longer than 16 intervals, so that the count of
    # drops restarts both ways
    random = np.random.default_rng(20261120)
    gaps = np.concatenate(
        [
            random.exponential(0.8 * MS, 4000),
            random.exponential(3 * MS, 1000),
            random.exponential(0.7 * MS, 3000),
            [900 * MS],
            random.exponential(0.8 * MS, 3000),
            [3000 * MS],
            random.exponential(0.8 * MS, 3000),
        ]
    )
    arrivals = np.cumsum(gaps).astype(np.int64) + 1
    sizes = random.integers(60, 1500, len(arrivals))
    reference = compare(arrivals, sizes, random.integers(MS // 2, 3 * MS // 2, 997))
    assert len(reference.dropped) > 100


@tried(deadline=None)
@given(st.data())
def test_every_load_is_treated_as_by_the_reference(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 120))
    gaps = data.draw(st.lists(st.integers(0, 30 * MS), min_size=count, max_size=count))
    sizes = data.draw(st.lists(st.integers(40, 1500), min_size=count, max_size=count))
    services = data.draw(st.lists(st.integers(1, 120 * MS), min_size=1, max_size=10))
    mtu = data.draw(st.sampled_from([0, 200, 1500, 9000]))
    compare(np.cumsum(gaps) + 1, np.array(sizes), services, mtu)


def test_a_queue_that_stands_is_brought_to_its_target() -> None:
    # 10 % more comes than leaves; drops come closer until the wait is about the target
    random = np.random.default_rng(20261120)
    arrivals = np.cumsum(random.exponential(0.9 * MS, 30_000)).astype(np.int64) + 1
    reference = compare(arrivals, np.full(30_000, 1500), [MS])
    waits = [number for number in reference.dropped if number > 25_000]
    assert 0.05 * 5000 < len(waits) < 0.15 * 5000


def test_nothing_is_dropped_while_less_than_a_packet_is_left() -> None:
    held = packets(1, in_ns=1)
    rows = links(bytes=1000 + MTU, codel_above_ns=1)
    assert not too_long(model(queue=CoDel()), rows, held, 0, 10_000 * MS)
    rows = links(bytes=1001 + MTU, codel_above_ns=1)
    assert too_long(model(queue=CoDel()), rows, held, 0, 10_000 * MS)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (CoDel(target_ms=0.0), "queue.target_ms is 0, allowed: 1e-06 to 1e+09 ms"),
        (CoDel(interval_ms=math.inf), "queue.interval_ms is inf, allowed: 1e-06 to 1e+09 ms"),
    ],
)
def test_what_no_queue_can_have_gets_a_sentence(settings: CoDel, sentence: str) -> None:
    with pytest.raises(WorldError) as error:
        settings.check("queue.")
    assert str(error.value) == sentence


def test_drop_tail_has_nothing_to_be_wrong() -> None:
    DropTail().check("queue.")
    assert DropTail.kind == "drop-tail"
