"""The multilayer scenario, run: every layer carries packets, and the twin follows places that move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testbed.replay import replay
from tests.integration import harness


@pytest.fixture(scope="module")
def multilayer(tmp_path_factory: pytest.TempPathFactory) -> harness.Finished:
    """The scenario in twenty seconds."""
    return harness.run_in_time(tmp_path_factory.mktemp("multilayer"), "multilayer", "--duration", "20")


def _links(ended: harness.Finished) -> dict[str, dict[str, Any]]:
    links: dict[str, dict[str, Any]] = ended.run.run_info()["channel"]["links"]
    return {name: link for name, link in links.items() if link["packets_out"] > 0}


def test_the_command_succeeds_and_every_verdict_holds(multilayer: harness.Finished) -> None:
    assert multilayer.at_fault() == {}
    assert multilayer.status == multilayer.status_due, multilayer.output


def test_every_layer_carries_packets(multilayer: harness.Finished) -> None:
    used = _links(multilayer)
    for link in ("berth-1>quay", "drone>quay", "wind-farm>platform", "platform>quay", "quay>data-centre"):
        assert link in used
    up = {name.split(">")[0] for name in used if name.split(">")[1].startswith("leo-")}
    assert {"town", "airliner"} <= up
    assert any(name.startswith("leo-") and name.endswith(">gateway-site") for name in used)


def test_the_observer_is_heard_by_way_of_the_geostationary_relay(multilayer: harness.Finished) -> None:
    used = _links(multilayer)
    relays = [name.split(">")[1] for name in used if name.startswith("observer-01-01>")]
    assert relays
    assert set(relays) <= {"edrs-a", "edrs-c"}
    assert {name.split(">")[1][:4] for name in used if name.split(">")[0] in relays} == {"leo-"}


def test_the_boat_is_handed_over_from_the_cell_to_the_platform(multilayer: harness.Finished) -> None:
    changes = [(h["terminal"], h["from"], h["to"]) for h in multilayer.report["handovers"]]
    assert ("ship", "quay", "platform") in changes
    used = _links(multilayer)
    assert {"ship>quay", "ship>platform"} <= used.keys()


def test_the_run_replays_to_the_same_fates_and_times(multilayer: harness.Finished) -> None:
    result = replay(multilayer.run)
    assert result["packet_hops"] > 1000
    assert result["same"], result


def test_with_shadowing_the_books_still_balance(tmp_path: Path) -> None:
    ended = harness.run(tmp_path, "multilayer", "--duration", "8", "--set", "plant.shadowing=true")
    assert ended.report["conservation"]["balanced"] is True
    assert ended.run.run_info()["status"] == "completed"
