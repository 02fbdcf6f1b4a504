"""What happens to a run when something goes wrong: it goes on or ends in order, and says what happened."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration import harness

SHORT = ("laptop", "--duration", "12", "--set", "deviations=[]")


def test_killed_nodes_do_not_end_the_run_and_a_killed_twin_has_a_successor(tmp_path: Path) -> None:
    # Long enough for the successor to be there well before the end, on a slow machine too.
    started = harness.start(tmp_path, *SHORT, "--duration", "20")
    started.until_recorded("task", 3)
    first_twin = started.pid_of("testbed.twin")
    for words in (("nodes", "sensor-3"), ("nodes", "edge-ground"), ("testbed.twin",)):
        os.kill(started.pid_of(*words), signal.SIGKILL)
    started.until_event("twin is started again (1 of 3 times)")
    assert started.pid_of("testbed.twin") != first_twin
    ended = started.finish()
    assert ended.status == 1, ended.output
    info = ended.run.run_info()
    assert info["status"] == "completed"
    assert {name for name, node in info["nodes"].items() if node["status"] == "killed"} == {
        "sensor-3",
        "edge-ground",
    }
    assert (info["twin_status"], info["twin_restarts"]) == ("finished", 1)
    again_ns = max(r.t_ns for r in ended.records("event") if "started again" in str(r.fields["text"]))
    assert any(record.t_ns > again_ns for record in ended.records("prediction"))
    texts = [str(record.fields["text"]) for record in ended.records("event")]
    for name in ("sensor-3", "edge-ground", "twin"):
        assert any(text == f"{name} was killed (SIGKILL)" for text in texts)
    # What was sent to the dead is dropped under a name of its own, and the books balance.
    assert ended.report["conservation"]["balanced"] is True
    assert info["channel"]["counters"]["fates"]["peer_gone"] > 0
    # A busy machine may make the channel late on top; that is another test's matter.
    assert set(ended.failed()) - {"injection_lateness"} == {"all_nodes_finished"}


def test_a_killed_channel_ends_the_run_with_a_report(tmp_path: Path) -> None:
    started = harness.start(tmp_path, *SHORT)
    started.until_recorded("channel", 3)
    os.kill(started.pid_of("testbed.plant"), signal.SIGKILL)
    ended = started.finish()
    assert ended.status == 1
    assert ended.run.run_info()["problem"] == "the channel was killed (SIGKILL)"
    assert "run_completed" in ended.failed()
    assert ended.run.report_html_path.exists()


@pytest.mark.parametrize("moment", ["setting up", "running"])
def test_ctrl_c_ends_every_process_and_leaves_a_report(tmp_path: Path, moment: str) -> None:
    started = harness.start(tmp_path, "laptop")
    folder = started.folder
    if moment == "running":
        started.until_recorded("link")
    else:
        started.until(lambda: any(folder.logs_path.glob("sensor-1.log")), "a first node")
    children = children_of(started.process.pid)
    assert children
    started.process.send_signal(signal.SIGINT)
    ended = started.finish()
    assert ended.status == 1, ended.output
    assert ended.run.run_info()["status"] == "interrupted"
    assert ended.report["verdicts"]
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []


def test_when_the_supervisor_is_killed_nothing_stays_behind(tmp_path: Path) -> None:
    started = harness.start(tmp_path, "laptop")
    started.until_recorded("link")
    children = children_of(started.process.pid)
    started.process.kill()
    started.process.wait()
    deadline_turns = 400
    while any(Path(f"/proc/{pid}/cmdline").exists() for pid in children) and deadline_turns:
        deadline_turns -= 1
        subprocess.run(["sleep", "0.05"], check=True)
    assert deadline_turns, [pid for pid in children if Path(f"/proc/{pid}").exists()]
    # What was written is there, and the report of a broken-off run can still be made.
    report = subprocess.run(
        [sys.executable, "-m", "testbed", "report", str(started.folder.path)], capture_output=True, text=True
    )
    assert report.returncode == 1, report.stderr
    assert started.folder.report_json_path.exists()


def test_a_node_that_never_registers_is_named_and_the_run_goes_on(tmp_path: Path) -> None:
    ended = harness.run(
        tmp_path,
        *("laptop", "--duration", "5", "--set", "deviations=[]", "--set", "nodes.gateway-1.external=true"),
        *("--set", "network.register_timeout_s=6"),
    )
    assert ended.status == 1
    assert ended.run.run_info()["nodes"]["gateway-1"]["status"] == "never registered"
    assert "gateway-1 did not register within 6 s" in ended.output
    assert "all_nodes_finished" in ended.failed()
    assert ended.report["conservation"]["balanced"] is True


def test_a_port_in_use_is_one_sentence_and_status_2(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        for key in ("network.control_endpoint", "network.data_endpoint"):
            ended = harness.run(tmp_path / key, "laptop", "--set", f"{key}={endpoint}")
            assert ended.status == 2, ended.output
            last = ended.output.strip().splitlines()[-1]
            assert endpoint in last
            assert key in last
            assert "address already in use" in last.lower()


def test_a_world_that_cannot_be_built_is_one_sentence_status_2_and_no_folder(tmp_path: Path) -> None:
    # so much drag that it is down long before the run
    elements = tmp_path / "faller.tle"
    elements.write_text(
        "FALLER\n"
        "1 25544U 98067A   25150.51782528  .50000000  00000-0  99999-0 0  2927\n"
        "2 25544  51.6416 247.4627 0006703 130.5360 325.0288 16.45000000 56354\n"
    )
    ended = harness.run(
        tmp_path / "runs",
        *("starlink", "--duration", "5", "--set", f"constellation.elements={elements}"),
        *("--set", "run.start_utc=2025-07-30T12:00:00Z"),
    )
    assert ended.status == 2, ended.output
    assert "none of the 1 satellites can be propagated" in ended.output.splitlines()[-1]
    assert "Traceback" not in ended.output
    assert "was terminated" not in ended.output
    assert not list((tmp_path / "runs").glob("starlink-*"))


def test_a_full_disk_under_the_telemetry_costs_records_not_the_run(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("a small file system can only be mounted as root")
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1500k", "none", str(small)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        started = harness.start(small, *SHORT)
        started.process.wait(harness.PATIENCE_S)
        output = started.log.read_text()
        assert "Traceback" not in output
        assert "No space left" in output
    finally:
        subprocess.run(["umount", str(small)], check=True)


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "stat").read_text().rsplit(")", 1)[1].split()[1] == str(pid):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
