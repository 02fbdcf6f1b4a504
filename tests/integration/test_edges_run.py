"""A live run with edge twins: the central one is killed, edges go on, and its successor agrees with them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.integration import harness

EDGES = {"edge-gateway-site", "edge-gateway-south"}
#: beliefs about what is seen by both are the same but for what is not told for its smallness
AGREEING_SHARE = 0.75
WINDOW_S, WINDOWS_SHARE = 0.5, 0.85


def test_edges_go_on_while_the_central_twin_is_away_and_both_agree_afterwards(tmp_path: Path) -> None:
    started = harness.start(
        tmp_path, "laptop", "--duration", "12", "--set", "deviations=[]", "--set", "twin.hierarchy=edges"
    )
    started.until_recorded("hierarchy", 4)
    os.kill(started.pid_of("testbed.twin", "--over"), signal.SIGKILL)
    started.until_event("twin is started again (1 of 3 times)")
    ended = started.finish()
    assert set(ended.failed()) <= {"injection_lateness"}, ended.output
    info, told = ended.run.run_info(), ended.report["twin"]["edges"]
    assert set(told) == EDGES
    assert info["twin_restarts"] == 1
    windows = round(info["planned_duration_s"] / WINDOW_S)
    for name, edge in told.items():
        assert (edge["status"], edge["restarts"]) == ("finished", 0)
        # the centre was away for a quarter of the run; a busy machine may cost an edge a window or two
        assert edge["windows"] >= WINDOWS_SHARE * windows
        assert edge["agreeing_share"] >= AGREEING_SHARE
        assert len(edge["reconciled"]) == 1, name
        assert edge["reconciled"][0]["states"] > 0
    # every place is an edge's, and no edge's word is taken for the central twin's
    assert sorted(place for edge in told.values() for place in edge["places"]) == sorted(
        place for place in info["places"] if not place.startswith(("sat-", "on-board"))
    )
    predictions = {(r.t_ns, *sorted(r.tags.items())) for r in ended.records("prediction")}
    assert len(predictions) == len(ended.records("prediction"))
    assert "Edge twins" in ended.run.report_html_path.read_text()
