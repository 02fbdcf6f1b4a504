"""Unmodified IP programs across a run: ping, traceroute and iperf3 behind the nodes' own interfaces."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from testbed.ip.permitted import why_not_here
from tests.integration import harness

pytestmark = pytest.mark.skipif(bool(why_not_here()), reason=f"no IP interfaces here: {why_not_here()}")

#: up to a satellite at 1000 km and down again, there and back
LEAST_RTT_MS = 4 * 3.33
#: the terminal's link in the scenario carries less than this (6.5 Mbit/s)
MOST_MBIT_S = 7.0


def program(name: str) -> str:
    """The path of an installed program; skips where there is none."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def behind(started: harness.Started, node: str, *command: str) -> subprocess.Popen[str]:
    """Start a program behind a node of a run."""
    return subprocess.Popen(
        [sys.executable, "-m", "testbed", "exec", node, "--run", str(started.folder.path), "--", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def going(tmp_path_factory: pytest.TempPathFactory) -> Iterator[harness.Started]:
    """A run without a twin that goes on while the tests do."""
    started = harness.start(
        tmp_path_factory.mktemp("ip"),
        *("laptop", "--duration", "600", "--set", "twin.enabled=false", "--set", "deviations=[]"),
    )
    started.until_recorded("link")
    # Whoever is to answer needs a kernel of its own behind its node for as long.
    there = [behind(started, node, program("cat")) for node in ("edge-ground", "gateway-1")]
    for one in there:
        assert one.stdin is not None
        assert one.stdout is not None
        one.stdin.write("there\n")
        one.stdin.flush()
        assert one.stdout.readline() == "there\n"
    yield started
    for one in there:
        one.kill()
        one.communicate()
    if started.process.poll() is None:
        started.process.terminate()
        started.process.wait(60)


def test_ping_crosses_a_satellite_by_name(going: harness.Started) -> None:
    ping = behind(going, "sensor-1", program("ping"), "-c", "10", "-i", "0.05", "edge-ground")
    output, _ = ping.communicate(timeout=60)
    assert ping.returncode == 0, output
    times_ms = [float(found) for found in re.findall(r"time=([0-9.]+)", output)]
    assert times_ms
    assert min(times_ms) > LEAST_RTT_MS


def test_a_place_answers_for_a_node_behind_which_nothing_runs(going: harness.Started) -> None:
    ping = behind(going, "sensor-1", program("ping"), "-c", "10", "-i", "0.05", "edge-sat")
    output, _ = ping.communicate(timeout=60)
    assert ping.returncode == 0, output


def test_ping_over_ipv6(going: harness.Started) -> None:
    ping = behind(going, "sensor-1", program("ping"), "-6", "-c", "10", "-i", "0.05", "gateway-1")
    output, _ = ping.communicate(timeout=60)
    assert ping.returncode == 0, output


def test_traceroute_shows_the_satellite_and_the_gateway(going: harness.Started) -> None:
    trace = behind(going, "sensor-1", program("traceroute"), "-q", "2", "-w", "2", "edge-ground")
    output, _ = trace.communicate(timeout=60)
    assert trace.returncode == 0, output
    lines = output.splitlines()[1:]
    names = [re.sub(r"^ *\d+ +(?:\* +)*", "", line).split(" ")[0] for line in lines]
    assert re.fullmatch(r"sat-[1-4]", names[0]), output
    assert names[1:] == ["gateway-site", "edge-ground"], output


def test_iperf3_gets_what_the_link_carries(going: harness.Started) -> None:
    server = behind(going, "edge-ground", program("iperf3"), "-s", "-1")
    try:
        for _ in range(20):
            client = behind(
                going, "sensor-2", program("iperf3"), "-c", "edge-ground", "-t", "5", "-J",
                "--connect-timeout", "2000",
            )  # fmt: skip
            output, _ = client.communicate(timeout=60)
            if "Connection refused" not in output:
                break
        assert client.returncode == 0, output
        received = json.loads(output)["end"]["sum_received"]["bits_per_second"] / 1e6
        assert 0.3 < received < MOST_MBIT_S
        server.communicate(timeout=30)
    finally:
        server.kill()


def test_an_address_nobody_has_is_unreachable_at_once(going: harness.Started) -> None:
    ping = behind(going, "sensor-1", program("ping"), "-c", "2", "-i", "0.1", "10.64.200.200")
    output, _ = ping.communicate(timeout=60)
    assert ping.returncode == 1, output
    assert "Destination Host Unknown" in output


def test_the_books_balance_with_programs_and_nodes_together(going: harness.Started) -> None:
    going.process.terminate()
    done = going.finish()
    assert done.report["conservation"]["balanced"], done.report["conservation"]["text"]
    assert done.report["conservation"]["total"]["ip_packets"] > 100
