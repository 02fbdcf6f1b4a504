"""The main job, end to end: real processes, the compiled channel, the twin, and what is left behind."""

from __future__ import annotations

import re
import sqlite3

import numpy as np
import pytest

from emulator.accounting import DELIVERED, RADIO_LOSS
from testbed.replay import replay
from testbed.store.packets import headers, read_hops
from tests.integration import harness


def test_the_command_succeeds_and_every_verdict_holds(laptop: harness.Finished) -> None:
    assert laptop.at_fault() == {}
    assert laptop.status == laptop.status_due, laptop.output


def test_what_entered_the_network_is_exactly_accounted_for(laptop: harness.Finished) -> None:
    assert laptop.report["conservation"]["balanced"] is True
    counters = laptop.run.run_info()["channel"]["counters"]
    gone = counters["delivered"] + sum(counters["fates"].values()) + counters["in_flight"]
    assert counters["ingress"] == gone > 1000


def test_what_the_nodes_say_they_sent_is_what_entered(laptop: harness.Finished) -> None:
    info = laptop.run.run_info()
    assert sum(node["sent"] for node in info["nodes"].values()) == info["channel"]["counters"]["ingress"]
    assert (
        sum(node["received"] for node in info["nodes"].values()) == info["channel"]["counters"]["delivered"]
    )


def test_every_node_was_a_process_that_ended_by_itself(laptop: harness.Finished) -> None:
    nodes = laptop.run.run_info()["nodes"]
    assert len(nodes) == 15
    assert {node["status"] for node in nodes.values()} == {"finished"}
    assert {node["exit_status"] for node in nodes.values()} == {0}


def test_both_deviations_were_found_in_time_and_named(laptop: harness.Finished) -> None:
    starts = {
        record.tags["deviation"]: float(record.fields["start_s"])
        for record in laptop.records("plant_event")
        if record.fields["what"] == "start"
    }
    found = {record.tags["kind"]: record for record in laptop.records("detection")}
    rain, slow = found["attenuation"], found["slow_server"]
    assert rain.tags["target"] == "gateway-site"
    assert slow.tags["target"] == "edge-sat"
    assert 0 <= float(rain.fields["detected_s"]) - starts["rain"] <= 5
    assert 0 <= float(slow.fields["detected_s"]) - starts["slow_server"] <= 5
    assert len(found) == 2


def test_without_deviations_nothing_is_detected(clean: harness.Finished) -> None:
    assert clean.records("detection") == []
    assert clean.records("plant_event") == []
    assert clean.at_fault() == {}


def test_predictions_were_made_before_their_windows_were_over(laptop: harness.Finished) -> None:
    window_ns = round(laptop.run.scenario()["run"]["window_s"] * 1e9)
    seen: dict[tuple[str, int], int] = {}
    ends: dict[tuple[str, int], int] = {}
    for place, record in enumerate(laptop.run.records()):
        if record.measurement == "prediction" and record.tags["quantity"] == "delay_ms":
            seen.setdefault((record.tags["target"], record.t_ns + window_ns), place)
        elif record.measurement == "link":
            ends[record.tags["link"], record.t_ns] = place
    both = [(seen[key], ends[key]) for key in seen.keys() & ends.keys()]
    assert len(both) > 100
    assert all(predicted < observed for predicted, observed in both)


def test_packets_can_be_read_with_scapy(laptop: harness.Finished) -> None:
    from scapy.utils import PcapReader

    from testbed.store import dissect

    hops = read_hops(laptop.run.packets_path)
    with PcapReader(str(laptop.run.packets_path)) as reader:
        first = reader.read_packet()
    assert first is not None
    hop = first[dissect.PacketHop]
    assert hop.due_ns == hops["due_ns"][0]
    assert hop.actual_ns == hops["actual_ns"][0]
    assert hop.link == hops["link"][0]
    delivered = hops[hops["fate"] == DELIVERED]
    assert (delivered["actual_ns"] >= delivered["due_ns"]).all()
    assert (headers(delivered)["src"] > 0).all()


def test_some_packets_cross_several_links(laptop: harness.Finished) -> None:
    hops = read_hops(laptop.run.packets_path)
    # terminal, satellite, gateway, edge
    assert hops["hop"].max() >= 2


def test_the_store_can_be_queried(laptop: harness.Finished) -> None:
    with sqlite3.connect(laptop.run.database_path) as database:
        rows = database.execute("SELECT count(*) FROM link").fetchone()[0]
    assert rows == len(laptop.records("link"))


def test_the_page_stands_alone(laptop: harness.Finished) -> None:
    page = laptop.run.report_html_path.read_text()
    assert "<svg" in page or "data:image/png" in page
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)


def test_the_run_says_how_the_channel_was_scheduled(laptop: harness.Finished) -> None:
    assert laptop.run.run_info()["channel"]["scheduling"].split(",")[0] in ("SCHED_FIFO", "default")
    assert laptop.report["injection"]["lateness_us"]["p99"] > 0


@pytest.mark.parametrize("name", ["laptop", "clean"])
def test_a_run_replays_to_the_same_fates_and_times(name: str, request: pytest.FixtureRequest) -> None:
    result = replay(request.getfixturevalue(name).run)
    assert result["packet_hops"] > 1000
    assert result["same"], result


def test_the_same_seed_gives_the_same_arrivals_the_same_fates(
    clean: harness.Finished, tmp_path_factory: pytest.TempPathFactory
) -> None:
    again = harness.run(
        tmp_path_factory.mktemp("again"),
        *("laptop", "--duration", "8", "--set", "deviations=[]", "--set", "radios.s-terminal.loss=0.03"),
    )
    fates = []
    for run in (clean.run, again.run):
        hops = read_hops(run.packets_path)
        places = run.run_info()["places"]
        fates.append(
            {
                (
                    int(h["port"]),
                    int(h["packet"]),
                    places[h["from_place"]],
                    places[h["to_place"]],
                    int(h["size"]),
                ): int(h["fate"] == RADIO_LOSS)
                for h in np.asarray(hops[hops["link"] >= 0])
            }
        )
    common = fates[0].keys() & fates[1].keys()
    assert len(common) > 500
    assert sum(fates[0][key] for key in common) > 5
    assert all(fates[0][key] == fates[1][key] for key in common)
