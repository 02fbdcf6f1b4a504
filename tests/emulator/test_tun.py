"""Programs that know nothing of the channel, in namespaces whose only way out is a TUN device of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from emulator.dataplane import tun
from emulator.inet.addresses import host_ipv4, host_ipv6, place_ipv4, place_ipv6
from emulator.layout import make_network
from emulator.links.faults import Faults
from emulator.links.jitter import Uniform
from emulator.links.loss import Independent
from emulator.links.model import LinkModel
from testbed.bench._ip_ends import result
from testbed.bench._ip_programs import command
from testbed.errors import EnvironmentProblem
from tests.emulator.tun_world import FIRST_PORT, TunWorld, wait_for

FAMILIES = pytest.mark.parametrize("address", [host_ipv4, host_ipv6], ids=["IPv4", "IPv6"])
MEGABYTE = 1 << 20


@contextmanager
def world(*places: Any, **settings: Any) -> Iterator[TunWorld]:
    """A world whose books balance at the end, or a skipped test where there can be none."""
    made = TunWorld(*places, **settings)
    try:
        made.__enter__()
    except EnvironmentProblem as problem:
        pytest.skip(str(problem))
    try:
        yield made
        made.settle()
    finally:
        made.__exit__()


ECHO = """
    one = socket.socket(socket.AF_INET6 if is_v6(sys.argv[1]) else socket.AF_INET, socket.SOCK_DGRAM)
    one.bind((sys.argv[1], 7))
    print("ready", flush=True)
    while True:
        data, sender = one.recvfrom(65535)
        one.sendto(data, sender)
"""
ASK = """
    one = sender_to(sys.argv[1], 7)
    one.settimeout(10)
    one.send(bytes(int(sys.argv[2])))
    print(json.dumps(len(one.recv(65535))))
"""
TAKE = """
    family = socket.AF_INET6 if is_v6(sys.argv[1]) else socket.AF_INET
    server = socket.create_server((sys.argv[1], 5000), family=family)
    print("ready", flush=True)
    connection, _ = server.accept()
    digest, count = hashlib.sha256(), 0
    while data := connection.recv(1 << 20):
        digest.update(data)
        count += len(data)
    print(json.dumps([count, digest.hexdigest()]))
"""
GIVE = """
    import random
    data = random.Random(1).randbytes(int(sys.argv[2]))
    connection = socket.create_connection((sys.argv[1], 5000))
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)
    print(json.dumps([len(data), hashlib.sha256(data).hexdigest()]))
"""
ERROR = """
    one = sender_to(sys.argv[1])
    one.send(b"hello")
    print(json.dumps(told(one)))
"""


def echo(made: TunWorld, number: int, host: str) -> None:
    """Have an end answer UDP messages from now on."""
    program = made.start(number, ECHO, host)
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"


def transfer(made: TunWorld, host: str, octets: int) -> tuple[Any, Any]:
    """Octets and digest of what end 1 sent, and of what end 2 received."""
    receiver = made.start(2, TAKE, host)
    assert receiver.stdout is not None
    assert receiver.stdout.readline() == "ready\n"
    return made.run(1, GIVE, host, octets), result(receiver)


@FAMILIES
def test_udp_messages_go_there_and_back(address: Any) -> None:
    with world() as made:
        echo(made, 2, address(2))
        assert made.run(1, ASK, address(2), 1000) == 1000
        # in fragments, which are packets like any other
        assert made.run(1, ASK, address(2), 20_000) == 20_000
        assert set(made.fates()) == {"delivered"}


@FAMILIES
@pytest.mark.parametrize(
    ("model", "mark"),
    [
        (LinkModel("faultless"), None),
        (LinkModel("lossy", loss=Independent()), "radio_loss"),
        (LinkModel("overtaking", jitter=Uniform(), keep_order=False), None),
        (LinkModel("twice", faults=Faults(duplicate=0.05)), "copied"),
        (LinkModel("damaging", faults=Faults(corrupt=0.01)), None),
    ],
    ids=lambda value: value.name if isinstance(value, LinkModel) else "",
)
def test_a_transfer_arrives_whole_whatever_the_links_do(address: Any, model: Any, mark: str | None) -> None:
    with world(models=[model]) as made:
        made.links(
            model=1,
            loss=0.01 if model.name == "lossy" else 0.0,
            jitter_ns=1e6 if model.name == "overtaking" else 0.0,
        )
        sent, received = transfer(made, address(2), 2 * MEGABYTE)
        assert received == sent
        assert mark is None or made.fates()[mark] > 0


def test_super_segments_cross_as_packets_and_are_joined_again() -> None:
    with world() as made:
        # What is due at once is joined. A slower link sets its packets apart: then it is a matter of timing.
        made.links(rate_bps=1e12)
        transfer(made, host_ipv4(2), 4 * MEGABYTE)
        made.settle()
        came = tun.interface_counters(made.ip, FIRST_PORT + 1)
        went = tun.interface_counters(made.ip, FIRST_PORT + 2)
        assert came["packets_read"] >= 4 * MEGABYTE // 1448
        assert came["frames_read"] < came["packets_read"] / 2
        assert went["packets_written"] == came["packets_read"]
        assert went["frames_written"] < went["packets_written"] / 2


def test_a_damaged_packet_is_delivered_but_no_checksum_lets_it_through() -> None:
    with world(models=[LinkModel("damaging", faults=Faults(corrupt=1.0))]) as made:
        made.links(model=1)
        code = """
            one = sender_to(sys.argv[1], 7)
            one.send(bytes(100))
        """
        echo(made, 2, host_ipv4(2))
        made.start(1, code + "    print('{}')\n", host_ipv4(2)).communicate()
        wait_for(lambda: made.fates().get("delivered") == 1)
        snmp = """
            text = open("/proc/net/snmp").read()
            lines = [line.split() for line in text.splitlines() if line.startswith("Udp:")]
            print(json.dumps(int(dict(zip(*lines))["InCsumErrors"])))
        """
        assert made.run(2, snmp) == 1


@FAMILIES
def test_hop_limits_show_the_places_in_order(address: Any) -> None:
    v6 = address is host_ipv6
    place = place_ipv6 if v6 else place_ipv4
    probe = """
        found = []
        for hops in range(1, 4):
            one = sender_to(sys.argv[1], 33434 + hops)
            if is_v6(sys.argv[1]):
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
            else:
                one.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
            one.send(b"probe")
            found.append(told(one)[:3])
        print(json.dumps(found))
    """
    with world(4) as made:
        exceeded, unreachable = ([3, 0], [1, 4]) if v6 else ([11, 0], [3, 3])
        assert made.run(1, probe, address(2)) == [
            [*exceeded, place(1)],
            [*exceeded, place(2)],
            [*unreachable, address(2)],
        ]
        assert made.fates()["hop_limit"] == 2


def test_packets_arrive_with_a_hop_less_for_each_router() -> None:
    see = """
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
        one.bind((sys.argv[1], 7))
        print("ready", flush=True)
        _, ancillary, _, _ = one.recvmsg(100, 100)
        print(json.dumps(struct.unpack("i", ancillary[0][2])[0]))
    """
    with world(4) as made:
        seeing = made.start(2, see, host_ipv4(2))
        assert seeing.stdout is not None
        seeing.stdout.readline()
        made.run(1, "    sender_to(sys.argv[1], 7).send(b'x'); print('{}')", host_ipv4(2))
        assert result(seeing) == 64 - 2


@FAMILIES
def test_the_mtu_of_a_link_behind_is_learned(address: Any) -> None:
    ask = """
        host = sys.argv[1]
        one = sender_to(host, 7)
        level = socket.IPPROTO_IPV6 if is_v6(host) else socket.IPPROTO_IP
        one.setsockopt(level, 23 if is_v6(host) else IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        one.send(bytes(1400))
        error = told(one)
        mtu = one.getsockopt(level, IPV6_MTU if is_v6(host) else IP_MTU)
        one.settimeout(10)
        one.send(bytes(mtu - 48))
        print(json.dumps([error, mtu, len(one.recv(2000))]))
    """
    with world(3, models=[LinkModel("narrow", mtu_bytes=1300)]) as made:
        made.links(model=[0, 1, 0, 0])
        echo(made, 2, address(2))
        error, mtu, answered = made.run(1, ask, address(2))
        if address is host_ipv6:
            assert error == [2, 0, place_ipv6(1), 1300]
        else:
            assert error == [3, 4, place_ipv4(1), 1300]
        assert mtu == 1300
        assert answered == 1300 - 48
        assert made.fates()["too_long"] == 1
        sent, received = transfer(made, address(2), MEGABYTE)
        assert received == sent


@FAMILIES
@pytest.mark.parametrize(
    ("target", "fate", "v4", "v6"),
    [
        ("nobody's address", "unknown_destination", [3, 7], [1, 3]),
        ("another network's", "unknown_destination", [3, 7], [1, 3]),
        ("no way there", "no_route", [3, 0], [1, 0]),
        ("interface detached", "peer_gone", [3, 1], [1, 3]),
    ],
)
def test_the_sender_is_told_why_a_packet_did_not_arrive(
    address: Any, target: str, fate: str, v4: list[int], v6: list[int]
) -> None:
    ipv6 = address is host_ipv6
    with world() as made:
        host, place = address(2), 0
        if target == "nobody's address":
            host = address(77)
        elif target == "another network's":
            host = "2001:db8::1" if ipv6 else "198.51.100.1"
        elif target == "no way there":
            made.links(routed=False)
        else:
            made.channel.detach_ip(FIRST_PORT + 2)
            place = 2
        error = made.run(1, ERROR, host)
        assert error[:3] == [*(v6 if ipv6 else v4), (place_ipv6 if ipv6 else place_ipv4)(place)]
        assert made.fates()[fate] == 1


PING = """
    host, count = sys.argv[1], int(sys.argv[2])
    v6 = is_v6(host)
    one = socket.socket(
        socket.AF_INET6 if v6 else socket.AF_INET,
        socket.SOCK_DGRAM,
        socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP,
    )
    one.settimeout(10)
    one.connect((host, 0))
    for number in range(count):
        one.send(struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, 0, number) + b"content")
    answers = [one.recv(2000) for _ in range(count)]
    print(json.dumps([
        answers[0][0],
        sorted(struct.unpack_from("!H", answer, 6)[0] for answer in answers),
        all(answer[8:] == b"content" for answer in answers),
    ]))
"""


@FAMILIES
def test_echo_requests_are_answered_one_by_one(address: Any) -> None:
    with world() as made:
        reply = 129 if address is host_ipv6 else 0
        assert made.run(1, PING, address(2), 20) == [reply, list(range(20)), True]


@FAMILIES
def test_places_with_a_node_answer_echo_requests_and_refuse_the_rest(address: Any) -> None:
    v6 = address is host_ipv6
    place = place_ipv6 if v6 else place_ipv4
    with world() as made:
        for number in (0, 2):
            assert made.run(1, PING, place(number), 3) == [129 if v6 else 0, [0, 1, 2], True]
        error = made.run(1, ERROR, place(2))
        assert error[:3] == [*([1, 4] if v6 else [3, 3]), place(2)]
        # nothing is carried to a place without a node
        assert made.run(1, ERROR, place(1))[:3] == [*([1, 3] if v6 else [3, 7]), place(0)]


def test_errors_are_not_sent_about_groups_or_about_errors() -> None:
    with world() as made:
        code = """
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
            one.sendto(b"all", ("239.1.2.3", 7))
            print("{}")
        """
        made.run(1, code, host_ipv4(1))
        wait_for(lambda: "unknown_destination" in made.fates())
        assert tun.interface_counters(made.ip, FIRST_PORT + 1)["packets_written"] == 0


def test_a_packet_that_claims_another_sender_is_not_carried() -> None:
    code = """
        one = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, 17, 0,
            socket.inet_aton("10.64.0.9"), socket.inet_aton(sys.argv[1]))
        one.sendto(header + struct.pack("!HHHH", 7, 7, 8, 0), (sys.argv[1], 0))
        print("{}")
    """
    with world() as made:
        made.run(1, code, host_ipv4(2))
        wait_for(lambda: made.fates() == {"malformed": 1})


def test_an_interface_that_vanishes_leaves_the_others_alone() -> None:
    with world(3, at=(0, 1, 2)) as made:
        echo(made, 3, host_ipv4(3))
        assert made.run(1, ASK, host_ipv4(3), 10) == 10
        made.ends[2].remove_interface()
        wait_for(lambda: not tun.is_alive(made.ip, FIRST_PORT + 2))
        assert tun.interface_counters(made.ip, FIRST_PORT + 2)["gone"] == 1
        assert made.run(1, ERROR, host_ipv4(2))[:3] == [3, 1, place_ipv4(1)]
        assert made.fates()["peer_gone"] == 1
        # nothing keeps telling of the dead one: the loop sleeps when there is nothing to do
        sleeps = made.channel.turns()["sleeps"]
        wait_for(lambda: made.channel.turns()["sleeps"] > sleeps + 3)
        assert made.run(1, ASK, host_ipv4(3), 10) == 10


def test_an_interface_that_vanishes_in_the_middle_of_traffic_ends_it_by_name() -> None:
    with world() as made:
        made.links(delay_ns=20_000_000)
        receiver = made.start(2, TAKE, host_ipv4(2))
        assert receiver.stdout is not None
        receiver.stdout.readline()
        made.start(1, GIVE, host_ipv4(2), 32 * MEGABYTE)
        wait_for(lambda: made.fates().get("delivered", 0) > 1000)
        made.ends[2].remove_interface()
        wait_for(lambda: made.fates().get("peer_gone", 0) > 0)
        made.ends[1].remove_interface()


def test_interfaces_come_and_go_while_packets_flow() -> None:
    with world(3, at=(0, 1, 2)) as made:
        echo(made, 3, host_ipv4(3))
        echo(made, 2, host_ipv4(2))
        for _ in range(5):
            made.channel.detach_ip(FIRST_PORT + 2)
            made.channel.detach_ip(FIRST_PORT + 2)
            assert not tun.is_alive(made.ip, FIRST_PORT + 2)
            assert made.run(1, ASK, host_ipv4(3), 10) == 10
            made.channel.attach_ip(FIRST_PORT + 2, made.ends[2].descriptor)
            assert made.run(1, ASK, host_ipv4(2), 10) == 10


def test_a_pool_that_is_empty_drops_by_name_and_recovers() -> None:
    pool = {"small_frames": 8, "middle_frames": 1, "large_frames": 2}
    with world(pool=pool) as made:
        echo(made, 2, host_ipv4(2))
        made.links(delay_ns=200_000_000)
        flood = """
            one = sender_to(sys.argv[1], 9)
            for _ in range(200):
                one.send(bytes(100))
            print("{}")
        """
        made.run(1, flood, host_ipv4(2))
        wait_for(lambda: made.fates().get("no_buffer", 0) > 100)
        made.links(delay_ns=1000)
        wait_for(lambda: made.channel.counters()["in_flight"] == 0)
        assert made.run(1, ASK, host_ipv4(2), 10) == 10


def test_every_packet_handed_over_has_its_lateness() -> None:
    with world() as made:
        transfer(made, host_ipv4(2), MEGABYTE)
        made.settle()
        assert made.channel.lateness_us()["count"] == made.fates()["delivered"]


def test_ping_measures_the_delay_asked_for_and_little_more() -> None:
    with world(2) as made:
        made.links(delay_ns=20_000_000)
        times_ms = result(
            made.ends[1].start(*command("ping", host=host_ipv4(2), count=20, least_ms=1.0, most_ms=2.0))
        )["times_ms"]
        assert min(times_ms) >= 40.0


def test_a_port_that_can_have_no_interface_is_refused_in_a_sentence() -> None:
    made = TunWorld()
    try:
        with pytest.raises(ValueError, match=r"port 3 cannot have an IP interface, allowed: 4 to 4099"):
            made.channel.attach_ip(3, 0)
        with pytest.raises(ValueError, match="port 5 has no place in the network, add it first"):
            made.channel.attach_ip(5, 0)
        made.channel.add_port(5, 0, 0)
        with pytest.raises(ValueError, match="descriptor is -1, allowed: one that is open"):
            made.channel.attach_ip(5, -1)
        with open("/dev/null") as device:
            tun.attach(made.ip, made.net, 5, device.fileno())
            with pytest.raises(ValueError, match="port 5 has an interface already, detach it first"):
                tun.attach(made.ip, made.net, 5, device.fileno())
        with pytest.raises(TimeoutError, match="has not looked at its interfaces for 0 s"):
            tun.detach(made.ip, 5, patience_s=0.0)
    finally:
        made.channel.stop()


def test_a_channel_without_ip_ports_takes_no_interface() -> None:
    net = make_network(2, 2, 8)
    ip = tun.make_ip_plane(16)
    with pytest.raises(ValueError, match="port 5 cannot have an IP interface: no ports are set aside"):
        tun.attach(ip, net, 5, 0)
