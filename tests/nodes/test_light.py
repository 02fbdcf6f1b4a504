"""The edges stay light: what a node may import, and how long that takes."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

import pytest

#: everything a board would have to install, compile or wait for
HEAVY = {
    "numba", "numpy", "scipy", "skyfield", "sgp4", "itur", "pydantic", "typer", "rich", "serial",
    "matplotlib", "scapy", "asyncio", "testbed", "emulator", "firmware_bridge", "dashboards",
}  # fmt: skip
EVERYTHING = "import nodes.client, nodes.roles; [nodes.roles.load(name) for name in nodes.roles.ROLES]"


def loaded(code: str) -> set[str]:
    script = f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return {name.partition(".")[0] for name in json.loads(output)}


def test_all_of_nodes_needs_pyzmq_and_msgspec_only() -> None:
    assert not loaded(EVERYTHING) & HEAVY
    assert {"zmq", "msgspec"} <= loaded(EVERYTHING)


def test_the_packet_header_needs_no_sockets() -> None:
    assert "zmq" not in loaded("import nodes.wire")


@pytest.mark.parametrize("code", ["import nodes; nodes.Client", EVERYTHING])
def test_importing_takes_less_than_a_fifth_of_a_second(code: str) -> None:
    script = f"import time; begun = time.process_time()\n{code}\nprint(time.process_time() - begun)"
    times = [
        float(
            subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        )
        for _ in range(5)
    ]
    assert statistics.median(times) < 0.2
