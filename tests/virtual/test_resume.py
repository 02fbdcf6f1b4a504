"""A twin of a scenario, with all its parts, that is replaced by another goes on as it would have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nodes.wire import Record
from testbed.scenario import Scenario
from testbed.twin.core import Twin
from testbed.twin.knowledge import Knowledge
from testbed.virtual.loop import run


class Replaced:
    """A twin that another one takes the place of after some windows."""

    def __init__(self, known: Knowledge, after: tuple[int, ...]) -> None:
        self._known, self._after = known, after
        self.twin = Twin(known)
        self._start_ns = 0

    def begin(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self.twin.begin(start_ns)

    def predict(self, window: int) -> list[Record]:
        said = self.twin.predict(window)
        if window - 1 in self._after:
            data = self.twin.snapshot()
            self.twin = Twin(self._known)
            self.twin.begin(self._start_ns)
            assert self.twin.restore(data) == window - 1
        return said

    def __getattr__(self, name: str) -> Any:
        return getattr(self.twin, name)


@pytest.mark.parametrize("after", [(5,), (11, 17)])
def test_a_twin_with_all_its_parts_says_the_same_when_it_is_replaced(
    make: Callable[..., Scenario], after: tuple[int, ...]
) -> None:
    happens = [
        {"kind": "rain", "target": "gateway-site", "attenuation_db": 8.0},
        {"kind": "slow_server", "target": "edge-1", "factor": 0.5},
    ]
    scenario = make(*happens, duration_s=12.0)
    said = [
        run(scenario, twin_factory=lambda known, kills=kills: Replaced(known, kills)).said  # type: ignore[misc]
        for kills in ((), after)
    ]
    assert len(said[0]) > 500
    assert said[0] == said[1]
