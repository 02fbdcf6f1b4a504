"""What suppression saves on a scenario, and what it costs: edges and a centre beside the virtual plant.

The truth that the errors are told by is the plant's own; the twins are given what they would be given live.
"""

from __future__ import annotations

from collections.abc import Iterator

from nodes.wire import Record
from testbed.plant.deviations import Truth, Withheld, moments, slow_servers
from testbed.scenario import Scenario
from testbed.scenario.node_tables import Rain
from testbed.twin.core import Twin
from testbed.twin.edge import EdgeTwin, partition
from testbed.twin.hierarchy import BOUND_SDS
from testbed.twin.savings import suppression_figures
from testbed.virtual.loop import ARRIVAL_NS, knowledge_of, visible
from testbed.virtual.plant import VirtualPlant


def suppression(
    scenario: Scenario, edges: int | None = 2, bound_sds: float = BOUND_SDS, settled_s: float = 10.0
) -> dict[str, float]:
    """The figures of `suppression_figures` for a scenario, divided among edges (None: one for each gateway).

    BadInput when it cannot be divided into so many.
    """
    plant = VirtualPlant(scenario)
    known = knowledge_of(scenario)
    twins = [EdgeTwin(known, scope) for scope in partition(known, edges).values()]
    whole = Twin(known)
    for twin in (whole, *twins):
        twin.begin(plant.start_ns)
    return suppression_figures(
        twins, whole, _windows(scenario, plant), _States(scenario).at, bound_sds, settled_s
    )


def _windows(scenario: Scenario, plant: VirtualPlant) -> Iterator[tuple[int, int, list[Record]]]:
    withheld = Withheld(scenario)
    window_s = scenario.run.window_s
    for number in range(int(scenario.run.duration_s / window_s + 1e-9)):
        records = visible(plant.window(number), withheld, plant.start_ns)
        yield number, plant.start_ns + round((number + 1) * window_s * 1e9) + ARRIVAL_NS, records


class _States:
    """True values of the states that the plant alone knows: modems, rain, servers."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._modems = Truth(scenario).adjustments.implementation_loss_bias_db
        self._rain = [m for m in moments(scenario) if isinstance(m.deviation, Rain)]
        self._slow = slow_servers(scenario)
        self._servers = [name for name, node in scenario.nodes.items() if node.role == "edge"]

    def at(self, t_s: float) -> dict[tuple[str, str], float]:
        """By target and name, at a run time."""
        values: dict[tuple[str, str], float] = {}
        for place, loss_db in self._modems.items():
            attenuation_db = 0.0
            for moment in self._rain:
                rain = moment.deviation
                assert isinstance(rain, Rain)
                if place in self._scenario.places_called(rain.target) and rain.attenuation_db is not None:
                    attenuation_db += moment.ramp(t_s, rain.ramp_s) * rain.attenuation_db
            for direction in ("up", "down"):
                values[place, f"snr_bias_{direction}_db"] = -loss_db
                values[place, f"attenuation_{direction}_db"] = attenuation_db
        for server in self._servers:
            values[server, "service_factor"] = 1.0
        for moment, slow in self._slow:
            if moment.active(t_s):
                values[slow.target, "service_factor"] = slow.factor
        return values
