"""Compiles every kernel once, telling what it is at: `python -m emulator.warm`.

Each step is a small real use of a part of the emulator, in all the types that its callers hand over;
afterwards the kernels are in numba's cache. Nothing is looked up or downloaded, no package is needed that
a run does not need.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable

START_UTC = "2025-06-01T12:00:00Z"


def _contact_windows() -> None:
    import numpy as np

    from emulator.constellation import Constellation, Site
    from emulator.spec import Geostationary, Place, Waypoint

    # one satellite for each way through SGP4: near the Earth, deep space with and without resonance
    low = Constellation.walker(1000.0, 60.0, 6, 2, 1, start_utc=START_UTC, name="low")
    middle = Constellation.walker(20_180.0, 55.0, 3, 3, start_utc=START_UTC, name="middle")
    medium = Constellation.walker(8_000.0, 5.0, 2, 1, start_utc=START_UTC, name="medium")
    high = Constellation.geostationary(Geostationary("high", 10.0), start_utc=START_UTC)
    all_of_them = Constellation.combined(low, middle, medium, high)
    all_of_them.positions(0.0)
    all_of_them.positions(np.array([0.0, 10.0]))
    all_of_them.velocities(np.array([0.0, 10.0]))
    all_of_them.geodetic(0.0)
    ship = Place(
        "ship", "ship", 47.0, 10.0, waypoints=(Waypoint(0.0, 47.0, 10.0), Waypoint(600.0, 47.0, 10.1))
    )
    for place in (Site(47.0, 10.0), ship):
        all_of_them.look(place, 5.0)
        all_of_them.passes(place, 0.0, 600.0)


def _orbits() -> None:
    import numpy as np

    from emulator.orbits.frames import RunClock
    from emulator.orbits.sgp4 import Propagator
    from emulator.satellites import satellites_of
    from emulator.spec import CircularShell, ConstellationSpec, Geostationary

    clock = RunClock(START_UTC)
    spec = ConstellationSpec(
        shells=(CircularShell(550.0, 53.0, 2, 1),), geostationary=(Geostationary("high", 10.0),)
    )
    propagator = Propagator([record for _, record in satellites_of(spec, clock)[0]])
    day, fraction = clock.julian(0.0)
    propagator.states(np.full(2, day), np.array([fraction, fraction + 0.01]))
    propagator.positions(day, fraction)


def _worlds() -> None:
    from dataclasses import replace

    from emulator.spec import (
        AccessSpec,
        Antenna,
        CircularShell,
        ConstellationSpec,
        FixedLink,
        Geostationary,
        OverRegion,
        Place,
        RadioSpec,
        Waypoint,
        WorldSpec,
    )
    from emulator.table import Adjustments
    from emulator.world import World

    track = (Waypoint(0.0, 47.2, 10.0, 1e3), Waypoint(60.0, 47.2, 10.1, 1e3))
    places = (
        Place("a", "ground", 47.0, 10.0, radio="r", access="terminal"),
        Place("s", "aerial", 47.2, 10.0, 1e3, radio="r", access="station", waypoints=track),
        Place("g", "ground", 48.0, 11.0, radio="r", access="gateway"),
        Place("b", "ground", 48.1, 11.1),
        Place("c", "ground", 48.1, 11.2),
    )
    links = (FixedLink("g", "b"), FixedLink("s", "b"), FixedLink("b", "c", radio="r"))
    plain = RadioSpec("r", weather=False)
    radio = replace(
        plain,
        environment="urban",
        interference=True,
        place_antenna=Antenna("phased-array", diameter_m=0.5),
    )
    region = OverRegion(47.0, 10.0, 1000.0, 1000.0)
    shell = CircularShell(1000.0, 60.0, 24, 4, 1)
    # as many as real constellations have, no regular shell: planes are to be found
    uneven = (replace(shell, satellites=20, name="one"), replace(shell, inclination_deg=60.004, name="two"))
    first = ConstellationSpec(over_region=region)
    grid = ConstellationSpec(shells=(shell,), isl="plus-grid")
    nearest = ConstellationSpec(
        shells=(shell,), geostationary=(Geostationary("geo", 10.0),), isl="nearest", interlayer="nearest"
    )
    for constellation, policy in (
        (first, "highest-elevation"),
        (grid, "best-snr"),
        (nearest, "longest-visibility"),
        (replace(grid, shells=uneven), "load-aware"),
    ):
        hidden = Adjustments(shadowing_seed=1) if policy == "best-snr" else Adjustments()
        spec = WorldSpec(
            START_UTC, 60.0, 0.1, places, constellation, (radio if policy == "best-snr" else plain,), links,
            AccessSpec(policy, decision_interval_s=1.0),
        )  # fmt: skip
        world = World(spec, hidden)
        for t_s in (0.0, 0.5, 1.0, 30.0):
            world.epoch(t_s)
        hidden.along_track_km[world.satellites[0]] = 1.0
        world.epoch(31.0)
        world.positions(31.0)


def _radio() -> None:
    import numpy as np

    from emulator.radio import attenuation_table, noise, surroundings
    from emulator.radio.antennas import PATTERNS, gain_dbi
    from emulator.radio.budget import link_budget
    from emulator.radio.interference import CoChannelLinks, interference_over_noise_db
    from emulator.radio.slant_path import PathRequest, SlantPath
    from emulator.spec import Antenna, Place, RadioSpec

    link_budget(RadioSpec("r"), np.array([1e6, 2e6]), 45.0)
    noise.attenuation_of_drop_db(3.0, 0.1, np.array([150.0, 0.0]))
    surroundings.mean_excess_loss_db("urban", 20.0, 45.0)
    surroundings.excess_loss_db(1, 0.0, "urban", 20.0, 45.0)
    for pattern in PATTERNS:
        gain_dbi(Antenna(pattern, "zenith", diameter_m=0.5), 10.0, 20.0)
    # a table of zeros, as it comes from the disk: not to be written to
    knots, percents = len(attenuation_table.ELEVATION_KNOTS_DEG), len(attenuation_table.PERCENT_KNOTS)
    row = attenuation_table.table(
        47.0, 1.0, 50.0, np.zeros(knots), np.zeros(knots), np.zeros(percents), np.zeros(percents)
    )
    kept = np.concatenate(([3.0], row))
    kept.flags.writeable = False
    SlantPath(PathRequest(Place("a", "ground"), 20.0), 3.0, kept[1:]).attenuation(30.0, 0.1)
    here, isotropic = np.array([[6_378_137.0, 0.0, 0.0], [6_378_137.0, 3e3, 0.0]]), [Antenna(), Antenna()]
    interference_over_noise_db(
        CoChannelLinks(
            here,
            here[::-1],
            [0, 1],
            [1, 0],
            [10.0] * 2,
            [10.0] * 2,
            [20.0] * 2,
            [50.0] * 2,
            isotropic,
            isotropic,
        )
    )


def _rain() -> None:
    from emulator.radio.rain_series import RainClimate, RainSeries
    from emulator.spec import Place

    places = (Place("a", "ground", 47.0, 10.0), Place("b", "ground", 47.1, 10.0))
    series = RainSeries(places, 1, climates={place.id: RainClimate(40.0, 5.0, 3.0) for place in places})
    series.attenuation_db("a", 10.0, 30.0, 20.0)
    series.series_db("b", 0.0, 1.0, 10, 30.0, 20.0)


def _network() -> None:
    import numpy as np

    from emulator.layout import make_network
    from emulator.simulation import ARRIVAL, Simulation
    from emulator.traffic.arrivals import Periodic, Recorded
    from emulator.traffic.flows import Flow, FlowSet, Follow
    from emulator.traffic.servers import Server, Work

    net = make_network(2, 2, 3)
    net.port_place[1:] = 0
    arrivals = np.zeros(1, ARRIVAL)
    arrivals["port"] = 1
    answer = Follow("answer", 2, 1, whole=True, work=Work("server", 1e3, 1e3))
    one = Flow("one", 1, 2, Recorded([]), then=(answer,))
    flows = FlowSet([one], servers=[Server("server", 2, 1e9)])
    simulation = Simulation(net, [], arrivals=arrivals, flows=flows)
    simulation.set_times("one", Periodic(1.0))
    simulation.advance(10)
    simulation.results()


def _data_plane() -> None:
    import numpy as np

    from emulator.dataplane.channel import Channel
    from emulator.dataplane.loop import fill_idle_time
    from emulator.layout import make_network

    with Channel(make_network(2, 2, 3), realtime=False):
        pass
    # The loop that keeps a core awake ends at once when it is told to stop beforehand.
    fill_idle_time(np.ones(16, np.int64))


#: the two halves of what there is, which have little in common: where there are two cores, at the same time
_WORLD: dict[str, Callable[[], None]] = {
    "orbits": _orbits,
    "contact windows": _contact_windows,
    "access, links and routes": _worlds,
    "radio": _radio,
    "rain": _rain,
}
_PACKETS: dict[str, Callable[[], None]] = {
    "network": _network,
    "data plane": _data_plane,
}
STEPS: dict[str, Callable[[], None]] = _WORLD | _PACKETS
_PR_SET_PDEATHSIG = 1


def _run(steps: dict[str, Callable[[], None]]) -> None:
    for name, step in steps.items():
        began = time.perf_counter()
        step()
        print(f"{name}: {time.perf_counter() - began:.1f} s", flush=True)


def _run_beside() -> None:
    """The packets' half, in a process that does not outlive the one that asked for it."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _run(_PACKETS)


def main() -> int:
    """Run the steps, a line for each; 0 when all is compiled."""
    from emulator.cache import mark_warm

    if (os.cpu_count() or 1) < 2:
        _run(STEPS)
    else:
        beside = multiprocessing.get_context("spawn").Process(target=_run_beside)
        beside.start()
        try:
            _run(_WORLD)
        finally:
            beside.join()
        if beside.exitcode:
            print("the kernels of packets do not compile", file=sys.stderr)
            return 1
    mark_warm()
    return 0


if __name__ == "__main__":
    sys.exit(main())
