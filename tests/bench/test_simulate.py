"""The benchmark of virtual time: what it measures is what it says, on small sizes."""

from __future__ import annotations

import numpy as np
import pytest

from emulator.epochs import LinkUpdates
from emulator.simulate import simulate
from emulator.traffic.flows import FlowSet
from testbed.bench import _simulations
from testbed.bench import simulate as bench


def test_the_mix_crosses_four_hops_with_jitter_loss_and_full_queues() -> None:
    net = _simulations.mix_network(1 << 20)
    LinkUpdates(net).post(0, _simulations.mix_table())
    run = simulate(net, None, [], 300_000_000, flows=FlowSet(_simulations.mix_flows(), 1))
    every = run.results.together()
    assert set(run.hops["hop"][run.hops["fate"] == 1]) == {3}
    assert set(every.dropped) == {"radio_loss", "queue_full"}
    assert every.delivered > 0.8 * every.sent
    assert every.delay_max_s > every.delay_min_s + 1e-3
    assert every.offered_bps == pytest.approx(0.9e9, rel=0.1)


def test_every_limit_is_of_a_figure_with_its_side() -> None:
    assert set(bench.LIMITS) == {"packet_hops_per_s", "laptop_times_real_time"}


def test_the_figures_of_the_mix_are_hops_per_second_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.0])
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(clock))
    first = bench._mix(0.1, log=False)
    assert first > 0
    assert float(2 * first).is_integer()


def test_a_thousand_nodes_stand_where_there_is_a_way() -> None:
    spec = _simulations.thousand_nodes(10.0)
    assert len(spec.places) == _simulations.NODES + _simulations.GATEWAYS
    assert len({(p.latitude_deg, p.longitude_deg) for p in spec.places}) == len(spec.places)
    assert np.all(np.abs([p.latitude_deg for p in spec.places]) < 53.0)
    assert len(_simulations.thousand_flows()) == _simulations.NODES
