"""What a new link takes over from the links before it."""

from __future__ import annotations

from testbed.twin.events import Events
from testbed.twin.filters import ScalarKalman
from testbed.twin.nominal import NominalLink
from testbed.twin.roster import Roster
from testbed.twin.watching import LinkWatching


def _link(source: str, sink: str, place: str, radio: str) -> NominalLink:
    direction = "up" if place == source else "down"
    return NominalLink(
        f"{source}>{sink}", source, sink, "access", place, direction, f"access/{radio}/{direction}", 5.0, 3.0,
        0.1, 1e6, 10.0, 0.0, 0.0, 0,
    )  # fmt: skip


def _roster() -> Roster:
    roster = Roster(LinkWatching(Events(0.5), 1e-9, 0.5))
    first = _link("ship", "sat-1", "ship", "terminal")
    roster.meet(first).bias = ScalarKalman(0.7, 0.01, 0.0)
    roster.reported(first)
    return roster


def test_a_terminals_next_satellite_begins_with_what_the_last_one_taught() -> None:
    assert _roster().meet(_link("ship", "sat-2", "ship", "terminal")).bias.mean == 0.7


def test_another_terminal_of_the_same_design_does_so_too() -> None:
    assert _roster().meet(_link("van", "sat-2", "van", "terminal")).bias.mean == 0.7


def test_a_station_with_a_radio_of_its_own_begins_anew() -> None:
    assert _roster().meet(_link("ship", "platform", "ship", "station")).bias.mean == 0.0
