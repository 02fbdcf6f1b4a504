"""Compiles every kernel once, telling what it is at: `python -m emulator.warm`.

Each step is a small real use of a part of the emulator; afterwards the kernels are in numba's cache.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable


def _world() -> None:
    from emulator.spec import (
        AccessSpec,
        CircularShell,
        ConstellationSpec,
        FixedLink,
        OverRegion,
        Place,
        RadioSpec,
        WorldSpec,
    )
    from emulator.table import Adjustments
    from emulator.world import World

    places = (
        Place("a", "ground", 47.0, 10.0, radio="r", access="terminal"),
        Place("g", "ground", 48.0, 11.0, radio="r", access="gateway"),
        Place("b", "ground", 48.1, 11.1),
    )
    radio = RadioSpec("r", weather=False)
    region = ConstellationSpec(over_region=OverRegion(47.0, 10.0, 1000.0, 1000.0))
    shell = ConstellationSpec(shells=(CircularShell(1000.0, 60.0, 24, 4, 1),), isl="plus-grid")
    for constellation in (region, shell):
        spec = WorldSpec(
            "2025-06-01T12:00:00Z", 60.0, 0.1, places, constellation, (radio,), (FixedLink("g", "b"),),
            AccessSpec(decision_interval_s=1.0),
        )  # fmt: skip
        world = World(spec, Adjustments())
        for step in range(3):
            world.epoch(step * 0.5)


def _network() -> None:
    import numpy as np

    from emulator.layout import make_network
    from emulator.simulate import ARRIVAL, simulate

    net = make_network(2, 2, 3)
    arrivals = np.zeros(1, ARRIVAL)
    arrivals["port"] = 1
    simulate(net, arrivals, [], 10)


def _data_plane() -> None:
    import numpy as np

    from emulator.dataplane.channel import Channel
    from emulator.dataplane.loop import fill_idle_time
    from emulator.layout import make_network

    with Channel(make_network(2, 2, 3), realtime=False):
        pass
    # The loop that keeps a core awake ends at once when it is told to stop beforehand.
    fill_idle_time(np.ones(16, np.int64))


STEPS: dict[str, Callable[[], None]] = {
    "orbits, geometry and radio": _world,
    "network": _network,
    "data plane": _data_plane,
}


def main() -> int:
    """Run the steps, a line for each."""
    from emulator.cache import mark_warm

    for name, step in STEPS.items():
        began = time.perf_counter()
        step()
        print(f"{name}: {time.perf_counter() - began:.1f} s", flush=True)
    mark_warm()
    return 0


if __name__ == "__main__":
    sys.exit(main())
