"""Subjects of the twin's belief beside its links: each is told what was observed, window by window.

A part holds everything about its subject (filter, detector, what it says) and knows no other part. `Twin`
calls the parts in order when it closes a window; a new subject is a class here registered in `build`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

from nodes.wire import Record
from testbed.twin.belief import Belief
from testbed.twin.events import Events
from testbed.twin.knowledge import Knowledge
from testbed.twin.nominal import NominalLink


class State(NamedTuple):
    """One number of the belief: `target` is a link, node, place, satellite or flow."""

    target: str
    name: str  # with its unit, such as clock_offset_ms
    mean: float
    variance: float


class Window(NamedTuple):
    """A window that is being closed. Times: ns on the host's monotonic clock, s of run time."""

    number: int
    t_ns: int  # when it began
    begins_s: float
    window_s: float
    now_ns: int
    now_s: float
    #: links as they were predicted for it
    links: Mapping[str, NominalLink]
    #: link reports of it, those of links that were not predicted too
    reports: Mapping[str, Record]
    #: traffic is being ended: silence means nothing
    quiet: bool


class Part(Protocol):
    """One subject of the belief."""

    #: measurements whose records it wants, besides the link reports of the window
    measurements: frozenset[str]

    def close(self, window: Window, records: list[Record]) -> list[Record]:
        """Takes a window's records (all of `measurements`, in order of time); detections and recoveries."""

    def states(self) -> Iterator[State]:
        """What is believed now."""

    def tell(self, belief: Belief) -> None:
        """Writes its parameters into the belief that a what-if starts from."""


def channels(knowledge: Knowledge) -> int:
    """How many detectors the parts have, about: they share the rate of false alarms with those of links.

    A satellite a radio, clock and reports and identity of each node, reports and load of each place.
    """
    places = knowledge.world.places
    return sum(1 for place in places if place.radio) + 3 * len(knowledge.node_places) + 2 * len(places)


def build(knowledge: Knowledge, events: Events, threshold: float) -> list[Part]:
    """The parts of a twin; `threshold` is the CUSUM threshold from the shared false-alarm rate."""
    # here, because the parts are written against what this module says
    from testbed.twin.anomalies import Floods, Impostors
    from testbed.twin.clocks import Clocks
    from testbed.twin.flows import Flows
    from testbed.twin.members import Members
    from testbed.twin.orbit import Orbits
    from testbed.twin.telemetry import Telemetry

    clocks = Clocks(knowledge.node_places, events, threshold)
    telemetry = Telemetry(knowledge.node_places, events, threshold)
    floods, impostors = Floods(events, threshold), Impostors(knowledge.node_places, events, threshold)
    flows = Flows(knowledge.settings.calibration_share * knowledge.duration_s)
    return [Orbits(events, threshold), clocks, telemetry, floods, impostors, flows, Members()]
