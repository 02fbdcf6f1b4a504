"""The plant's side of `testbed exec` with clients that behave, misbehave, hang and die."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testbed.ip import attach, tun
from testbed.ip.protocol import (
    LENGTH,
    Answer,
    Attach,
    Attached,
    Granted,
    Handover,
    Joined,
    Refused,
    Request,
    answer_in,
    encode,
)
from tests.ip.conftest import GIVE_UP_S
from tests.ip.fake_plant import MTU, NODES, PLACES, FakePlant

NOBODY = 65534


def _path(run: Path) -> str:
    return str(json.loads((run / "ip.json").read_text())["socket"])


class Client:
    """A client that says what it is told to."""

    def __init__(self, run: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(GIVE_UP_S)
        self.socket.connect(_path(run))
        self._received = bytearray()

    def ask(self, request: Request, *descriptors: int) -> Answer | None:
        socket.send_fds(self.socket, [encode(request)], descriptors)
        return self.answer()

    def answer(self) -> Answer | None:
        """The next answer; None when the server has hung up."""
        while (answer := answer_in(self._received)) is None:
            if not (chunk := self.socket.recv(1 << 16)):
                return None
            self._received += chunk
        return answer


@pytest.fixture
def client(plant: FakePlant, run: Path) -> Iterator[Client]:
    client = Client(run)
    yield client
    client.socket.close()


@contextmanager
def _tun_of_a_namespace() -> Iterator[int]:
    """A TUN as `testbed exec` makes it, in a namespace that goes with its descriptor."""
    ours, theirs = socket.socketpair()
    program = (
        "import socket, sys; from testbed.ip import namespace, tun; namespace.enter_new();"
        "socket.send_fds(socket.socket(fileno=int(sys.argv[1])), [b'x'], [tun.create('tun0')])"
    )
    with ours, theirs:
        command = [sys.executable, "-c", program, str(theirs.fileno())]
        subprocess.run(command, pass_fds=[theirs.fileno()], check=True, timeout=GIVE_UP_S)
        _, (descriptor,), _, _ = socket.recv_fds(ours, 1, 1)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_served(run: Path) -> bool:
    other = Client(run)
    with other.socket:
        return isinstance(other.ask(Attach("c")), Granted)


def test_a_node_is_granted_with_its_addresses_and_all_names(client: Client) -> None:
    granted = client.ask(Attach("a"))
    assert granted == Granted("10.64.0.1", "fd6a:1e0:0:1::1", MTU, [*NODES, *PLACES], 0)


def test_an_unknown_node_is_refused_with_some_that_are_there(client: Client) -> None:
    assert client.ask(Attach("z")) == Refused(
        "'z' is no node of this run; there are a, b, c, broken, unfit", exit_status=2
    )


def test_a_tun_is_attached_and_detached_when_its_client_has_gone(
    namespaces: None, plant: FakePlant, client: Client
) -> None:
    client.ask(Attach("a"))
    with _tun_of_a_namespace() as descriptor:
        assert client.ask(Handover(), descriptor) == Attached()
    assert plant.events == ["attach a"]
    client.socket.close()
    assert plant.happened("detach a")


def test_the_second_on_a_node_is_led_to_the_first_and_keeps_the_node(
    namespaces: None, plant: FakePlant, client: Client, run: Path
) -> None:
    client.ask(Attach("a"))
    with _tun_of_a_namespace() as descriptor:
        client.ask(Handover(), descriptor)
    second, third = Client(run), Client(run)
    granted = second.ask(Attach("a"))
    assert isinstance(granted, Granted)
    assert granted.join_pid == os.getpid()
    assert second.ask(Joined()) == Attached()
    client.socket.close()
    assert isinstance(third.ask(Attach("a")), Granted)  # the first's end has been seen by now
    third.socket.close()
    assert plant.events == ["attach a"]
    second.socket.close()
    assert plant.happened("detach a")


def test_who_comes_while_a_node_is_being_made_waits_for_it(
    namespaces: None, plant: FakePlant, client: Client, run: Path
) -> None:
    client.ask(Attach("a"))
    second = Client(run)
    second.socket.sendall(encode(Attach("a")))
    assert _is_served(run)  # the second's wish has been heard by now
    with _tun_of_a_namespace() as descriptor:
        assert client.ask(Handover(), descriptor) == Attached()
    granted = second.answer()
    assert isinstance(granted, Granted)
    assert granted.join_pid == os.getpid()
    second.socket.close()


def test_who_waits_makes_the_node_when_the_first_gives_up(client: Client, run: Path) -> None:
    client.ask(Attach("a"))
    second = Client(run)
    second.socket.sendall(encode(Attach("a")))
    assert _is_served(run)
    client.socket.close()
    granted = second.answer()
    assert isinstance(granted, Granted)
    assert granted.join_pid == 0
    second.socket.close()


@pytest.mark.parametrize(
    ("rubbish", "sentence"),
    [
        (LENGTH.pack(1 << 30), "a message of 1073741824 bytes; 4096 are allowed"),
        (LENGTH.pack(3) + b"\xc1\xc1\xc1", "that cannot be understood"),
        (b"GET / HTTP/1.1\r\n\r\n", "4096 are allowed"),
        (encode(Handover()), "Handover is not expected now"),
        (encode(Joined()), "Joined is not expected now"),
        (encode(Attach("a")) + encode(Attach("b")), "Attach is not expected now"),
        (encode(Attach("a")) + encode(Joined()), "Joined is not expected now"),
        (encode(Attach("a")) + encode(Handover()), "no descriptor came with the hand-over"),
    ],
)
def test_what_makes_no_sense_is_refused_and_others_are_served(
    client: Client, run: Path, rubbish: bytes, sentence: str
) -> None:
    client.socket.sendall(rubbish)
    answer = client.answer()
    if isinstance(answer, Granted):
        answer = client.answer()
    assert isinstance(answer, Refused)
    assert sentence in answer.reason
    assert answer.exit_status == 3
    assert client.answer() is None
    assert _is_served(run)


def test_descriptors_that_are_no_tun_are_refused_and_closed(client: Client, plant: FakePlant) -> None:
    client.ask(Attach("a"))
    reader, writer = os.pipe()
    answer = client.ask(Handover(), writer)
    os.close(writer)
    assert answer == Refused("the descriptor is not one of a TUN device")
    client.socket.close()
    assert os.read(reader, 1) == b""  # the end of the pipe: the server's copy is closed
    os.close(reader)
    assert plant.events == []


def test_more_descriptors_than_one_are_closed(client: Client) -> None:
    pipes = [os.pipe() for _ in range(3)]
    for _ in range(2):
        socket.send_fds(client.socket, [encode(Attach("a"))[:1]], [writer for _, writer in pipes])
    client.socket.close()
    for reader, writer in pipes:
        os.close(writer)
        assert os.read(reader, 1) == b""
        os.close(reader)


def test_a_tun_without_an_interface_is_refused(namespaces: None, client: Client) -> None:
    client.ask(Attach("a"))
    descriptor = os.open(tun.DEVICE, os.O_RDWR)
    answer = client.ask(Handover(), descriptor)
    os.close(descriptor)
    assert answer == Refused("the TUN descriptor belongs to no interface")


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        ("unfit", "unfit has no way into the network"),
        ("broken", "the channel failed to attach broken (RuntimeError('no such port'))"),
    ],
)
def test_what_the_plant_says_reaches_the_client(
    namespaces: None, client: Client, run: Path, node: str, sentence: str
) -> None:
    client.ask(Attach(node))
    with _tun_of_a_namespace() as descriptor:
        assert client.ask(Handover(), descriptor) == Refused(sentence)
    assert _is_served(run)


@pytest.mark.parametrize("said", [b"", encode(Attach("a"))[:5], encode(Attach("a"))])
def test_who_hangs_half_way_is_dropped(run: Path, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(attach, "PATIENCE_S", 0.05)
    plant = FakePlant(run)
    plant.start()
    client = Client(run)
    client.socket.sendall(said)
    answers = iter(client.answer, None)
    assert all(isinstance(answer, Granted) for answer in answers)  # and then the end
    client.socket.close()
    plant.stop()


def test_no_more_programs_than_are_allowed(
    run: Path, plant: FakePlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach, "MOST_CONNECTIONS", 3)
    clients = [Client(run) for _ in range(3)]
    assert all(isinstance(each.ask(Attach(node)), Granted) for each, node in zip(clients, "abc", strict=True))
    assert Client(run).answer() == Refused("3 programs are on this run, no more are allowed")
    for each in clients:
        each.socket.close()


def test_another_user_is_refused(namespaces: None, plant: FakePlant, run: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    path = Path(_path(run))
    for folder in (path.parent, path.parent.parent):
        folder.chmod(0o755)
    path.chmod(0o777)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.write(writer, repr(Client(run).answer()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as told:
        assert "this run belongs to user 0; run the program as that user" in told.read()
    os.waitpid(child, 0)


def test_stop_ends_every_connection_and_clears_up(namespaces: None, temporary: Path, run: Path) -> None:
    plant = FakePlant(run)
    plant.start()
    inside, half_way = Client(run), Client(run)
    inside.ask(Attach("a"))
    with _tun_of_a_namespace() as descriptor:
        inside.ask(Handover(), descriptor)
    half_way.ask(Attach("b"))
    plant.stop()
    assert (inside.answer(), half_way.answer()) == (None, None)
    assert plant.events == ["attach a", "detach a"]
    assert [path.name for path in temporary.iterdir()] == ["run"]
    assert not (run / "ip.json").exists()
