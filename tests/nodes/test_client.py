"""A user's own program in the network, through nodes.Client."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from typing import Any

import pytest
import zmq

import nodes
from nodes import Client, NetworkError, RefusedError, wire
from nodes.burner import chain
from nodes.tasks import DONE

Stand = Any  # tests/nodes/conftest.py


@pytest.fixture
def running(stand: Stand) -> Stand:
    """A run whose gateway is up and which starts guests as they come."""
    stand.start_at_once = True
    stand.node("gateway-1", "gateway")
    stand.until(lambda: "gateway-1" in stand.ready, "the gateway")
    return stand


def test_the_documented_program_runs(running: Stand) -> None:
    assert nodes.__doc__ is not None
    match = re.search(r"```python\n(.*?)```", nodes.__doc__, re.DOTALL)
    assert match is not None
    program = match[1].replace("tcp://127.0.0.1:5555", running.endpoint)
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "nodes of this run: gateway-1" in result.stdout
    assert re.search(r"round trip to the gateway: 0\.\d+ s", result.stdout)
    assert running.registered["my-app"].place == "sensor-1"
    assert running.of("temperature", node="my-app")[0].fields == {"value": 21.5}
    assert running.byes["my-app"]["sent"] == 2
    running.stop()
    assert running.byes["gateway-1"]["readings"] == 1


def test_a_program_that_just_ends_says_goodbye(running: Stand) -> None:
    program = f"from nodes import Client; Client('{running.endpoint}', 'a').send('gateway-1', b'x')"
    subprocess.run([sys.executable, "-c", program], timeout=30, check=True)
    running.until(lambda: "a" in running.byes, "Bye")
    assert running.byes["a"]["sent"] == 1


def test_two_clients_exchange_packets(running: Stand) -> None:
    with Client(running.endpoint, "a") as a, Client(running.endpoint, "b") as b:
        first = a.send("port-" + str(b.directory["b"]), b"one")
        second = a.send("port-" + str(b.directory["b"]), b"two")
        packets = [b.receive(timeout_s=5.0), b.receive(timeout_s=5.0)]
        assert second == first + 1
        assert [p.payload for p in packets if p] == [b"one", b"two"]
        assert packets[0] is not None
        assert packets[0].source == "a"
        assert packets[0].delay_ms is not None
        assert 0 < packets[0].delay_ms < 1000
        assert b.receive(timeout_s=0) is None


def test_a_client_answers_while_its_program_is_busy(running: Stand) -> None:
    with Client(running.endpoint, "a") as a, Client(running.endpoint, "b"):
        # b's program does nothing at all.
        assert a.ping("port-" + str(running.ports["b"]), timeout_s=5.0) is not None


def test_a_ping_that_is_lost_gives_none(running: Stand) -> None:
    running.drop = lambda header: header.kind == wire.PING
    with Client(running.endpoint, "a") as a:
        assert a.ping("gateway-1", timeout_s=0.05) is None


def test_a_transfer_survives_losses(running: Stand) -> None:
    seen: set[tuple[int, int]] = set()

    def first_of_every_third(header: wire.Header) -> bool:
        if header.kind != wire.DATA or header.fragment % 3 or (header.tag, header.fragment) in seen:
            return False
        seen.add((header.tag, header.fragment))
        return True

    running.drop = first_of_every_third
    data = bytes(range(256)) * 100
    with Client(running.endpoint, "a") as a, Client(running.endpoint, "b") as b:
        assert a.transfer("port-" + str(running.ports["b"]), data) >= len(seen) > 3
        packet = b.receive(timeout_s=5.0)
        assert packet is not None
        assert packet.payload == data


def test_a_task_s_answer_can_be_checked(running: Stand) -> None:
    running.node("edge-1", "edge")
    running.until(lambda: "edge-1" in running.ready, "the edge server")
    data = bytes(range(200)) * 250
    with Client(running.endpoint, "a") as a:
        answer = a.send_task("edge-1", data, cycles=150_000_000)
    assert answer.status == DONE
    assert answer.digest == chain(data, answer.rounds)
    assert answer.service_s >= 0.05


def test_a_guest_takes_part_from_several_threads(running: Stand) -> None:
    with Client(running.endpoint, "a") as a:
        numbers: list[int] = []
        threads = [
            threading.Thread(target=lambda: numbers.extend(a.send("gateway-1", b"x") for _ in range(50)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(numbers)) == 200
    running.stop()
    assert running.byes["gateway-1"]["readings"] == 200


def test_an_unknown_target_names_the_known_ones(running: Stand) -> None:
    with (
        Client(running.endpoint, "a") as a,
        pytest.raises(NetworkError, match=r"node 'gatewya' is not in this run \(known: a, gateway-1\)"),
    ):
        a.send("gatewya", b"")


def test_too_large_a_packet_is_told_to_be_a_transfer(running: Stand) -> None:
    with Client(running.endpoint, "a") as a, pytest.raises(ValueError, match="send it as a transfer"):
        a.send("gateway-1", bytes(wire.MAX_PACKET_BYTES))


def test_the_end_of_the_run_ends_the_program_s_loop(running: Stand) -> None:
    client = Client(running.endpoint, "a")
    running.stop()
    assert list(client.packets()) == []
    assert not client.running
    with pytest.raises(NetworkError, match="the run has ended"):
        client.send("gateway-1", b"")
    client.close()


def test_an_overfull_inbox_counts_what_it_drops(running: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.client.INBOX_MAX", 2)
    with Client(running.endpoint, "b") as b, Client(running.endpoint, "a") as a:
        for _ in range(5):
            a.send("b", b"x")
        assert a.ping("b", timeout_s=5.0) is not None  # in order: everything before it has arrived
        assert b.receive(timeout_s=0) is not None
    running.until(lambda: "b" in running.byes, "the last word of b")
    assert running.byes["b"]["inbox_dropped"] == 3


def test_refusal_gives_the_reason(stand: Stand) -> None:
    stand.refuse["a"] = "this run takes no guests"
    with pytest.raises(RefusedError, match="a was refused: this run takes no guests"):
        Client(stand.endpoint, "a")


def test_nobody_there_says_so() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as held:
        port = held.bind_to_random_port("tcp://127.0.0.1")
        held.unbind(f"tcp://127.0.0.1:{port}")
        with pytest.raises(NetworkError, match=r"nobody answered at .*: is the testbed running"):
            Client(f"tcp://127.0.0.1:{port}", "a", wait_s=0.2)


def test_a_run_that_never_begins_says_so(stand: Stand) -> None:
    with pytest.raises(NetworkError, match="did not begin within 0 s"):
        Client(stand.endpoint, "a", start_s=0.3)
