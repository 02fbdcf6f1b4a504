"""A live run with edge twins: the central one is killed, edges go on, and its successor agrees with them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.integration import harness

EDGES = {"edge-gateway-site", "edge-gateway-south"}
#: beliefs about what is seen by both are the same but for what is not told for its smallness
AGREEING_SHARE = 0.75
WINDOW_S = 0.5
#: of the time without the centre, what a busy machine may cost an edge; one that waits for it loses all
LOST_SHARE = 0.5
#: longer than it takes on any machine: the run is ended when all has been seen
LONG = ("laptop", "--duration", "120", "--set", "deviations=[]", "--set", "twin.hierarchy=edges")
#: words of the centre about each edge that are waited for after an outage
WORDS = 3


def told(started: harness.Started, *marks: str) -> int:
    """How many records in the telemetry file have all these marks."""
    lines = started.folder.telemetry_path.read_text().splitlines()
    return sum(all(mark in line for mark in marks) for line in lines)


def test_edges_go_on_while_the_central_twin_is_away_and_both_agree_afterwards(tmp_path: Path) -> None:
    started = harness.start(tmp_path, *LONG)
    started.until_recorded("hierarchy", 4)
    before = {edge: told(started, '"reconciled"', edge) for edge in EDGES}  # by a centre that began late
    os.kill(started.pid_of("testbed.twin", "--over"), signal.SIGKILL)
    started.until_event("twin is started again (1 of 3 times)")
    started.until(
        lambda: all(told(started, '"reconciled"', edge) > count for edge, count in before.items()),
        "every edge reconciled",
    )
    words = told(started, '"hierarchy"', '"seen"') + WORDS * len(EDGES)
    started.until(lambda: told(started, '"hierarchy"', '"seen"') >= words, "words about edges")
    until_ns = time.monotonic_ns()
    started.process.send_signal(signal.SIGINT)
    ended = started.finish()
    failed = ended.failed().keys()
    assert not failed & {"all_nodes_finished", "conservation"}, ended.output
    info, edges = ended.run.run_info(), ended.report["twin"]["edges"]
    assert set(edges) == EDGES
    assert (info["twin_status"], info["twin_restarts"]) == ("finished", 1)
    lasted_s = (until_ns - info["t0_ns"]) / 1e9
    again_ns = next(r.t_ns for r in ended.records("event") if "started again" in str(r.fields["text"]))
    for name, edge in edges.items():
        assert (edge["status"], edge["restarts"]) == ("finished", 0)
        again_s = (again_ns - info["t0_ns"]) / 1e9
        reconciled = [one for one in edge["reconciled"] if one["t_s"] > again_s]
        assert len(reconciled) == 1, name
        assert reconciled[0]["states"] > 0
        away_s = reconciled[0]["t_s"] - again_s
        assert edge["windows"] * WINDOW_S >= lasted_s - LOST_SHARE * away_s
        assert edge["agreeing_share"] >= AGREEING_SHARE
    # every place is an edge's, and no edge's word is taken for the central twin's
    assert sorted(place for edge in edges.values() for place in edge["places"]) == sorted(
        place for place in info["places"] if not place.startswith(("sat-", "on-board"))
    )
    predictions = {(r.t_ns, *sorted(r.tags.items())) for r in ended.records("prediction")}
    assert len(predictions) == len(ended.records("prediction"))
    assert "Edge twins" in ended.run.report_html_path.read_text()
