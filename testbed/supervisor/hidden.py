"""The senders of a run that only the plant knows of: which there are, and when they send.

They are processes of their own (`testbed.plant.senders`) that register like guests. Their packets stand in
the books and in the run's file; what they report never reaches the twin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from testbed.plant.deviations import Moment, floods, impostors
from testbed.scenario import Scenario


@dataclass(frozen=True)
class HiddenSender:
    """A sender that carries out one deviation."""

    name: str
    role: str
    place: str
    moment: Moment
    settings: dict[str, Any]


def hidden_senders(scenario: Scenario) -> list[HiddenSender]:
    """One for every flood and every impostor of the scenario."""
    found = []
    for number, way in enumerate(floods(scenario), start=1):
        settings: dict[str, Any] = {"target": way.target, "rate_mbps": way.flood.rate_mbps}
        found.append(HiddenSender(f"hidden-flood-{number}", "flood", way.source, way.moment, settings))
    for number, (moment, claim) in enumerate(impostors(scenario), start=1):
        node: Any = scenario.nodes[claim.target]
        broker = getattr(node, "broker", "")
        settings = {
            "victim": claim.target,
            "sink": node.sink or broker,
            "via": node.via,
            "interval_s": node.reading_interval_s,
            "bytes": node.reading_bytes,
            "topic": node.topic if broker else "",
            "traffic_class": node.traffic_class,
        }
        found.append(HiddenSender(f"hidden-impostor-{number}", "impostor", node.place, moment, settings))
    return found
