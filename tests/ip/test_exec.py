"""`testbed exec` from the outside: real namespaces and programs, and a plant that only passes frames on."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from testbed.errors import EnvironmentProblem
from testbed.ip.execute import execute
from tests.ip.conftest import GIVE_UP_S, ROOT, Exec, finish
from tests.ip.fake_plant import MTU, FakePlant

NOBODY = 65534
_RTNLGRP_NSID = 28  # linux/rtnetlink.h
#: a device queue that holds what a TCP window may hold
QUEUE_PACKETS = 5000

#: a shell runs its traps between two commands
ON_AND_ON = "echo ready; while :; do sleep 0.01; done"
ECHO_UDP = """
import socket
with socket.socket({family}, socket.SOCK_DGRAM) as server:
    server.bind(("{address}", 7))
    print("ready", flush=True)
    while True:
        content, peer = server.recvfrom(65536)
        server.sendto(content, peer)
"""
ASK_UDP = """
import socket
((family, _, _, _, address),) = socket.getaddrinfo("b", 7, {family}, socket.SOCK_DGRAM)
with socket.socket(family, socket.SOCK_DGRAM) as client:
    client.settimeout(20)
    client.connect(address)
    client.send(b"hello")
    print(client.recv(100).decode(), client.getsockname()[0], client.getpeername()[0])
"""
OPEN_PING = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP):
    print("may")
"""
SERVE_TCP = """
import socket
with socket.create_server(("10.64.0.2", 80)) as server:
    print("ready", flush=True)
    connection, _ = server.accept()
    total = 0
    while chunk := connection.recv(1 << 20):
        total += len(chunk)
    print(total)
"""
SEND_TCP = """
import socket
with socket.create_connection(("b", 80)) as client:
    client.sendall(bytes(20_000_000))
"""


def _ready(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """Wait until a program has printed its first line."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == "ready\n", line + (process.stderr.read() if process.stderr else "")
    return process


def _shell(start: Exec, node: str, script: str) -> str:
    status, output, errors = finish(start(node, "sh", "-c", script))
    assert (status, errors) == (0, "")
    return output


@pytest.mark.parametrize(
    ("family", "a", "b"),
    [
        ("socket.AF_INET", "10.64.0.1", "10.64.0.2"),
        ("socket.AF_INET6", "fd6a:1e0:0:1::1", "fd6a:1e0:0:1::2"),
    ],
)
def test_programs_on_two_nodes_reach_each_other_by_name(
    plant: FakePlant, start: Exec, family: str, a: str, b: str
) -> None:
    _ready(start("b", sys.executable, "-c", ECHO_UDP.format(family=family, address=b)))
    status, output, errors = finish(start("a", sys.executable, "-c", ASK_UDP.format(family=family)))
    assert (status, output, errors) == (0, f"hello {a} {b}\n", "")


def test_tcp_hands_over_segments_larger_than_the_mtu(plant: FakePlant, start: Exec) -> None:
    server = _ready(start("b", sys.executable, "-c", SERVE_TCP))
    assert finish(start("a", sys.executable, "-c", SEND_TCP))[0] == 0
    assert finish(server)[1] == "20000000\n"
    assert max(map(len, plant.frames["a"])) > 10 * MTU


def test_the_loopback_and_one_interface_are_all_there_is(plant: FakePlant, start: Exec) -> None:
    assert _shell(start, "a", "ls /sys/class/net").split() == ["lo", "tun0"]
    assert _shell(start, "a", "grep -c : /proc/net/dev").strip() == "2"


def test_the_interface_is_as_the_run_wants_it(plant: FakePlant, start: Exec) -> None:
    script = "cat /sys/class/net/tun0/mtu /sys/class/net/tun0/tx_queue_len"
    assert _shell(start, "a", script).split() == [str(MTU), str(QUEUE_PACKETS)]


def test_the_hosts_network_cannot_be_reached(plant: FakePlant, start: Exec) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        program = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
        status, _, errors = finish(start("a", sys.executable, "-c", program))
    assert status == 1
    assert "ConnectionRefusedError" in errors


def test_an_interface_says_nothing_by_itself(plant: FakePlant, start: Exec) -> None:
    program = """if True:
        import socket
        client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        client.sendto(b"first word", ("fd6a:1e0:0:1::3", 9))
    """
    assert finish(start("a", sys.executable, "-c", program))[0] == 0
    assert plant.happened("detach a")
    assert [frame[-10:] for frame in plant.frames["a"]] == [b"first word"]
    inside = _shell(start, "b", "cat /proc/net/if_inet6")
    assert not any(line.startswith("fe80") for line in inside.splitlines())


def test_ordinary_users_may_ping(plant: FakePlant, start: Exec) -> None:
    assert finish(start("a", sys.executable, "-c", OPEN_PING))[1] == "may\n"


def test_satellites_have_names(plant: FakePlant, start: Exec) -> None:
    program = "import socket; print(socket.gethostbyaddr('10.128.0.0')[0], socket.gethostbyname('ISS-ZARYA'))"
    assert finish(start("a", sys.executable, "-c", program))[1] == "STARLINK-1007 10.128.0.1\n"


def test_the_hosts_own_files_stay_as_they_are(plant: FakePlant, start: Exec) -> None:
    before = Path("/etc/hosts").read_text(), Path("/proc/self/mountinfo").read_text()
    assert "10.64.0.2 b" in _shell(start, "a", "cat /etc/hosts")
    assert (Path("/etc/hosts").read_text(), Path("/proc/self/mountinfo").read_text()) == before


def test_input_directory_and_environment_are_the_callers(
    plant: FakePlant, start: Exec, tmp_path: Path
) -> None:
    options = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT), "COLOUR": "green"}}
    process = start("a", "sh", "-c", "cat; pwd; echo $COLOUR >&2", **options)
    output, errors = process.communicate("in\n", timeout=GIVE_UP_S)
    assert (output, errors) == (f"in\n{tmp_path}\n", "green\n")


@pytest.mark.parametrize(
    ("node", "program", "status", "sentence"),
    [
        ("z", ["true"], 2, "'z' is no node of this run; there are a, b, c, broken, unfit"),
        ("unfit", ["true"], 3, "unfit has no way into the network"),
        ("a", ["no-such-program"], 127, "no-such-program: there is no such program"),
        ("a", ["sh", "-c", "exit 42"], 42, ""),
        ("a", ["sh", "-c", "kill -KILL $$"], 137, ""),
    ],
)
def test_exit_status_and_one_sentence(
    plant: FakePlant, start: Exec, node: str, program: list[str], status: int, sentence: str
) -> None:
    assert finish(start(node, *program)) == (status, "", f"testbed: {sentence}\n" if sentence else "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_program_which_says_how_it_ends(
    plant: FakePlant, start: Exec, number: signal.Signals
) -> None:
    process = _ready(start("a", "sh", "-c", f"trap 'echo caught; exit 9' {number:d}; {ON_AND_ON}"))
    process.send_signal(number)
    assert finish(process)[:2] == (9, "caught\n")


def test_two_programs_on_one_node_share_its_interface(plant: FakePlant, start: Exec, tmp_path: Path) -> None:
    first = _ready(start("a", "sh", "-c", "echo ready; readlink /proc/self/ns/net; read line"))
    assert first.stdout is not None
    namespace = first.stdout.readline()
    options = {"cwd": tmp_path}
    second = _ready(
        start("a", "sh", "-c", "echo ready; readlink /proc/self/ns/net; pwd; read line", **options)
    )
    assert second.stdout is not None
    assert second.stdout.readline() == namespace
    assert second.stdout.readline() == f"{tmp_path}\n"
    first.communicate("end\n", timeout=GIVE_UP_S)
    # The second goes on: a third still finds the interface, and the hosts' names.
    assert "10.64.0.2 b" in _shell(start, "a", "cat /etc/hosts /sys/class/net/tun0/mtu")
    assert plant.events == ["attach a"]
    second.communicate("end\n", timeout=GIVE_UP_S)
    assert plant.happened("detach a")


def test_many_that_come_at_once_get_one_interface(plant: FakePlant, start: Exec) -> None:
    script = "echo ready; readlink /proc/self/ns/net; read line"
    processes = [start("a", "sh", "-c", script) for _ in range(5)]
    namespaces = set()
    for process in processes:
        assert _ready(process).stdout is not None
        namespaces.add(process.stdout.readline())
    assert len(namespaces) == 1
    assert plant.events == ["attach a"]


def test_a_node_can_be_used_again(plant: FakePlant, start: Exec) -> None:
    for _ in range(3):
        _shell(start, "a", "true")
    assert plant.happened("detach a", times=3)
    assert plant.events == ["attach a", "detach a"] * 3


def test_a_killed_client_takes_program_interface_and_namespace_along(plant: FakePlant, start: Exec) -> None:
    process = _ready(start("a", "sh", "-c", "echo ready; readlink /proc/self/ns/net; exec sleep 1000"))
    assert process.stdout is not None
    namespace = process.stdout.readline().strip()
    assert namespace in _namespaces()
    process.kill()
    assert process.stdout.read() == ""  # the program has gone too
    assert plant.happened("detach a")
    process.wait(GIVE_UP_S)
    assert namespace not in _namespaces()


def _namespaces() -> set[str]:
    """The network namespaces that processes are in."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.add(os.readlink(process / "ns/net"))
        except OSError:
            continue
    return found


def test_the_namespace_is_gone_when_neither_process_nor_plant_holds_it(plant: FakePlant, start: Exec) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root is told when a namespace ends")
    process = _ready(start("a", "sh", "-c", "echo ready; exec sleep 1000"))
    with IPRoute() as route:
        # An id lets the kernel tell of the namespace's end (RTM_DELNSID) without keeping it.
        route.bind(groups=1 << (_RTNLGRP_NSID - 1))
        route.set_netnsid(pid=process.pid)
        process.kill()
        told = (message["event"] for batch in iter(route.get, None) for message in batch)
        assert "RTM_DELNSID" in told
    assert plant.happened("detach a")


def test_a_run_that_ends_takes_the_interface_and_ends_the_program(run: Path, start: Exec) -> None:
    plant = FakePlant(run)
    plant.start()
    process = _ready(start("a", "sh", "-c", f"trap 'ls /sys/class/net; exit 4' TERM; {ON_AND_ON}"))
    plant.stop()
    status, output, errors = finish(process)
    assert (status, output) == (4, "lo\n")
    assert errors == "testbed: the run has ended, and tun0 with it; the program is told to end\n"


def _testbed(*arguments: str) -> tuple[int, str]:
    result = subprocess.run(
        [sys.executable, "-m", "testbed", *arguments], capture_output=True, text=True, timeout=GIVE_UP_S
    )
    return result.returncode, result.stderr


def test_without_a_run_it_says_how_to_get_one(temporary: Path) -> None:
    status, errors = _testbed("exec", "a", "--", "true")
    assert status == 3
    assert (
        "no run of yours with IP interfaces is under way on this machine; start one (testbed run laptop)"
        in errors
    )


def test_a_run_that_is_over_is_told(run: Path) -> None:
    (run / "run.json").write_text("{}")
    status, errors = _testbed("exec", "a", "--run", str(run), "--", "true")
    assert status == 2
    assert f"{run}: this run is over, or has no IP interfaces" in errors


def test_the_newest_run_is_the_default(plant: FakePlant, namespaces: None) -> None:
    assert _testbed("exec", "a", "--", "true") == (0, "")
    assert "attach a" in plant.events


def test_a_program_must_be_named() -> None:
    status, errors = _testbed("exec", "a")
    assert status == 2
    assert "exec: PROGRAM is missing; give it after --" in errors


def test_elsewhere_than_on_linux_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(EnvironmentProblem, match="which only Linux has, and this is darwin"):
        execute("a", ["true"])


# --- without root ---------------------------------------------------------------------------------


def _python_of_others() -> str:
    """A Python of this version that every user may run."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, shutil.which(version, path="/usr/bin:/usr/local/bin")):
        if python is None:
            continue
        tried = subprocess.run(
            ["/usr/bin/env", python, "-c", "import msgspec, pyroute2, typer, testbed.ip"],
            env=_environment(),
            cwd="/",
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            capture_output=True,
            check=False,
        )
        if tried.returncode == 0:
            return python
    pytest.skip(f"no {version} that an ordinary user may run with the packages and the checkout")


def _environment() -> dict[str, str]:
    paths = [str(ROOT), sysconfig.get_paths()["purelib"]]
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}


class Unprivileged:
    """A fake plant and `testbed exec` that run as a user without any privilege."""

    def __init__(self, folder: Path, python: str) -> None:
        self._folder = folder
        self.python = python
        self._environment = {**_environment(), "TMPDIR": str(folder)}
        self._started: list[subprocess.Popen[str]] = []
        (folder / "run").mkdir()
        os.chown(folder / "run", NOBODY, NOBODY)
        self.plant = _ready(self._start("-m", "tests.ip.fake_plant", str(folder / "run")))

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            ["/usr/bin/env", self.python, *arguments],
            env=self._environment,
            cwd="/",
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            text=True,
            **pipes,
        )
        self._started.append(process)
        return process

    def exec(self, node: str, *program: str) -> subprocess.Popen[str]:
        return self._start("-m", "testbed", "exec", node, "--", *program)

    def close(self) -> None:
        for process in reversed(self._started):
            if process is not self.plant:  # which ends with its standard input, in order
                process.kill()
            process.communicate(timeout=GIVE_UP_S)


@pytest.fixture
def unprivileged(namespaces: None) -> Iterator[Unprivileged]:
    if os.geteuid() != 0:
        pytest.skip("not root: all the other tests are without privilege already")
    with tempfile.TemporaryDirectory(prefix="ip") as name:
        os.chown(name, NOBODY, NOBODY)
        everything = Unprivileged(Path(name), _python_of_others())
        yield everything
        everything.close()


def test_without_privilege_programs_reach_each_other_and_are_root(unprivileged: Unprivileged) -> None:
    python = unprivileged.python
    echo = ECHO_UDP.format(family="socket.AF_INET", address="10.64.0.2")
    _ready(unprivileged.exec("b", python, "-c", echo))
    ask = ASK_UDP.format(family="socket.AF_INET")
    assert finish(unprivileged.exec("a", python, "-c", ask)) == (0, "hello 10.64.0.1 10.64.0.2\n", "")
    assert finish(unprivileged.exec("a", "id", "-u"))[1] == "0\n"


def test_without_privilege_ping_and_the_interfaces_are_the_same(unprivileged: Unprivileged) -> None:
    assert finish(unprivileged.exec("a", unprivileged.python, "-c", OPEN_PING))[1] == "may\n"
    assert finish(unprivileged.exec("a", "ls", "/sys/class/net"))[1].split() == ["lo", "tun0"]


def test_without_privilege_two_programs_share_a_node(unprivileged: Unprivileged) -> None:
    first = _ready(unprivileged.exec("a", "sh", "-c", "echo ready; readlink /proc/self/ns/net; read line"))
    assert first.stdout is not None
    namespace = first.stdout.readline()
    assert finish(unprivileged.exec("a", "readlink", "/proc/self/ns/net")) == (0, namespace, "")
    first.communicate("end\n", timeout=GIVE_UP_S)


def test_without_privilege_and_user_namespaces_it_says_what_would_permit_them(
    plant: FakePlant, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise PermissionError(1, "Operation not permitted", "unshare")

    monkeypatch.setattr("testbed.ip.namespace.enter_new", refuse)
    with pytest.raises(EnvironmentProblem, match="exec: namespaces are not permitted here"):
        execute("a", ["true"], run)
